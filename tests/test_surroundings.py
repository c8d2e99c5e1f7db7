"""The world around the program: the shell's environment variables, homes, file systems, containers."""

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from complaints import complains, one_line

import robustsim as rs
from robustsim import files
from robustsim.cli import showing
from robustsim.errors import StorageError
from robustsim.sweep import execution
from robustsim.sweep.locking import locked

SCRIPT = """
import json, sys
import robustsim as rs
runs = rs.run(sys.argv[1], seeds=2, settings=json.loads(sys.argv[2])).runs
print("runs", runs.write_json())
"""
STRANGE = {
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_ENABLE_X64": "1",
    "JAX_DEBUG_NANS": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
}


def _runs(scenario: str, settings: dict[str, Any], cache: Path, **environment: str) -> Any:
    command = [sys.executable, "-c", SCRIPT, scenario, json.dumps(settings)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "ROBUSTSIM_CACHE": str(cache), **environment},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("runs "))[5:])


@pytest.mark.parametrize("scenario", ["camera_vault", "bandit"])
def test_flags_in_the_shell_change_nothing(scenario: str, small: dict[str, Any], tmp_path: Path) -> None:
    settings = small if scenario == "camera_vault" else {"agent.gradient": "sampled", "deployment.budget": 20}
    plain, strange = (_runs(scenario, settings, tmp_path / str(i), **more) for i, more in enumerate(({}, STRANGE)))
    assert plain == strange


def test_nobody_s_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setenv("ROBUSTSIM_CACHE", "here")
    assert files.cache_folder() == Path("here")
    monkeypatch.delenv("ROBUSTSIM_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert files.cache_folder().name.startswith("robustsim-")


def _fails_for_folders(number: int) -> Any:
    flush = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        flush(handle)

    return fsync


def test_folders_that_cannot_be_flushed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "fsync", _fails_for_folders(errno.EINVAL))
    files.write_atomically(tmp_path / "a", b"data")
    assert (tmp_path / "a").read_bytes() == b"data"
    monkeypatch.setattr(os, "fsync", _fails_for_folders(errno.EIO))
    with pytest.raises(StorageError):
        files.write_atomically(tmp_path / "b", b"data")


def test_a_file_system_without_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def flock(handle: int, how: int) -> None:
        del handle, how
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(RuntimeWarning, match="without locks"), locked(tmp_path / "out"):
        pass
    settings = {"deployment.budget": 10}
    with pytest.warns(RuntimeWarning, match="without locks"):
        assert rs.run("bandit", seeds=2, settings=settings, out=tmp_path / "runs").complete


@pytest.mark.parametrize(
    ("written", "cores"),
    [
        ({"cpu.max": "50000 100000"}, 0.5),
        ({"cpu.max": "250000 100000\n"}, 2.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_a_container_s_quota(
    written: dict[str, str], cores: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert execution._quota(tmp_path) == cores
    monkeypatch.setattr(execution, "_quota", lambda groups: cores)
    assert execution.usable_cores() >= 1
    if cores is not None:
        assert execution.usable_cores() <= max(1, cores)


WINDOWS = """
import os, sys
sys.modules["fcntl"] = None  # there is none
for name in ("sched_getaffinity", "sched_setaffinity", "getuid", "pread", "pwrite", "mkfifo", "sysconf", "O_NONBLOCK"):
    vars(os).pop(name, None)
vars(os).pop("O_NOFOLLOW", None)
from robustsim.sweep import executors
executors.can_fork = lambda: False
from robustsim.cli.main import main
for words in {commands!r}:
    main(words)
"""


def test_a_system_without_locks_forks_and_affinities(tmp_path: Path) -> None:
    """What Windows lacks: everything runs in one process there, and reading needs nothing of it."""
    out = str(tmp_path / "out")
    commands = [
        ["run", "bandit", "--seeds", "2", "--set", "deployment.budget=10", "--out", out],
        *([name, out] for name in ("status", "plot", "export")),
        ["report", out, "--replays", "0"],
    ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore::RuntimeWarning", "-c", WINDOWS.format(commands=commands)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert all((tmp_path / "out" / name).is_file() for name in ("race-plane.svg", "runs.csv", "report.html"))


def test_processes_are_refused_where_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("robustsim.sweep.run.can_fork", lambda: False)
    sweep = rs.Sweep("bandit", over={"overseer.coverage": [0.5, 1.0]}, seeds=20, settings={"deployment.budget": 10})
    with complains("executor", "processes", "inline"):
        sweep.run(tmp_path / "out", execution=rs.Execution(executor="processes"))
    assert sweep.run(tmp_path / "out").complete  # by itself it chooses what there is


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_terminal_that_cannot_show_a_table(encoding: str, tmp_path: Path) -> None:
    words = ["sweep", "bandit", "--over", "overseer.coverage=0.5,1.0", "--seeds", "1", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "robustsim.cli.main", *words, "--set", "deployment.budget=10"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert b"0.5" in done.stdout


def _command(*words: str, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """A command of the package, in a process of its own."""
    environment = {**os.environ, **more.pop("env", {})}
    command = [sys.executable, *more.pop("python", []), "-c", "from robustsim.cli.main import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, **more)


TINY = ("--set", "deployment.budget=10")


def test_files_where_one_works_do_not_take_the_place_of_python_s(tmp_path: Path) -> None:
    for name in ("queue", "random", "json", "selectors", "polars"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong file')\n")
    words = ["sweep", "bandit", "--over", "overseer.coverage=0.5,1.0", "--seeds", "2", *TINY, "--out", "out"]
    done = _command(*words, "--executor", "processes", "--workers", "1", cwd=tmp_path, python=["-P"])
    assert done.returncode == 0, done.stderr[-2000:]
    assert rs.open(tmp_path / "out").complete


@pytest.mark.slow  # every package is compiled anew
def test_without_docstrings(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BANDIT)
    done = _command("run", "mine.py", "--seeds", "1", *TINY, "--out", "out", cwd=tmp_path, python=["-OO"])
    assert done.returncode == 0, done.stderr[-2000:]
    assert rs.open(tmp_path / "out").manifest["what"]["claim"] == "A claim."


BANDIT = '''
import robustsim as rs


@rs.scenario
def mine() -> rs.Scenario:
    """A claim.

    And more.
    """
    return rs.load("bandit")(**rs.load("bandit").defaults)
'''


def test_a_file_is_found_wherever_it_is_and_wherever_one_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a@b c é"
    folder.mkdir()
    (folder / "mine.py").write_text(BANDIT)
    assert rs.load(folder / "mine.py").name == rs.load(f"{folder}/mine.py@mine").name == "mine"
    monkeypatch.chdir(folder)
    factory = rs.load("mine.py")
    monkeypatch.chdir(tmp_path)
    how = rs.Execution(executor="processes", workers=1)
    settings = {"deployment.budget": 10}
    assert rs.run(factory, seeds=1, settings=settings, out="out", execution=how).complete


def test_more_that_a_shell_tells_jax(tmp_path: Path) -> None:
    words = ["run", "bandit", "--seeds", "1", *TINY, "--set", "agent.gradient=sampled"]
    flags = {"JAX_DISABLE_JIT": "1", "JAX_TRANSFER_GUARD": "disallow"}
    done = _command(*words, cwd=tmp_path, env=flags, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    done = _command(*words, cwd=tmp_path, env={"JAX_PLATFORMS": "nosuchthing"}, timeout=100)
    assert done.returncode == 2
    one_line(done.stderr, "JAX_PLATFORMS", "nosuchthing")


def test_nobody_listens(tmp_path: Path) -> None:
    close = "import os, sys; os.close(1); sys.stdout = None; from robustsim.cli.main import main; main(['list'])"
    done = subprocess.run([sys.executable, "-c", close], stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_tilde_in_the_name_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ROBUSTSIM_CACHE", "~/scratch")
    assert files.cache_folder() == tmp_path / "scratch"


def test_a_matplotlibrc_changes_no_figure(
    small_results: tuple[rs.Results, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_results[0].plot(tmp_path / "plain.svg")
    for name, value in (("text.usetex", True), ("savefig.bbox", "tight"), ("font.size", 30.0), ("axes.grid", False)):
        monkeypatch.setitem(mpl.rcParams, name, value)
    small_results[0].plot(tmp_path / "theirs.svg")
    assert (tmp_path / "plain.svg").read_bytes() == (tmp_path / "theirs.svg").read_bytes()
    assert mpl.rcParams["font.size"] == 30.0


def test_a_folder_may_have_the_name_of_a_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bandit").mkdir()
    monkeypatch.chdir(tmp_path)
    with complains("'bandit'", "render"):  # it is the scenario that cannot be drawn, not a directory without results
        showing.replay("bandit")
