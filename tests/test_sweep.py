"""Sweeps: their groups, and that nothing about how they are run changes what comes out."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from complaints import complains, says

import robustsim as rs
from robustsim.cli.main import main
from robustsim.errors import RunsFailed, StorageError
from robustsim.report import terminal
from robustsim.report.words import answer as words_of
from robustsim.sweep import compiled, executors, progress, run, store
from robustsim.sweep.axes import Range
from robustsim.sweep.locking import locked

RELIABILITY = Path(__file__).parent.parent / "benchmarks" / "reliability.py"
QUICK = {
    "agent.gradient": "sampled",
    "deployment.budget": 60,
    "deployment.relapse_steps": 10,
    "training.steps": 20,
    "training.competence": 0.0,
}


def sweep(**changes: object) -> rs.Sweep:
    """A small sweep of the bandit: 4 coverages x 3 seeds, in shards of 5."""
    over = {"overseer.coverage": [0.1, 0.4, 0.7, 1.0]}
    return rs.Sweep(**({"scenario": "bandit", "over": over, "seeds": 3, "settings": QUICK, "shard_size": 5} | changes))  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[rs.Results, Path]:
    """The small sweep, done in one process without disturbance, and its directory."""
    out = tmp_path_factory.mktemp("sweep") / "alone"
    return sweep().run(out, execution=rs.Execution(executor="inline")), out


# --- plans ---


def test_static_values_split_a_sweep_into_groups_and_dynamic_ones_do_not() -> None:
    over = {"overseer.coverage": [0.1, 0.2, 0.3], "agent.gradient": ["exact", "sampled"]}
    plan = rs.Sweep(scenario="bandit", over=over, seeds=2).plan()
    assert [len(group) for group in plan.groups] == [6, 6]
    assert sorted(i for shard in plan.shards for i in shard.runs) == list(range(len(plan)))


def test_runs_of_one_agent_are_neighbours_and_agents_are_trained_once() -> None:
    plan = sweep().plan()
    assert sorted(i for t in plan.trainings for i in t.runs) == [0, 1, 2]  # three seeds, whatever the overseer
    names = [plan.agent_name(i) for shard in plan.shards for i in shard.runs]
    assert sum(a != b for a, b in pairwise(names)) == 2


# --- what does not change a result ---


def test_every_executor_gives_the_same_bytes(alone: tuple[rs.Results, Path], tmp_path: Path) -> None:
    """Processes, Dask, job arrays, other widths and shards: the tables, as Parquet files, are the same bytes."""
    wanted = {name: store.to_parquet(getattr(alone[0], name)) for name in store.TABLES}
    ways = {
        "processes": (sweep(), [rs.Execution(executor="processes", workers=2)]),
        "dask": (sweep(), [rs.Execution(executor="dask", workers=2)]),
        "array": (sweep(), [rs.Execution(shard=(i, 3)) for i in range(3)]),
        "narrow": (sweep(shard_size=4), [rs.Execution(executor="inline", width=2)]),
        "memory": (sweep(), []),
    }
    for way, (small, executions) in ways.items():
        results = small.run() if not executions else None
        for execution in executions:
            results = small.run(tmp_path / way, execution=execution)
        assert results is not None
        assert results.complete, way
        for name, data in wanted.items():
            assert store.to_parquet(getattr(results, name)) == data, (way, name)


def test_programs_that_are_forgotten_are_made_again(
    alone: tuple[rs.Results, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "MAPS", 0)
    assert sweep().run().runs.equals(alone[0].runs)


def test_a_part_of_an_array_does_its_shards_only(tmp_path: Path) -> None:
    results = sweep().run(tmp_path / "out", execution=rs.Execution(shard=(1, 2)))
    assert not results.complete
    assert [m for m in store.marks(tmp_path / "out", results.manifest)] == [1]
    assert progress.status(tmp_path / "out").done == 5


# --- resuming ---


def test_what_is_there_is_not_made_again(alone: tuple[rs.Results, Path]) -> None:
    _, out = alone
    before = {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    assert sweep().run(out).runs.equals(alone[0].runs)
    assert {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()} == before


def test_a_damaged_shard_is_named_and_made_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    wanted = sweep().run(out)
    for ending in ("runs.parquet", "json"):
        path = store.shard_path(out, 1, ending)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(bytes(data))
        with complains(path, error=StorageError):
            rs.open(out)
        assert sweep().run(out).runs.equals(wanted.runs)


def test_another_configuration_is_refused_with_the_difference(alone: tuple[rs.Results, Path]) -> None:
    _, out = alone
    with complains(out, "seeds", [0, 1, 2], [0, 1], "--overwrite"):
        sweep(seeds=2).run(out)
    with complains(out, "swept.overseer.coverage", [0.1]):
        sweep(over={"overseer.coverage": [0.1]}).run(out)


def test_overwriting_is_explicit(tmp_path: Path) -> None:
    sweep().run(tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert len(sweep(seeds=1).run(tmp_path / "out", execution=rs.Execution(overwrite=True)).runs) == 4
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_what_is_not_ours_in_a_directory_stays(tmp_path: Path) -> None:
    notes = {"data/.swap.tmp": "x", "progress/notes.md": "n", "stop": "s"}
    for name, text in notes.items():
        (tmp_path / "full" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "full" / name).write_text(text)
    for overwrite in (False, True):
        with complains(tmp_path / "full", "data"):
            sweep().run(tmp_path / "full", execution=rs.Execution(overwrite=overwrite))
    assert all((tmp_path / "full" / name).read_text() == text for name, text in notes.items())
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text('{"name": "an app"}')
    with complains(tmp_path / "web", "manifest.json"):
        sweep().run(tmp_path / "web", execution=rs.Execution(overwrite=True))
    sweep().run(tmp_path / "ours")
    for part in ("agents", "shards"):
        (tmp_path / "ours" / part).mkdir(exist_ok=True)
        (tmp_path / "ours" / part / "mine.py").write_text("mine")
    sweep(seeds=1).run(tmp_path / "ours", execution=rs.Execution(overwrite=True))
    assert [(tmp_path / "ours" / part / "mine.py").read_text() for part in ("agents", "shards")] == ["mine", "mine"]


def test_what_another_sweep_left_behind_does_not_matter(tmp_path: Path) -> None:
    sweep().run(tmp_path / "out", execution=rs.Execution(executor="inline"))
    (tmp_path / "out" / "manifest.json").unlink()  # as if killed while overwriting
    results = sweep(seeds=1).run(tmp_path / "out", execution=rs.Execution(executor="inline"))
    assert (len(results.runs), results.complete) == (4, True)
    assert len(rs.open(tmp_path / "out").traces)


def test_a_directory_in_which_nothing_was_made_takes_other_settings(tmp_path: Path) -> None:
    plan = sweep().plan()
    store.prepare(tmp_path / "out", run.describe(plan), overwrite=False)
    assert len(sweep(seeds=1).run(tmp_path / "out", execution=rs.Execution(executor="inline")).runs) == 4


def test_an_array_of_jobs_does_not_overwrite(tmp_path: Path) -> None:
    with complains("overwrite"):
        sweep().run(tmp_path / "out", execution=rs.Execution(overwrite=True, shard=(0, 2)))
    assert not (tmp_path / "out").exists()


def test_a_value_has_one_spelling() -> None:
    for values in ([0.5, "0.50"], [1.0, 1], np.array([0.25, 0.25])):
        with complains("overseer.coverage", values[0]):
            sweep(over={"overseer.coverage": values}).plan()
    with complains("over", "overseer.coverage=1.0"):
        sweep(over={"overseer.coverage": [1, 0.5, 1.0]}, design="zip").plan()
    drawn = sweep(over={"overseer.coverage": [0.5, 1]}, design="random", samples=50).plan()
    assert len(drawn.points) == 2
    spelled, listed = (sweep(over={"overseer.coverage": v}).plan().what() for v in (["0.5", "1"], (0.5, np.int64(1))))
    assert spelled == listed


def test_a_whole_number_as_the_default_of_a_float_is_a_float(tmp_path: Path) -> None:
    @rs.scenario
    def whole_defaults(bonus: float = 1) -> rs.Scenario:
        """Defaults that are written without a point."""
        return dataclasses.replace(rs.load("bandit")(bonus=bonus / 10), overseer=rs.Overseer(penalty=1, coverage=1))

    over = {"overseer.coverage": [0.4, 0.8], "env.bonus": [0.5, 1.5]}
    results = rs.Sweep(whole_defaults, over, seeds=1, settings={"deployment.budget": 300}).run()
    assert results.runs["overseer.coverage"].to_list() == [0.4, 0.4, 0.8, 0.8]
    assert results.runs["env.bonus"].to_list() == [0.5, 1.5, 0.5, 1.5]
    assert len(results.spectrum()) == 4
    by_default = rs.run(whole_defaults, seeds=1, settings={"deployment.budget": 9})
    by_name = rs.run(whole_defaults, seeds=1, settings={"deployment.budget": 9, "env.bonus": 1.0})
    assert by_default.runs["run_id"].equals(by_name.runs["run_id"])


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"seeds": 2.5}, ("seeds", 2.5)),
        ({"seeds": [True]}, ("seeds", True)),
        ({"seeds": "3"}, ("seeds", "'3'")),
        ({"seeds": 10**12}, ("seeds", 10**12, 1_000_000)),
        ({"over": {"overseer.coverage": 0.5}}, ("overseer.coverage", 0.5)),
        ({"over": None}, ("over", None)),
        ({"over": [1]}, ("over", [1])),
        ({"settings": "a=b"}, ("settings", "a=b")),
        ({"settings": {1: 2}}, (1,)),
        ({"settings": {"overseer.feedback": np.zeros(2)}}, ("overseer.feedback", "penalty", "demonstration")),
        ({"settings": {"env.bonus": 10**400}}, ("env.bonus",)),
        ({"design": None}, ("design", None)),
        ({"design": "random", "samples": "3"}, ("samples", "'3'")),
        ({"design": "random", "samples": float("nan")}, ("samples", "nan")),
        ({"design": "random", "samples": 2, "design_seed": -1}, ("design_seed", -1)),
        ({"shard_size": 2.5}, ("shard_size", 2.5)),
        (
            {"over": {"overseer.coverage": Range("a", "b")}, "design": "random", "samples": 2},
            ("overseer.coverage", "'a'"),
        ),  # pyright: ignore[reportArgumentType]
    ],
)
def test_arguments_of_the_wrong_kind_are_one_line(changes: dict, parts: tuple) -> None:
    with complains(*parts):
        sweep(**changes).plan()


def test_ways_of_working_are_checked() -> None:
    for bad, parts in (
        ({"checkpoint": "x"}, ("checkpoint", "x")),
        ({"shard": "0/2"}, ("shard", "0/2")),
        ({"shard": (0,)}, ("shard", (0,))),
        ({"shard": (0.5, 2)}, ("shard", 0.5)),
        ({"executor": "nope"}, ("executor", "nope")),
        ({"width": 10**9}, ("width", 10**9)),
        ({"workers": 1.5}, ("workers", 1.5)),
    ):
        with complains(*parts):
            rs.Execution(**bad)  # pyright: ignore[reportArgumentType]
    for function in (rs.load, rs.open):
        with complains(None):
            function(None)  # pyright: ignore[reportArgumentType]
    with complains("geomspace", -1):
        rs.geomspace(-1, 1, 3)


def test_seeds_may_be_numpy_numbers() -> None:
    assert sweep(seeds=np.int64(3)).plan().seeds == (0, 1, 2)
    assert sweep(seeds=np.arange(2, 4)).plan().seeds == (2, 3)


def test_results_without_a_finished_run_say_so(alone: tuple[rs.Results, Path], tmp_path: Path) -> None:
    plan = sweep().plan()
    store.prepare(tmp_path / "out", run.describe(plan), overwrite=False)
    results = rs.open(tmp_path / "out")
    assert results.runs.is_empty()
    assert results.spectrum().columns == ["scenario", "overseer.coverage"]
    for figure in ("race-plane", "spectrum", "traces"):
        with complains("run"):
            results.plot(None, figure)
    assert results.summary()["placement"] is None
    assert says(repr(results), "0 runs")


def test_a_note_that_makes_no_sense_is_passed_over(alone: tuple[rs.Results, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    store.prepare(out, run.describe(sweep().plan()), overwrite=False)
    (out / "progress").mkdir()
    (out / "progress" / "worker-0.json").write_text(
        json.dumps({"at": "noon", "unit": "x", "done": 1, "rate": 1, "compile_seconds": 0, "steps": 1})
    )
    assert progress.status(out).workers == 0


def test_a_directory_has_one_writer(alone: tuple[rs.Results, Path]) -> None:
    _, out = alone
    with locked(out), complains(out, os.getpid()):
        sweep().run(out)


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    code = f"""
import time
from itertools import pairwise
from pathlib import Path
from robustsim.sweep.locking import locked
with locked(Path({str(tmp_path)!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with complains(tmp_path, holder.pid), locked(tmp_path):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with locked(tmp_path):
        pass


def test_an_unfinished_sweep_can_be_read_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "out"
    wanted = sweep().run(out)
    for path in (out / "shards").glob("00002.*"):
        path.unlink()
    results = rs.open(out)
    assert not results.complete
    assert len(results.runs) == 10
    assert results.runs.equals(wanted.runs.filter(pl.col("run_id").is_in(results.runs["run_id"].implode())))
    assert "2 of 3 shards" in progress.in_words(progress.status(out))


def test_an_interrupt_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    long = ["deployment.budget=3000000", "overseer.penalty=0", "training.steps=0", "agent.gradient=sampled"]
    command = [sys.executable, "-m", "robustsim.cli.main", "sweep", "bandit", "--out", str(out), "--seeds", "2"]
    command += ["--over", "overseer.coverage=0.1,1.0", "--executor", "processes", "--workers", "2", "--shard-size", "2"]
    command += [word for pair in long for word in ("--set", pair)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not any('"unit": "shard' in path.read_text() for path in (out / "progress").glob("*.json")):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert says(stderr.splitlines()[-1], "0 of 4")
    assert list((out / "inflight").glob("*.checkpoint"))
    assert time.monotonic() - began < 30  # a hang, not a speed, is what this catches
    with locked(out):  # nobody is left behind
        pass


def test_workers_that_take_too_long_to_save_are_ended_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "GRACE", 0.05)
    processes = executors.Processes(1)
    processes.submit({"plan": {}, "folder": str(tmp_path), "kind": "train", "unit": 0, "options": {}})
    for _ in range(2):  # once where the interrupt is noticed, and once where all ends
        processes.close()


# --- failures ---


def test_an_agent_that_was_damaged_meanwhile_is_trained_again(
    alone: tuple[rs.Results, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBUSTSIM_CACHE", str(tmp_path / "cache"))
    sweep().run(tmp_path / "out")
    for path in (tmp_path / "cache" / "agents").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    for path in (tmp_path / "out" / "shards").glob("00001.*"):
        path.unlink()
    assert sweep().run(tmp_path / "out").runs.equals(alone[0].runs)


def test_failed_runs_are_listed_and_the_others_kept(tmp_path: Path, small: dict) -> None:
    over = {"training.competence": [0.0, 1.0]}
    settings = {k: v for k, v in small.items() if k != "training.competence"}
    failing = rs.Sweep(scenario="camera_vault", over=over, seeds=2, settings=settings)
    with complains("2 of 4", "competence 1", "seed 0", "seed 1", "training.steps", error=RunsFailed):
        failing.run(tmp_path / "out")
    results = rs.open(tmp_path / "out")
    assert results.runs["training.competence"].to_list() == [0.0, 0.0]
    assert len(progress.status(tmp_path / "out").failed) == 2
    assert results.failed.select("training.competence", "seed").rows() == [(1.0, 0), (1.0, 1)]
    assert not results.complete
    with pytest.raises(RunsFailed) as caught:
        failing.run()
    assert caught.value.results.failed.equals(results.failed)
    assert caught.value.results.runs.equals(results.runs)
    assert results.where({"training.competence": 0.0}).failed.is_empty()


def test_what_failed_is_said_first_everywhere(tmp_path: Path, small: dict, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"--set={name}={value}" for name, value in small.items() if name != "training.competence"]
    words += ["--over", "training.competence=0,1", "--seeds", "2", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as status:
        main(["sweep", "camera_vault", *words])
    assert status.value.code == 3
    told = capsys.readouterr()
    assert "2 of 4 runs failed" in told.out
    assert "P(catastrophe first)" in told.out  # and the table of the others
    assert "2 of 4 runs failed" in told.err
    results = rs.open(tmp_path / "out")
    assert words_of(results)[0].startswith("2 of 4 runs failed: competence 1, seed 0; competence 1, seed 1: ")
    results.report(tmp_path / "page.html", replays=0)
    assert "2 of 4 runs failed" in (tmp_path / "page.html").read_text()
    with pytest.raises(SystemExit):
        main(["run", "camera_vault", *words[: len(small) - 1], "--set=training.competence=1", "--seeds", "2", "--json"])
    assert "2 of 2 runs failed" in capsys.readouterr().err


def test_configurations_are_not_pooled(alone: tuple[rs.Results, Path]) -> None:
    results = alone[0]
    for question in (results.verdict, results.summary):
        with complains(question.__name__, results.spectrum().height, *results.swept):
            question()
    assert says(repr(results), f"{results.spectrum().height} configurations", *results.swept)
    point = {name: results.runs[name][0] for name in results.swept}
    assert results.where(point).summary()["verdict"] == results.where(point).verdict()


def test_a_summary_counts_what_failed(small_results: tuple[rs.Results, Path]) -> None:
    results = small_results[0]
    assert results.summary()["failed"] == {}
    failed = pl.DataFrame({"seed": [7, 8], "why": ["too slow", "too slow"]})
    some = rs.Results(results.runs, results.traces, results.manifest, failed=failed)
    assert some.summary()["failed"] == {"too slow": 2}
    assert "2 of 5 runs failed: seed 7; seed 8: too slow" in terminal.in_words(some).splitlines()[1]


@pytest.mark.slow
def test_a_run_that_kills_its_worker_is_found(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(RELIABILITY), "poison", "--executor", "processes", "--seeds", "1"],
        capture_output=True,
        text=True,
        env={**os.environ, "ROBUSTSIM_CACHE": str(tmp_path)},
        check=False,
    )
    told = json.loads(done.stdout)
    assert done.returncode == 0, told
    assert told["exit_status"] == 3
    assert told["stored"] == told["runs"] - 1


# --- short forms of the reliability checks ---


@pytest.mark.parametrize(
    "words",
    [
        ["kills", "--kills", "4", "--budget", "3000"],
        ["damage", "--files", "80"],
        ["boundaries", "--seeds", "1", "--budget", "60", "--stride", "40"],
        ["faults", "--seeds", "1", "--budget", "60", "--stride", "80"],
    ],
    ids=lambda words: words[0],
)
def test_nothing_is_lost(words: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(RELIABILITY), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "ROBUSTSIM_CACHE": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
