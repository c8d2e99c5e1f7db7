"""Loading scenario files: siblings, several in a file, names used twice, and what their hashes tell apart."""

import sys
from pathlib import Path

import pytest
from complaints import complains

from robustsim.spec.loading import load, source_digest

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
    before = source_digest(path)
    (tmp_path / "helper.py").write_text("GOLD = 3.0\n")
    assert source_digest(path) != before


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


def test_inline_scenarios_of_one_name_are_told_apart() -> None:
    names: dict = {}
    for key, gold in (("a", 1.0), ("b", 2.0)):
        scope: dict = {}
        exec(HEAD + BODY.format(name="mine", gold=gold), scope)
        names[key] = scope["mine"]
    assert names["a"].source_hash != names["b"].source_hash
