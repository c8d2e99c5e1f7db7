"""Files are whole or not there, damage is noticed, and the cache is where it was asked to be."""

import hashlib
import os
from pathlib import Path

import pytest
from complaints import complains
from hypothesis import example, given
from hypothesis import strategies as st

from robustsim import files
from robustsim.errors import StorageError


def test_a_file_is_written_with_its_folders_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.bin"
    for data in (b"first", b"", b"second" * 1000):
        files.write_atomically(path, data)
        assert path.read_bytes() == data
        assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.bin"
    files.write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, full)
        with complains(path, "No space left on device", error=StorageError):
            files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_a_killed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.bin"
    files.write_atomically(path, b"old")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with complains(tmp_path / "file" / "below", error=StorageError):
        files.write_atomically(tmp_path / "file" / "below", b"")
    (tmp_path / "folder").mkdir()
    with complains(tmp_path / "folder", error=StorageError):
        files.write_atomically(tmp_path / "folder", b"")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_data_reaches_the_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("flush"), fsync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (order.append("rename"), replace(*names))[1])
    files.write_atomically(tmp_path / "file", b"x")
    assert order == ["flush", "rename", "flush"]  # the file, its name, the folder


@given(st.binary(max_size=200))
def test_a_sealed_payload_comes_back(payload: bytes) -> None:
    assert files.unseal(files.seal(payload)) == payload


@given(st.binary(max_size=60), st.integers(0, 10**6), st.integers(1, 255))
def test_any_changed_byte_is_noticed(payload: bytes, place: int, change: int) -> None:
    data = bytearray(files.seal(payload))
    data[place % len(data)] ^= change
    assert files.unseal(bytes(data)) is None


@given(st.binary(max_size=60), st.integers(0, 10**6))
@example(b"", 64)  # the checksum of nothing, without its line end
def test_a_cut_file_is_noticed(payload: bytes, place: int) -> None:
    data = files.seal(payload)
    assert files.unseal(data[: place % len(data)]) is None
    assert files.unseal(data + b"x") is None


@given(st.binary(max_size=100))
def test_what_was_never_sealed_is_damaged(data: bytes) -> None:
    assert files.unseal(data) is None


@given(st.binary(max_size=100))
def test_the_digest_is_sha256(data: bytes) -> None:
    assert files.digest(data) == hashlib.sha256(data).hexdigest()


def test_the_cache_is_where_it_was_asked_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTSIM_CACHE", "/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert files.cache_folder() == Path("/somewhere")
    monkeypatch.setenv("ROBUSTSIM_CACHE", "")
    assert files.cache_folder() == Path("/xdg/robustsim")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("ROBUSTSIM_CACHE")
    assert files.cache_folder() == Path.home() / ".cache" / "robustsim"
