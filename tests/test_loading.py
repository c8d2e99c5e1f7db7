"""Loading scenario files: siblings, several in a file, names used twice, and what their hashes tell apart."""

import importlib.metadata
import shutil
import sys
from pathlib import Path

import pytest
from complaints import complains

import robustsim as rs
from robustsim.sim.agents import code_hash
from robustsim.spec import sources
from robustsim.spec.loading import load

HEAD = "import robustsim as rs\n"
BODY = '''
@rs.scenario
def {name}(gold: float = {gold}) -> rs.Scenario:
    """A claim."""
    grid = rs.Grid(map=rs.room(5), items={{"coin": rs.Item(reward=gold, ends=True)}}, max_steps=8)
    return rs.Scenario(
        env=grid.environment(), training_levels=grid.levels(), deployment_levels=grid.levels(),
        misbehaviour=grid.took("coin"), agent=rs.A2C(),
    )
'''


def test_siblings_of_two_folders_do_not_mix(tmp_path: Path) -> None:
    for folder, value in (("a", 1.0), ("b", 2.0)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "shared_values.py").write_text(f"GOLD = {value}\n")
        text = HEAD + "from shared_values import GOLD\n" + BODY.format(name="mine", gold="GOLD")
        (tmp_path / folder / "mine.py").write_text(text)
    assert load(str(tmp_path / "a" / "mine.py")).defaults == {"gold": 1.0}
    assert load(str(tmp_path / "b" / "mine.py")).defaults == {"gold": 2.0}
    assert "shared_values" not in sys.modules


def test_the_hash_covers_the_siblings(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("GOLD = 1.0\n")
    path = tmp_path / "mine.py"
    path.write_text(HEAD + "from helper import GOLD\n" + BODY.format(name="mine", gold="GOLD"))
    before = sources.digest(path)
    (tmp_path / "helper.py").write_text("GOLD = 3.0\n")
    assert sources.digest(path) != before


def test_the_hash_covers_a_package_beside_it(tmp_path: Path) -> None:
    (tmp_path / "helpers").mkdir()
    pay = tmp_path / "helpers" / "__init__.py"
    pay.write_text("from helpers.deeper import PAY\n")
    (tmp_path / "helpers" / "deeper.py").write_text("PAY = 2.0\n")
    path = tmp_path / "mine.py"
    path.write_text(HEAD + "from helpers import PAY\n" + BODY.format(name="mine", gold="PAY"))
    first = load(str(path))
    assert first.defaults == {"gold": 2.0}
    (tmp_path / "helpers" / "deeper.py").write_text("PAY = 0.0\n")
    second = load(str(path))
    assert second.source_hash != first.source_hash
    assert second.defaults == {"gold": 0.0}
    assert not [name for name in sys.modules if name.startswith("helpers")]


def test_the_hash_covers_data_files_that_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text = HEAD + BODY.format(name="mine", gold=1.0)
    path.write_text(text.replace("@rs.scenario", '@rs.scenario(files=["levels.txt"])'))
    with complains("files", "'levels.txt'"):
        load(str(path))
    (tmp_path / "levels.txt").write_text("one")
    before = load(str(path)).source_hash
    (tmp_path / "levels.txt").write_text("two")
    assert load(str(path)).source_hash != before
    path.write_text(text.replace("@rs.scenario", "@rs.scenario(files=NAMES)"))
    with complains("files", "NAMES"):
        load(str(path))


def test_the_code_below_a_scenario_has_versions_and_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    def fresh(*packages: str) -> str:
        code_hash.cache_clear()
        return code_hash(packages)

    plain, gymnax = fresh(), fresh("gymnax")
    assert plain != gymnax
    versions = importlib.metadata.version
    for name in ("optax", "gymnax"):
        monkeypatch.setattr(importlib.metadata, "version", lambda x, name=name: "0" if x == name else versions(x))
        assert fresh("gymnax") != gymnax
        monkeypatch.undo()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert fresh() != plain
    monkeypatch.undo()
    code_hash.cache_clear()


def test_what_a_scenario_imports_from_elsewhere_is_known() -> None:
    assert "gymnax" in load("four_rooms").packages
    assert "robustsim" not in load("camera_vault").packages


def test_several_scenarios_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text(HEAD + BODY.format(name="one", gold=1.0) + BODY.format(name="two", gold=2.0))
    assert load(f"{path}@two").defaults == {"gold": 2.0}
    with complains(path, f"{path}@one", f"{path}@two"):
        load(str(path))
    with complains(path, "'tow'", "'two'"):
        load(f"{path}@tow")


def test_a_package_s_scenario_by_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "labworlds").mkdir()
    (tmp_path / "labworlds" / "__init__.py").write_text("")
    (tmp_path / "labworlds" / "first.py").write_text(HEAD + BODY.format(name="first", gold=1.5))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load("labworlds.first:first").defaults == {"gold": 1.5}


def test_a_module_may_import_relatively(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "fieldworlds" / "hard"
    package.mkdir(parents=True)
    (tmp_path / "fieldworlds" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (tmp_path / "fieldworlds" / "pay.py").write_text("GOLD = 1.5\n")
    path = package / "first.py"
    path.write_text(HEAD + "from ..pay import GOLD\n" + BODY.format(name="first", gold="GOLD"))
    by_file = load(str(path))  # as workers load it, whose path does not have the package
    assert by_file.defaults == {"gold": 1.5}
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load("fieldworlds.hard.first:first").defaults == {"gold": 1.5}
    (tmp_path / "fieldworlds" / "pay.py").write_text("GOLD = 2.5\n")
    assert load(str(path)).source_hash != by_file.source_hash


def test_inline_scenarios_of_one_name_are_told_apart() -> None:
    names: dict = {}
    for key, gold in (("a", 1.0), ("b", 2.0)):
        scope: dict = {}
        exec(HEAD + BODY.format(name="mine", gold=gold), scope)
        names[key] = scope["mine"]
    assert names["a"].source_hash != names["b"].source_hash


def test_a_clone_of_this_package_beside_a_scenario_is_no_part_of_it(tmp_path: Path) -> None:
    """A scenario in the root of a clone, as the tutorial has it, was read for minutes."""
    text = HEAD + BODY.format(name="mine", gold=1.0)
    for folder in ("alone", "clone"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(text)
    shutil.copytree(Path(rs.__file__).parent, tmp_path / "clone" / "robustsim")
    assert list(sources.parts(tmp_path / "clone" / "mine.py")) == [tmp_path / "clone" / "mine.py"]
    assert sources.digest(tmp_path / "clone" / "mine.py") == sources.digest(tmp_path / "alone" / "mine.py")


def test_a_large_package_beside_a_scenario_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "__init__.py").write_text("")
    for i in range(60):
        imports = "\n".join(f"from large import m{(i + j) % 60}" for j in range(1, 6))
        (tmp_path / "large" / f"m{i}.py").write_text(imports)
    (tmp_path / "mine.py").write_text("from large import m0\n" + HEAD + BODY.format(name="mine", gold=1.0))
    read: list[Path] = []
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: (read.append(self), original(self))[1])
    assert len(sources.parts(tmp_path / "mine.py")) == 62
    assert len(read) == 62
    listed: list[Path] = []
    walk = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda self, *a: (listed.append(self), walk(self, *a))[1])
    sources.parts(tmp_path / "mine.py")
    assert len(listed) == 1


def test_a_file_without_its_ending_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lawn.py").write_text("")
    (tmp_path / "lawn.txt").write_text("")
    for word in ("lawn", "lawn.txt"):
        with complains(repr(word), "'lawn.py'"):
            load(word)
