"""Results that come from somebody else: reading, plotting and reporting them runs nothing that they name."""

import json
from pathlib import Path
from typing import Any

import pytest
from complaints import complains
from test_loading import BODY, HEAD

import robustsim as rs
from robustsim import replays
from robustsim.cli.main import main
from robustsim.errors import StorageError
from robustsim.spec import sources
from robustsim.spec.loading import load
from robustsim.spec.remembered import recall, remember
from robustsim.sweep import store

MARK = "\nfrom pathlib import Path\nPath({mark!r}).write_text('executed')\n"


@pytest.fixture
def mine(tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A scenario's file, and results of it."""
    monkeypatch.setenv("ROBUSTSIM_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "mine.py"
    path.write_text(HEAD + BODY.format(name="mine", gold=1.0))
    rs.run(str(path), seeds=2, settings={**small, "evaluation.episodes": 16}, out=tmp_path / "results")
    return path, tmp_path / "results"


def _received(folder: Path, mark: Path, **changes: Any) -> None:
    """Makes the results name a file inside of them, as a stranger could, with every checksum right."""
    evil = folder / "evil.py"
    evil.write_text(HEAD + BODY.format(name="mine", gold=1.0) + MARK.format(mark=str(mark)))
    manifest = json.loads((folder / store.MANIFEST).read_text())
    manifest.pop("sha256")
    manifest |= {"scenario_file": "evil.py", "spec": f"{evil}@mine", **changes}
    store.write_manifest(folder, manifest)


def test_nothing_in_the_directory_is_executed(mine: tuple[Path, Path], tmp_path: Path) -> None:
    path, folder = mine
    mark = tmp_path / "mark"
    _received(folder, mark)
    path.unlink()
    for words in (["report", str(folder)], ["plot", str(folder)], ["status", str(folder)], ["replay", str(folder)]):
        with pytest.raises(SystemExit) if words[0] == "replay" else _quietly():
            main(words)
    with complains("scenario", "'mine'", "--scenario"):
        replays.factory_of(rs.open(folder))
    assert not mark.exists()


class _quietly:  # a context without an effect, beside pytest.raises
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def test_a_file_that_was_run_here_is_found_again_while_it_is_the_same(mine: tuple[Path, Path]) -> None:
    path, folder = mine
    assert replays.factory_of(rs.open(folder)).name == "mine"
    known = load(str(path)).source_hash
    assert recall(known) == path
    path.write_text(path.read_text() + "\n# changed\n")
    assert recall(known) is None
    with complains("scenario", "'mine'", "--scenario"):
        replays.factory_of(rs.open(folder))


def test_notes_stay_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTSIM_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "mine.py"
    path.write_text(HEAD + BODY.format(name="mine", gold=1.0))
    factory = load(str(path))
    remember(factory)
    assert [p.parent for p in tmp_path.rglob("*") if p.is_file() and p != path] == [tmp_path / "cache" / "scenarios"]
    assert recall("../../mine.py") is None
    assert recall(sources.digest(path)) == path


def test_a_manifest_that_is_nested_too_deeply_is_damaged(tmp_path: Path) -> None:
    (tmp_path / store.MANIFEST).write_text('{"what": ' + "[" * 200_000 + "]" * 200_000 + "}")
    with pytest.raises(StorageError, match="damaged"):
        store.read_manifest(tmp_path)
