"""The commands that show: report, replay."""

import sys
import warnings
from pathlib import Path

from robustsim.cli.console import progress
from robustsim.cli.parsing import parse_overrides, parse_whole
from robustsim.errors import UserError
from robustsim.report import place
from robustsim.results import Results, open_results


def replay(source: str, out: str, seed: str, episodes: int, overrides: tuple[str, ...], scenario: str) -> None:
    """`robustsim replay`."""
    from robustsim.report import replay as films

    films.check_out(out)
    changes, number = parse_overrides(overrides), _parse_seed(seed)
    if not 1 <= episodes <= 8:
        raise UserError(f"episodes: {episodes} is not allowed; use a whole number from 1 to 8")
    from robustsim import replays

    if Path(source).is_dir():
        results = open_results(source)
        row = replays.picked(results, number, changes)
        folder = source
    else:
        if scenario:
            raise UserError(f"scenario: is only allowed with a results directory; {source!r} is the scenario itself")
        results, folder = _run_one(source, number or 0, changes), None
        row, scenario = results.runs.row(0, named=True), source
    (recording,) = replays.make(results, [row], episodes=episodes, folder=folder, scenario=scenario)
    size = films.write(recording, out)
    steps = ", ".join(f"{stage.name} {stage.step:,}" for stage in recording.stages)
    print(f"{out}  ({size / 1000:,.0f} kB; {recording.scenario}, seed {recording.seed}, gradient steps: {steps})")


def _run_one(spec: str, seed: int, changes: dict[str, str]) -> Results:
    """One run of a scenario, in memory, after a check that it can be drawn."""
    from robustsim import api
    from robustsim.sim.film import check_drawable
    from robustsim.spec.loading import load

    factory = load(spec)
    check_drawable(factory)
    with progress() as narrate:
        return api.run(factory, seeds=[seed], settings=changes, narrate=narrate)


def _parse_seed(word: str) -> int | None:
    return parse_whole("seed", word, 0) if word else None


def report(folder: str, out: str, count: int, scenario: str) -> None:
    """`robustsim report`."""
    target = out or str(Path(folder) / "report.html")
    results = open_results(folder)
    place.check(target)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        print(results.report(target, replays=count, folder=folder, scenario=scenario))
    for warning in caught:
        print(f"robustsim: {warning.message}", file=sys.stderr)
