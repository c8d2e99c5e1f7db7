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

import pytest

import robustsim as rs
from robustsim import files
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
