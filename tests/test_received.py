"""Results that come from somebody else: reading, plotting and reporting them runs nothing that they name."""

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from complaints import complains, complaint, says
from test_loading import BODY, HEAD

import robustsim as rs
from robustsim import files, npz, replays
from robustsim.cli.main import main
from robustsim.errors import StorageError, UserError
from robustsim.report import figures, page
from robustsim.spec import sources
from robustsim.spec.loading import load
from robustsim.spec.remembered import recall, remember
from robustsim.sweep import checkpoint, progress, received, store

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


# --- tables, arrays, links and texts that are not what was written, with every checksum right ---


def _reseal(folder: Path, **tables: pl.DataFrame | bytes) -> None:
    """Exchanges tables of the first shard, and makes its mark vouch for them."""
    path = folder / "shards" / "00000.json"
    mark = json.loads(files.unseal(path.read_bytes()) or b"")
    for name, table in tables.items():
        data = table if isinstance(table, bytes) else store.to_parquet(table)
        (folder / "shards" / f"00000.{name}.parquet").write_bytes(data)
        mark["sha256"][name] = files.digest(data)
    path.write_bytes(files.seal(json.dumps(mark).encode()))


def _manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((folder / store.MANIFEST).read_text())
    manifest.pop("sha256")
    change(manifest)
    store.write_manifest(folder, manifest)


@pytest.fixture(scope="module")
def bandit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bandit") / "out"
    settings = {"deployment.budget": 20, "catastrophe.threshold": 5}
    rs.Sweep("bandit", over={"overseer.coverage": [0.5, 1.0]}, seeds=2, settings=settings).run(folder)
    return folder


@pytest.fixture
def theirs(bandit: Path, tmp_path: Path) -> Path:
    """A copy of some results, to be tampered with."""
    return Path(shutil.copytree(bandit, tmp_path / "theirs"))


def _commands(folder: Path) -> Iterator[list[str]]:
    yield from (["status", str(folder)], ["plot", str(folder)], ["report", str(folder), "--replays", "0"])
    yield ["export", str(folder), "--out", str(folder / "a.csv")]


def test_a_table_that_unpacks_to_more_than_there_is_memory(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = pl.read_parquet(theirs / "shards" / "00000.runs.parquet")
    many = pl.concat([runs.head(1)] * 50_000)
    assert len(store.to_parquet(many)) < 200_000  # it looks harmless
    _reseal(theirs, runs=many)
    monkeypatch.setattr(received, "memory", lambda: 10_000_000)
    with complains(theirs / "shards", "memory", error=StorageError):
        rs.open(theirs)


@pytest.mark.parametrize("what", ["another table", "no table", "other types", "a column less"])
def test_a_table_that_is_another_is_damaged(theirs: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    runs = pl.read_parquet(theirs / "shards" / "00000.runs.parquet")
    table = {
        "another table": pl.DataFrame({"x": [1]}),
        "no table": b"PAR1 and no more",
        "other types": runs.with_columns(steps_to_correct=pl.lit("soon")),
        "a column less": runs.drop("first_event"),
    }[what]
    _reseal(theirs, runs=table)
    with complains(theirs / "shards", error=StorageError):
        rs.open(theirs)
    for words in _commands(theirs):
        if words[0] != "status":
            assert says(complaint(capsys, *words), theirs / "shards")


MANIFESTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "no plan": lambda m: m.pop("plan"),
    "a plan of words": lambda m: m["plan"].update(shards="many"),
    "no scenario": lambda m: m["what"].pop("scenario"),
    "a list of settings": lambda m: m["what"].update(settings=[1]),
    "a text that moves the cursor": lambda m: m["what"].update(claim="\x1b]0;mine\x07"),
    "a control sequence in a command": lambda m: m.update(command="robustsim \x9b2J"),
}


@pytest.mark.parametrize("change", MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_is_another_is_damaged(
    theirs: Path, change: Callable[[dict[str, Any]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    _manifest(theirs, change)
    with complains(theirs / store.MANIFEST, error=StorageError):
        rs.open(theirs)
    for words in _commands(theirs):
        said = complaint(capsys, *words)
        assert says(said, theirs / store.MANIFEST)
        assert "\x1b" not in said


@pytest.mark.parametrize("change", [{"runs": "all"}, {"failed": [[0, "why"]]}, {"shard": None}, {"steps": {}}])
def test_a_mark_that_is_another_counts_as_not_there(theirs: Path, change: dict[str, Any]) -> None:
    path = theirs / "shards" / "00000.json"
    mark = json.loads(files.unseal(path.read_bytes()) or b"") | change
    path.write_bytes(files.seal(json.dumps(mark).encode()))
    assert progress.status(theirs).shards_done < progress.status(theirs).shards
    with complains(path, error=StorageError):
        rs.open(theirs)


def test_deep_and_huge_json_is_damaged(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = theirs / "shards" / "00000.json"
    path.write_bytes(files.seal(b"[" * 100_000))
    with complains(path, error=StorageError):
        rs.open(theirs)
    monkeypatch.setattr(store, "MOST_MANIFEST", 100)
    with complains(theirs / store.MANIFEST, 100, error=StorageError):
        rs.open(theirs)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
@pytest.mark.timeout(20)
def test_what_never_ends_is_not_read(theirs: Path) -> None:
    """A pipe, and a link to a device."""
    mark, manifest = theirs / "shards" / "00000.json", theirs / store.MANIFEST
    mark.unlink()
    os.mkfifo(mark)
    with complains(mark, error=StorageError):
        rs.open(theirs)
    manifest.unlink()
    manifest.symlink_to("/dev/zero")
    with complains(manifest, error=StorageError):
        rs.open(theirs)


def test_nothing_is_written_through_a_link(theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    names = ("race-plane.svg", "report.html", "runs.csv", "lock")
    for name in names:
        (theirs / name).unlink(missing_ok=True)
        (theirs / name).symlink_to(mine)
    main(["plot", str(theirs)])
    main(["report", str(theirs), "--replays", "0"])
    main(["export", str(theirs)])
    capsys.readouterr()
    settings = ["--set", "deployment.budget=20", "--set", "catastrophe.threshold=5", "--out", str(theirs)]
    said = complaint(capsys, "sweep", "bandit", "--over", "overseer.coverage=0.5,1.0", "--seeds", "3", *settings)
    assert says(said, theirs)
    assert mine.read_text() == "mine"
    (theirs / "lock").unlink()
    other = tmp_path / "other"
    shutil.move(theirs / "shards", other)
    (theirs / "shards").symlink_to(other)
    held = sorted(other.iterdir())
    said = complaint(capsys, "sweep", "bandit", "--overwrite", "--seeds", "3", "--out", str(theirs))
    assert says(said, theirs / "shards")
    assert sorted(other.iterdir()) == held


@pytest.mark.parametrize("name", ["../../mine", "/etc/passwd", "..\\mine", "a/../../b", "\u202emine"])
def test_names_from_results_are_no_paths(theirs: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: (opened.append(self), original(self, *a, **k))[1])
    try:
        _manifest(theirs, lambda m: m["what"].update(scenario=name, source_sha256=name))
        with complains(error=UserError):
            replays.factory_of(rs.open(theirs))
    finally:
        monkeypatch.undo()
    assert not [path for path in opened if "passwd" in str(path) or "mine" in path.name]


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.mark, "executed")


def test_arrays_are_arrays(tmp_path: Path) -> None:
    mark, buffer = tmp_path / "mark", io.BytesIO()
    np.savez(buffer, head=np.array([Bomb(mark)], object))
    for data in (buffer.getvalue(), b"", b"PK\x03\x04", buffer.getvalue()[:-9]):
        with pytest.raises(ValueError, match=r"."):
            npz.arrays(data)
        assert checkpoint.unpack(files.seal(data), lambda _: [], None, "", "") is None
    assert not mark.exists()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, head=np.zeros(10_000_000))  # ten kilobytes that would be eighty megabytes
    with pytest.raises(ValueError, match="compressed"):
        npz.arrays(buffer.getvalue())
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(3))
    assert npz.arrays(buffer.getvalue())["a"].tolist() == [0, 1, 2]


HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>{{data}}&amp;\u2028'\"`${x}"


def test_the_page_shows_every_text_as_a_text(theirs: Path) -> None:
    def change(m: dict[str, Any]) -> None:
        m["what"]["settings"] = {HOSTILE: HOSTILE, **m["what"]["settings"]}
        m["what"] |= {"scenario": HOSTILE, "claim": HOSTILE}
        m |= {"command": HOSTILE, "device": HOSTILE, "versions": {HOSTILE: HOSTILE}}

    results = rs.open(theirs)
    assert len(results.traces)  # read before the manifest is changed
    change(results.manifest)
    results.failed = pl.DataFrame({"overseer.coverage": [0.5], "seed": [3], "why": [HOSTILE]})
    results.runs = results.runs.with_columns(run_id=pl.lit(HOSTILE) + pl.col("run_id"))
    text = page.build(results, note=HOSTILE, folder=HOSTILE)
    plain = page.build(rs.open(theirs))
    for word in ("<img", "onerror=alert(1)>", "<script>alert"):
        assert word not in text
    assert text.count("<script") == plain.count("<script")
    assert text.count("</script") == plain.count("</script")
    assert "&lt;img src=x" in text


def test_figures_show_dollars_as_dollars(theirs: Path, tmp_path: Path) -> None:
    results = rs.open(theirs)
    assert len(results.traces)
    results.manifest["what"]["scenario"] = r"a$\nosuchthing{$ $"
    for name in figures.names():
        if name == "goals":  # of which there are none
            continue
        results.plot(tmp_path / "f.svg", name)
        results.where({"overseer.coverage": 0.5}).plot(tmp_path / "f.svg", name) if name != "map" else None


def test_the_page_makes_no_markup_of_texts() -> None:
    for path in (Path(page.__file__).parent / "template").glob("*.js"):
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert word not in path.read_text(), (path, word)
