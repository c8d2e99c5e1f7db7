"""The cache of compiled programs: whose it is, how large it grows, and for which CPU."""

import os
from pathlib import Path

import jax
import pytest

from robustsim.sweep import compiled


def test_the_cache_of_the_user_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    assert compiled.folder() == tmp_path / "mine"
    before = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    try:
        compiled.keep()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "mine")  # pyright: ignore[reportAttributeAccessIssue]
        assert not (tmp_path / "mine").exists()
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_each_kind_of_cpu_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("ROBUSTSIM_CACHE", str(tmp_path))
    here = compiled.folder()
    assert here == tmp_path / "compiled" / compiled.cpu_kind()
    monkeypatch.setattr(compiled.platform, "machine", lambda: "another")
    assert compiled.folder() != here


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    assert compiled.size(tmp_path / "missing") == 0
    for i in range(10):
        (tmp_path / f"{i}-cache").write_bytes(bytes(100))
        os.utime(tmp_path / f"{i}-cache", (i, i))
    compiled.shrink(tmp_path, 1000)
    assert compiled.size(tmp_path) == 1000  # it is not exceeded
    compiled.shrink(tmp_path, 800)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{i}-cache" for i in range(4, 10)]
