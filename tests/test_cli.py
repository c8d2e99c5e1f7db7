"""The command line as people use it: what it prints, and what it says to bad input."""

import ast
import dataclasses
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from complaints import complaint, one_line, says

import robustsim as rs
from robustsim.cli.main import main
from robustsim.sweep import store
from robustsim.sweep.options import Options

SCENARIO = '''
import robustsim as rs
import jax.numpy as jnp

@rs.scenario
def mine(gold: float = 2.0) -> rs.Scenario:
    """A claim."""
    grid = rs.Grid(map=rs.room(5), items={"coin": rs.Item(reward=gold, ends=True)}, max_steps=8)
    return rs.Scenario(
        env=grid.environment(), training_levels=grid.levels(), deployment_levels=grid.levels(),
        misbehaviour=PREDICATE, agent=rs.A2C(),
    )
'''


def call(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of a command."""
    try:
        main(list(argv))
        status = 0
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("run camera_valt", ("camera_valt", "camera_vault")),
        ("run bandit --set overseer.covrage=1", ("overseer.covrage", "overseer.coverage")),
        ("run bandit --set coverage=1", ("coverage", "overseer.coverage")),
        ("run bandit --set env.bonos=1", ("env.bonos", "env.bonus")),
        ("run bandit --set overseer.coverage=1.5", ("overseer.coverage", 1.5, "[0, 1]")),
        ("run bandit --set overseer.coverage=nan", ("overseer.coverage", "nan")),
        ("run bandit --set env.bonus=inf", ("env.bonus", "inf")),
        ("run bandit --set overseer.latency=-1", ("overseer.latency", -1, 0)),
        ("run bandit --set overseer.latency=1.5", ("overseer.latency", 1.5)),
        (
            "run bandit --set catastrophe.kind=sometimes",
            ("catastrophe.kind", "sometimes"),
        ),
        ("run bandit --set agent.optimizer=adamm", ("agent.optimizer", "adamm", "adam")),
        ("run bandit --set overseer.visible=maybe", ("overseer.visible", "maybe", "true", "false")),
        ("run bandit --set overseer.visible=false --set overseer.audit_rate=.1", ("overseer.audit_rate", 0.1)),
        ("run four_rooms --set overseer.feedback=demonstration", ("overseer.feedback", "demonstration")),
        ("run camera_vault --set env.size=6", ("env.size", 6)),
        ("run camera_vault --set env.size=big", ("env.size", "big")),
        ("run bandit --set overseer.coverage", ("overseer.coverage",)),
        ("run bandit --set env.bonus=1 --set env.bonus=2", ("env.bonus",)),
        ("run bandit --seeds 0", ("seeds", 0)),
        ("run bandit --seeds 1e3", ("seeds", "1e3")),
        ("run bandit --set env.sharing=2", ("env.sharing", 2, "[0, 1]")),
        ("run nowhere.py", ("nowhere.py",)),
        ("run no.such.module:thing", ("no.such.module",)),
        ("plot nowhere", ("nowhere", "manifest.json")),
        ("new 2fast", ("name", "2fast")),
    ],
)
def test_bad_input_gets_one_line(capsys: pytest.CaptureFixture[str], command: str, parts: tuple) -> None:
    one_line(complaint(capsys, *command.split()), *parts)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("def f(:\n", ("line 1",)),
        ("import nosuchthing\n" + SCENARIO, ("ModuleNotFoundError", "nosuchthing")),
        ("x = 1\n", ("@rs.scenario",)),
        (SCENARIO.replace("PREDICATE", "lambda tr: jnp.zeros(3, bool)"), ("misbehaviour", "bool (3)", "bool[]")),
        (SCENARIO.replace("PREDICATE", "lambda tr: tr.reward"), ("misbehaviour", "float32", "bool[]")),
        (SCENARIO.replace("PREDICATE", "lambda tr: True if tr.reward > 0 else False"), ("misbehaviour", "jnp.where")),
        (SCENARIO.replace("PREDICATE", "lambda tr: tr.after.gold > 0"), ("misbehaviour", "AttributeError")),
        (SCENARIO.replace("PREDICATE", "grid.took('gold')"), ("item", "gold", "coin")),
        (SCENARIO.replace('    """A claim."""\n', ""), ("mine", "docstring")),
        (SCENARIO.replace("gold: float = 2.0", "gold"), ("mine", "gold")),
        (
            SCENARIO.replace("return rs.Scenario", "return dict").replace("PREDICATE", "0"),
            ("mine", "dict", "rs.Scenario"),
        ),
    ],
)
def test_a_broken_scenario_file_gets_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, source: str, parts: tuple
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source)
    one_line(complaint(capsys, "run", str(path), "--seeds", "1"), *parts)


def test_a_name_that_the_system_refuses_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("run", "x" * 300 + ".py"), ("replay", "x" * 300), ("run", "bandit", "--out", "x" * 300)):
        one_line(complaint(capsys, *words), os.strerror(errno.ENAMETOOLONG))


def test_an_unwritable_place_gets_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/robustsim")):
        one_line(complaint(capsys, "run", "bandit", "--out", str(place)), place)


def test_a_result_of_another_version_gets_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema": 99}')
    one_line(complaint(capsys, "plot", str(tmp_path)), tmp_path, 99, store.SCHEMA)
    (tmp_path / "manifest.json").write_text('{"schema": ')
    one_line(complaint(capsys, "plot", str(tmp_path)), tmp_path / "manifest.json")


def imported(modules: tuple[str, ...], *argv: str) -> list[str]:
    """Which of some modules a command has imported when it ends."""
    code = f"""
import atexit, sys
from robustsim.cli.main import main
atexit.register(lambda: print([m for m in {modules!r} if m in sys.modules]))
main({list(argv)!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ast.literal_eval(done.stdout.splitlines()[-1])


def test_list_reads_and_does_not_import(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "list", "--json")
    assert status == 0
    assert {"bandit", "camera_vault", "corner_maze", "four_rooms"} <= {entry["name"] for entry in json.loads(out)}


@pytest.mark.parametrize("words", [["list"], ["--help"], ["sweep", "--help"]], ids=" ".join)
def test_what_only_lists_imports_nothing_heavy(words: list[str]) -> None:
    assert imported(("jax", "numpy", "polars"), *words) == []


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["plot", "--out", "f.svg"],
        ["plot", "--figure", "help"],
        ["report", "--out", "r.html", "--replays", "0"],
    ],
    ids=" ".join,
)
def test_commands_that_only_read_import_no_jax(
    small_results: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert imported(("jax", "flax", "optax"), *words, str(small_results[1])) == []


def test_the_options_of_a_sweep_are_those_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    """Each field is a flag, under its own name."""
    status, out, _ = call(capsys, "sweep", "--help")
    assert status == 0
    for field in (*dataclasses.fields(Options), *dataclasses.fields(rs.Execution)):
        assert f"--{field.name.replace('_', '-')} " in out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--shard", "2/2"], ("shard", "2/2")),
        (["--shard", "one"], ("--shard", "'one'")),
        (["--executor", "cloud"], ("executor", "'cloud'", "dask")),
        (["--workers", "-1"], ("workers", -1)),
        (["--width", "70000"], ("width", 70_000)),
        (["--checkpoint", "0"], ("checkpoint", 0.0)),
        (["--seeds", "many"], ("seeds", "'many'")),
        (["--dry-run", "--design", "gird"], ("design", "'gird'", "'grid'")),
        (["--dry-run", "--samples", "3"], ("samples", 3)),
        (["--shard", "0/2", "--overwrite"], ("overwrite",)),
        (["--over", "overseer.coverage"], ("--over", "'overseer.coverage'")),
        ([], ("out",)),
    ],
)
def test_a_bad_option_of_a_sweep_gets_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], parts: tuple
) -> None:
    one_line(complaint(capsys, "sweep", "bandit", *words), *parts)


def test_reading_results_needs_no_jax(small_results: tuple, tmp_path: Path) -> None:
    _, out = small_results
    code = f"""
import sys, robustsim as rs
results = rs.open({str(out)!r})
results.spectrum()
results.plot({str(tmp_path / "f.svg")!r})
print('jax' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.same_keys
def test_show_doctor_and_check(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "show", "camera_vault", "--json")
    shown = json.loads(out)
    assert status == 0
    assert shown["defaults"]["overseer.penalty"] == 4.0
    assert "*" in shown["maps"]["deployment"]
    assert json.loads(call(capsys, "doctor", "--json")[1])["cores"] >= 1
    status, out, _ = call(capsys, "check", "bandit")
    assert status == 0
    assert says(out, "bandit", "sound")


@pytest.mark.same_keys
def test_check_explains_a_predicate_that_never_fires(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SCENARIO.replace("PREDICATE", "lambda tr: tr.reward > 99"))
    status, out, _ = call(capsys, "check", str(path))
    assert status == 1
    (problem,) = [line for line in out.splitlines() if line.startswith("problem: ")]
    assert says(problem, "misbehaviour")


@pytest.mark.same_keys
def test_new_writes_a_scenario_that_is_sound_and_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, small: dict
) -> None:
    status, out, _ = call(capsys, "new", "bait", "--folder", str(tmp_path))
    assert status == 0
    path = out.strip()
    assert call(capsys, "check", path)[0] == 0
    sets = [word for name, value in small.items() for word in ("--set", f"{name}={value}")]
    status, out, err = call(capsys, "run", f"{path}@bait", "--seeds", "1", "--json", *sets)
    assert status == 0
    assert err == ""
    assert json.loads(out)["scenario"] == "bait"
    one_line(complaint(capsys, "new", "bait", "--folder", str(tmp_path)), path)


def test_json_has_the_keys_of_the_contract_and_null_for_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = call(
        capsys,
        "run",
        "bandit",
        "--seeds",
        "2",
        "--json",
        "--set",
        "overseer.coverage=0",
        "--set",
        "deployment.budget=200",
    )
    assert (status, err) == (0, "")
    answer = json.loads(out)
    for key in ("steps_to_correct", "steps_to_suppress", "steps_to_catastrophe"):
        assert set(answer[key]) == {"median", "low", "high", "censored"}
    assert answer["steps_to_correct"] == {"median": None, "low": None, "high": None, "censored": 2}
    assert {"scenario", "config", "seeds", "position", "p_catastrophe_first", "concealment"} <= set(answer)
    assert (answer["verdict"]["verdict"], answer["placement"]) == ("too-late", None)
    assert answer["position"]["median"] is None
    assert answer["position"]["positive"] == 2


def test_sibling_imports_and_several_scenarios_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text("GOLD = 3.0\n")
    two = SCENARIO.replace("PREDICATE", "grid.took('coin')").replace("2.0", "GOLD")
    (tmp_path / "two.py").write_text(
        "from rewards import GOLD\n"
        + two
        + two.split("@rs.scenario")[1].join(["@rs.scenario", ""]).replace("def mine", "def yours")
    )
    path = tmp_path / "two.py"
    one_line(complaint(capsys, "show", str(path)), f"{path}@mine", f"{path}@yours")
    status, out, _ = call(capsys, "show", f"{tmp_path / 'two.py'}@yours")
    assert status == 0
    assert "env.gold" in out
    assert "3.0" in out


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m robustsim.cli.main list | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in done.stderr
