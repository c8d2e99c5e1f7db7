"""The commands that show results: status, goals, plot, export, report, replay."""

import dataclasses
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from robustsim import catalogue
from robustsim.cli.options import Folder, Json, Overrides, Where
from robustsim.cli.parsing import parse_overrides, parse_where, parse_whole
from robustsim.errors import UserError
from robustsim.report.console import progress
from robustsim.sweep.layout import MANIFEST

DOSES = "doses"  # the figure of a relabelling


def status(results: Folder, as_json: Json = False) -> None:
    """Reports how much of a sweep is done, running and failed, and the time left."""
    from robustsim.results import to_json
    from robustsim.sweep import progress

    state = progress.status(Path(results))
    print(to_json(dataclasses.asdict(state)) if as_json else progress.in_words(state))


def plot(results: Folder, figure: str = "race-plane", out: str = "", where: Where = ()) -> None:
    """Draws a figure of finished results.

    Args:
        figure: name of the figure; `--figure help` lists them.
        out: file to write (.svg, .png, .pdf); by default FIGURE.svg in the results directory.
    """
    from robustsim.report import attributed_figures, figures
    from robustsim.results import open_results

    of_attributions = sorted(attributed_figures.FIGURES)
    if figure == "help":
        others = [*(f"{name} (of an attribution)" for name in of_attributions), f"{DOSES} (of a relabelling)"]
        print("\n".join([*figures.names(), *others]))
        return
    target = out or str(Path(results) / f"{figure}.svg")
    if figure in of_attributions:
        from robustsim.attribution.answer import Attribution

        Attribution.read(results).plot(target, figure)
        print(target)
        return
    if figure == DOSES:
        from robustsim.attribution.relabelled import Relabel

        Relabel.read(results).plot(target)
        print(target)
        return
    figures.draw(open_results(results).where(parse_where(where)), figure, target)
    print(target)


def goals(results: Folder, where: Where = (), as_json: Json = False) -> None:
    """Says which features of outcomes were goals of the agents, and what became of them (evaluation.goals)."""
    from robustsim.analysis.goals import goals as measured
    from robustsim.report import goal_tables
    from robustsim.results import open_results, to_json

    found = measured(open_results(results).where(parse_where(where)))
    print(to_json(found) if as_json else goal_tables.in_words(found))


def export(results: Folder, table: str = "runs", out: str = "", where: Where = ()) -> None:
    """Writes a table of finished results for another program.

    Args:
        table: runs, traces, spectrum or failed.
        out: file to write (.csv, .parquet, .json; the spectrum also as .tex); by default TABLE.csv in the directory.
    """
    from robustsim.results import open_results

    print(open_results(results).where(parse_where(where)).export(out or Path(results) / f"{table}.csv", table))


def report(results: Folder, out: str = "", replays: int = 4, scenario: str = "") -> None:
    """Writes a self-contained HTML page about finished results.

    Args:
        out: file to write; by default report.html in the results directory.
        replays: number of typical runs to reproduce and record; 0 is fastest.
        scenario: file of the scenario, if it is not installed.
    """
    from robustsim.report import page
    from robustsim.results import open_results

    target = out or str(Path(results) / "report.html")
    opened = open_results(results)
    page.check_out(target)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        print(opened.report(target, replays=replays, folder=results, scenario=scenario))
    for warning in caught:
        print(f"robustsim: {warning.message}", file=sys.stderr)


def replay(
    source: Annotated[Positional[str], arg(metavar="SPEC|DIR")],
    out: str = "replay.gif",
    seed: str = "",
    episodes: int = 3,
    overrides: Overrides = (),
    scenario: str = "",
) -> None:
    """Films an agent before, during and after correction, watched and unwatched, as GIF or WebP.

    Args:
        source: a scenario to run (as for `robustsim run`), or a results directory.
        out: file to write (.gif, .webp).
        seed: seed of the run; by default 0, or that of a typical run in the directory.
        episodes: number of episodes, 1 to 8.
        scenario: file of the scenario that made the directory, if it is not installed.
    """
    from robustsim.report import replay as films

    films.check_out(out)
    changes, number = parse_overrides(overrides), parse_whole("seed", seed, 0) if seed else None
    if not 1 <= episodes <= 8:
        raise UserError(f"episodes: {episodes} is not allowed; use a whole number from 1 to 8")
    from robustsim import replays
    from robustsim.results import open_results

    if (Path(source) / MANIFEST).is_file() or (Path(source).is_dir() and source not in catalogue.installed()):
        results, folder = open_results(source), source
        row = replays.picked(results, number, changes)
    else:
        if scenario:
            raise UserError(f"scenario: is only allowed with a results directory; {source!r} is the scenario itself")
        results, folder = _run_one(source, number or 0, changes), None
        row, scenario = results.runs.row(0, named=True), source
    (recording,) = replays.make(results, [row], episodes=episodes, folder=folder, scenario=scenario)
    size = films.write(recording, out)
    steps = ", ".join(f"{stage.name} {stage.step:,}" for stage in recording.stages)
    print(f"{out}  ({size / 1000:,.0f} kB; {recording.scenario}, seed {recording.seed}, gradient steps: {steps})")


def _run_one(spec: str, seed: int, changes: dict[str, str]) -> Any:
    """The results of one run of a scenario, in memory, after a check that it can be drawn."""
    from robustsim import api
    from robustsim.sim.film import check_drawable
    from robustsim.spec.loading import load

    factory = load(spec)
    check_drawable(factory)
    with progress() as narrate:
        return api.run(factory, seeds=[seed], settings=changes, narrate=narrate)
