"""What README and docs show works: scenario files are sound, names and commands exist, tables are current."""

import dataclasses
import importlib.util
import itertools
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

import robustsim as rs
from robustsim import catalogue, events
from robustsim.analysis import evidence, glossary
from robustsim.cli.main import main
from robustsim.report import figures
from robustsim.sim import check
from robustsim.sim.track import ARMS
from robustsim.spec import twins
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve
from robustsim.sweep.progress import Status

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


BLOCK = re.compile(r"(?:<!-- (not run|file): (.*?) -->\n)?^ *```(\w+)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    """The blocks in a language, but for those under a mark that says why they are not run (`<!-- not run: ... -->`)."""
    found = [block for page in PAGES for block in BLOCK.findall(page.read_text())]
    return [text for mark, _, kind, text in found if kind == language and mark != "not run"]


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
        for target in re.findall(r"\]\(([^)#]+)\)", re.sub(r"`[^`\n]*`", "", page.read_text())):
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


def test_the_citation_is_of_this_version() -> None:
    """And says what the package says."""
    text, project = (ROOT / "CITATION.cff").read_text(), tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"\nversion: {rs.__version__}\n" in text
    assert f"\nlicense: {project['license']}\n" in text
    assert re.findall(r"^  - ([a-z ]+)$", text.partition("keywords:")[2], re.MULTILINE) == project["keywords"]


# --- pages that are made from the code ---


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """The pages as `python docs/generate.py` would write them."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


@pytest.mark.parametrize("page", ["columns.md", "glossary.md", "api.md"])
def test_a_page_that_is_made_from_the_code_is_current(made: dict[str, str], page: str) -> None:
    """Otherwise `python docs/generate.py` makes it so."""
    assert (ROOT / "docs" / page).read_text() == made[page]


def test_the_glossary_has_a_place_for_each_of_its_tables(made: dict[str, str]) -> None:
    for table in glossary.tables().values():
        assert f"-->\n{table}\n<!--" in made["glossary.md"]


def test_every_public_name_is_explained_without_building_anything(made: dict[str, str]) -> None:
    for name in rs.__all__:
        assert name == "__version__" or f"\n### rs.{name}\n" in made["api.md"], name


def test_the_glossary_has_exactly_the_columns_of_a_spectrum(small_results: tuple[rs.Results, Path]) -> None:
    assert small_results[0].spectrum().columns == [entry.name for entry in glossary.SPECTRUM]


@pytest.mark.same_keys
def test_the_glossary_has_exactly_the_keys_of_a_summary(small: dict) -> None:
    """Of one with defences, which has all of them."""

    def compare(found: dict[str, Any], said: Any) -> None:
        assert list(found) == list(said)
        for key, value in found.items():
            parts = said[key][1] if said is glossary.SUMMARY else said[key]
            if parts and isinstance(value, dict):
                compare(value, parts)

    compare(rs.run("camera_vault", seeds=2, settings={**small, "defences.block_rate": 0.5}).summary(), glossary.SUMMARY)


def test_the_glossary_has_exactly_the_labels_of_the_code() -> None:
    code = Path(evidence.__file__).read_text()
    assert [name for name in glossary.FLAGS if code.count(f'"{name}"') < 2] == []  # once explained, and once given
    assert {event.name.lower() for event in events.Event} == set(glossary.FIRST_EVENTS)
    assert set(ARMS) == set(glossary.ARMS)
    assert set(events.CONDITIONS) == set(glossary.CONDITIONS)
    assert [field.name for field in dataclasses.fields(Status)] == list(glossary.STATUS)
    assert {name for spec in ("coin_run", "reward_button") for name in twins.twins(load(spec))} == set(glossary.TWINS)


# --- commands ---

CATALOGUE = catalogue.installed()

CONSOLE = [line.strip()[2:] for block in blocks("console") for line in block.splitlines() if "$ robustsim " in line]


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


@pytest.mark.parametrize("line", [line for line in CONSOLE if line.split()[2:3] and line.split()[2] in CATALOGUE])
def test_settings_that_are_shown_exist(line: str) -> None:
    """Those of `--set` and `--over`, with values that the scenario takes."""
    words, given = line.split(), {}
    for option, word in itertools.pairwise(words):
        if option in ("--set", "--over"):
            name, _, values = word.partition("=")
            given[name] = re.split("[,:]", values)[0]
    resolve(load(words[2]), given)


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


@pytest.mark.same_keys
def test_the_recipes_work_one_after_the_other(small: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks under `<!-- file: NAME -->` are saved, those under `<!-- not run: ... -->` left out, all others run."""
    run, names = rs.run, {}
    quick = {**small, "deployment.budget": 11}

    def quickly(scenario: Any, **given: Any) -> rs.Results:
        return run(scenario, **({**given, "settings": quick} if scenario == "measured.py" else given))

    monkeypatch.setattr(rs, "run", quickly, raising=False)
    monkeypatch.chdir(tmp_path)
    for mark, about, kind, block in BLOCK.findall((ROOT / "docs" / "recipes.md").read_text()):
        if mark == "file":
            Path(about).write_text(block)
        elif mark != "not run" and kind == "python":
            exec(compile(block, "recipes.md", "exec"), names)
        elif mark != "not run":
            for line in re.findall(r"^\$ robustsim (.*)$", block, re.MULTILINE):
                assert status(shlex.split(line)) == 0, line
    assert len(rs.open("results/bandit").runs) == 12
    assert len(rs.open("results/array").runs) == 40
    assert {"penalties.svg", "runs.csv", "table.tex", "traces.pdf", "curve.pdf"} <= {
        path.name for path in tmp_path.iterdir()
    }


@pytest.mark.slow
def test_the_example_notebook_runs() -> None:
    exec(compile((ROOT / "docs" / "example.py").read_text(), "example.py", "exec"), {})
