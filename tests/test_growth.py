"""More seeds, values and axes for a directory that is finished: what is there stays, bit for bit."""

from pathlib import Path

import pytest
from complaints import complains

import robustsim as rs
from robustsim.errors import StorageError
from robustsim.sweep import growth, layout, progress, store
from robustsim.sweep.run import describe

SETTINGS = {"deployment.budget": 60, "deployment.relapse_steps": 10, "training.steps": 20, "training.competence": 0.0}
COVERAGE = "overseer.coverage"
INLINE = rs.Execution(executor="inline")


def sweep(seeds: object = 3, **changes: object) -> rs.Sweep:
    given = {"scenario": "bandit", "over": {COVERAGE: [0.4, 1.0]}, "settings": SETTINGS, "shard_size": 4}
    return rs.Sweep(**(given | {"seeds": seeds} | changes))  # pyright: ignore[reportArgumentType]


def steps(folder: Path) -> int:
    """The gradient steps that were taken for the results in a directory."""
    return sum(mark["steps"] for mark in store.marks(folder, store.read_manifest(folder)).values())


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file of a directory but the locks."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("lock")]
    return {path: path.read_bytes() for path in files}


BIGGER = {
    "more seeds": sweep(seeds=5),
    "other seeds too": sweep(seeds=[7, 2, 1, 0]),
    "another value": sweep(over={COVERAGE: [0.1, 0.4, 1.0]}),
    "both, in another order, in other shards": sweep(seeds=4, over={COVERAGE: [1.0, 0.7, 0.4]}, shard_size=3),
    "another axis": sweep(over={"agent.gradient": ["sampled", "exact"], COVERAGE: [0.4, 1.0]}),
}


@pytest.mark.parametrize("bigger", BIGGER.values(), ids=BIGGER)
def test_what_has_grown_is_what_was_run_at_once(tmp_path: Path, bigger: rs.Sweep) -> None:
    small = sweep().run(tmp_path / "out", execution=INLINE)
    told: list[rs.Results] = []
    grown = bigger.run(tmp_path / "out", execution=INLINE, on_finished=told.append)
    whole = bigger.run(tmp_path / "whole", execution=INLINE)
    assert grown.complete
    assert grown.runs.equals(whole.runs)
    assert grown.runs.schema == whole.runs.schema
    assert grown.traces.equals(whole.traces)
    assert len(grown.runs) > len(small.runs)
    new = [run_id for part in told for run_id in part.runs["run_id"]]
    assert sorted(new) == sorted(set(whole.runs["run_id"]) - set(small.runs["run_id"]))
    assert rs.open(tmp_path / "out").runs.equals(whole.runs)
    marks = store.marks(tmp_path / "out", store.read_manifest(tmp_path / "out"))
    steps = sum(
        mark["steps"] for mark in store.marks(tmp_path / "whole", store.read_manifest(tmp_path / "whole")).values()
    )
    assert 0 < sum(mark["steps"] for mark in marks.values()) < steps  # those that were there took no step
    assert not any(layout.own(tmp_path / "out", "inflight"))


def test_one_configuration_grows_too(tmp_path: Path) -> None:
    rs.run("bandit", seeds=2, settings=SETTINGS, out=tmp_path / "out")
    grown = rs.run("bandit", seeds=4, settings=SETTINGS, out=tmp_path / "out")
    assert grown.runs.equals(rs.run("bandit", seeds=4, settings=SETTINGS).runs)


def test_fewer_or_other_runs_are_refused_as_before(tmp_path: Path) -> None:
    sweep().run(tmp_path / "out", execution=INLINE)
    before = contents(tmp_path / "out")
    with complains(tmp_path / "out", "seeds", "--overwrite"):
        sweep(seeds=2).run(tmp_path / "out", execution=INLINE)
    with complains(tmp_path / "out", "settings.overseer.penalty"):
        sweep(seeds=5, settings=SETTINGS | {"overseer.penalty": 2.0}).run(tmp_path / "out", execution=INLINE)
    with complains(tmp_path / "out", "seeds"):  # part of a job array: others may be at work
        sweep(seeds=5).run(tmp_path / "out", execution=rs.Execution(executor="inline", shard=(0, 2)))
    assert contents(tmp_path / "out") == before


def test_what_is_not_finished_does_not_grow(tmp_path: Path) -> None:
    sweep().run(tmp_path / "out", execution=INLINE)
    (tmp_path / "out" / "shards" / "00000.json").unlink()
    with complains(tmp_path / "out", "seeds"):
        sweep(seeds=5).run(tmp_path / "out", execution=INLINE)


def test_other_code_does_not_mix_with_what_is_there(tmp_path: Path) -> None:
    sweep().run(tmp_path / "out", execution=INLINE)
    manifest = describe(sweep(seeds=5).plan()) | {"code": "another"}
    assert not growth.grow(tmp_path / "out", sweep(seeds=5).plan(), manifest)


def test_a_death_while_growing_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = sweep().run(tmp_path / "out", execution=INLINE)
    whole = sweep(seeds=5).run(tmp_path / "whole", execution=INLINE)

    def dies(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:  # before the manifest is exchanged
        patch.setattr(store, "write_manifest", dies)
        with complains("disk", error=StorageError):
            sweep(seeds=5).run(tmp_path / "out", execution=INLINE)
    assert rs.open(tmp_path / "out").runs.equals(small.runs)
    assert sweep().run(tmp_path / "out", execution=INLINE).runs.equals(small.runs)
    with monkeypatch.context() as patch:  # after it
        patch.setattr(layout, "own", dies)
        with complains("disk", error=StorageError):
            sweep(seeds=5).run(tmp_path / "out", execution=INLINE)
    assert progress.status(tmp_path / "out").done == 0
    grown = sweep(seeds=5).run(tmp_path / "out", execution=INLINE)
    assert grown.runs.equals(whole.runs)
    assert grown.traces.equals(whole.traces)
