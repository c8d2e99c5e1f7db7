"""What README and docs show works: scenario files are sound, names and commands exist."""

import re
from pathlib import Path

import pytest

import robustsim as rs
from robustsim import catalogue
from robustsim.cli.main import main
from robustsim.report import figures
from robustsim.sim import check
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    return [b for page in PAGES for b in re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)]


@pytest.mark.parametrize("block", [b for b in blocks("python") if "@rs.scenario" in b])
@pytest.mark.same_keys
def test_a_scenario_that_is_shown_is_sound(block: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.py"
    path.write_text(block)
    factory = load(str(path))
    assert check.inspect(factory, resolve(factory, {})).problems == []


@pytest.mark.same_keys
def test_the_python_of_the_readme_runs(small: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block itself, with small settings in place of its own."""
    (block,) = [b for b in blocks("python") if "rs.Sweep(scenario=scenario" in b]
    quick = {"seeds": 2, "settings": small}
    run, sweep = rs.run, rs.Sweep
    monkeypatch.setattr(rs, "run", lambda scenario, **given: run(scenario, **{**given, **quick}), raising=False)
    monkeypatch.setattr(rs, "Sweep", lambda **given: sweep(**{**given, **quick}), raising=False)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    assert (tmp_path / "vault.svg").exists()


def test_the_python_of_the_page_on_sweeps_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [b for b in blocks("python") if "design=" in b]
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(block, "sweeps.md", "exec"), names)
    assert len(names["results"].runs) == 16


def test_every_link_and_picture_is_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_scenario_and_figure_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in [*catalogue.installed(), *figures.names()]:
        assert name in readme


def test_every_column_is_explained(small_results: tuple[rs.Results, Path]) -> None:
    text = (ROOT / "docs" / "columns.md").read_text()
    for column in small_results[0].runs.columns:
        stem = re.sub(r"_lower$", "", column)
        assert stem in text, column


CONSOLE = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ robustsim ")]


@pytest.mark.parametrize("line", CONSOLE)
def test_commands_that_are_shown_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command and each of its options, by its own help."""
    words = line.split()[1:]
    with pytest.raises(SystemExit) as ended:
        main([words[0], "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    for word in words:
        assert not word.startswith("--") or word in told, word


def status(words: list[str]) -> int:
    """The exit status of a command."""
    try:
        main(words)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.mark.same_keys
def test_the_tutorial_works_from_its_scenario_to_its_page(
    small: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its commands one after the other, with small settings; the demo and the installation apart."""
    page = (ROOT / "docs" / "tutorial.md").read_text()
    scenario, after = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("cat_and_dust.py").write_text(scenario)
    lines = [c for c in re.findall(r"\$ robustsim (.*)", page) if "cat" in c and "camera" not in c]
    assert len(lines) >= 7
    for line in lines:
        words = line.replace("--seeds 8", "--seeds 2").replace("0,0.02,0.1", "0,0.1").split()
        if words[0] in ("run", "sweep"):
            words += [word for name, value in small.items() for word in ("--set", f"{name}={value}")]
        assert status(words) == 0, line
        assert "no replays" not in capsys.readouterr().err
    exec(compile(after, "tutorial.md", "exec"), {})
    assert {"cat.html", "cat.gif", "spectrum.svg"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_the_example_notebook_runs() -> None:
    exec(compile((ROOT / "docs" / "example.py").read_text(), "example.py", "exec"), {})
