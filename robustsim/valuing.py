"""Which features of outcomes an agent values: what its values of states go with, of what comes of these states.

`evaluation.goals` asks what values go with in a *state*, where everything that helps is worth something. Means and ends
part in what comes of it: a means is worth nothing beyond what it leads to (Framing 2).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from robustsim.analysis.tables import Tables
from robustsim.arguments import whole
from robustsim.errors import UserError, nearest
from robustsim.moments import Moment, asked, moments_of, random_bits
from robustsim.records import Measure, of_kind
from robustsim.relations import summary
from robustsim.sim import batched
from robustsim.sim.prospects import MISBEHAVIOUR, STEPS, SUCCESS, Prospects, prospects
from robustsim.spec.scenario import ScenarioFactory

ESTIMATED, IMPLIED = "estimated", "implied"
STATE, OUTCOME = "state", "outcome"
VISITED, SCATTERED = "visited", "scattered"
MOST_PLAYS = 1024


def valued(
    results: Tables,
    of: Sequence[str] | None = None,
    *,
    states: str = VISITED,
    agents: int = 8,
    plays: int = 32,
    scenario: Any = "",
) -> pl.DataFrame:
    """What the values of agents go with: features of states, and features of what comes of them when they play on.

    All looks unwatched, and levels are those of deployment. Estimated values are the agent's own. Implied ones are the
    mean return of half of the plays, discounted, as the environment pays it: what values would be if they were right,
    and what stands for the values of an agent that estimates none. Outcomes are means over the other half. Memories are
    empty at the start of each play.

    Args:
      results: of one configuration of a scenario that names features (`rs.Feature`).
      of: the outcomes: names among success, misbehaviour, steps (until the episode ends) and the scenario's measures
        (`rs.Measure`); None: the measures, or success and misbehaviour where there are none, and steps.
      states: "visited": one of each of many episodes of deployment; or "scattered": everything is placed independently
        in them, and agents may never have been there.
      agents: how many of the runs, the first by seed.
      plays: of each state.
      scenario: the scenario or its file, if it is not installed.

    Returns:
      A row per agent, stage (start, final), values (estimated, implied), kind of feature (`at`: state, outcome) and
      feature. Columns: seed, stage, step, values, at, feature, kind (final, instrumental, ...), and correlation,
      partial, unique and weight, each with `_low` and `_high`: 95% limits for all features of an agent at once, of a
      bootstrap over states. Features of one kind are held constant for each other, and those of the other are not.

    Raises:
      UserError: there are several configurations, the scenario names no features, an outcome is not known, there are
        fewer than two plays, or the runs cannot be made again here.
    """
    factory, names = asked(results, "valued", scenario)
    whole("plays", plays, 2, MOST_PLAYS)
    if states not in (VISITED, SCATTERED):
        raise UserError(f"states: {states!r} is not allowed; {nearest(str(states), [VISITED, SCATTERED])}")
    precision, rows = factory(**factory.defaults).precision, []
    with batched.precision(precision):
        chosen = _outcomes(factory, of)
    for at in moments_of(results, factory, agents, scenario):
        with batched.precision(precision):
            settings, bits = batched.as_arrays(at.run.settings), random_bits(factory, at)
            found = prospects(factory, settings, bits, at.params, plays, states == VISITED)
        rows += list(_rows(at, found, names, chosen))
    return pl.DataFrame(rows)


def _outcomes(factory: ScenarioFactory, of: Sequence[str] | None) -> list[str]:
    """The names of the outcomes that are asked about."""
    measures = [measure.name for measure in of_kind(factory(**factory.defaults).records, Measure)]
    known = [SUCCESS, MISBEHAVIOUR, STEPS, *measures]
    if of is None:
        return [*(measures or [SUCCESS, MISBEHAVIOUR]), STEPS]
    for name in of:
        if name not in known:
            raise UserError(f"of: {name!r} is not an outcome of scenario {factory.name!r}; {nearest(str(name), known)}")
    if not of:
        raise UserError(f"of: {list(of)!r} is not allowed; name some of {', '.join(known)}")
    return list(of)


def _rows(at: Moment, found: Prospects, names: list[str], chosen: list[str]) -> Iterator[dict[str, Any]]:
    """What one agent values."""
    half = len(found.returns) // 2
    values = {} if found.value is None else {ESTIMATED: np.asarray(found.value, float)}
    values[IMPLIED] = np.asarray(found.returns[:half], float).mean(0)
    state = dict(zip(names, np.asarray(found.features, float).T, strict=True))
    outcome = {name: np.asarray(found.outcomes[name][half:], float).mean(0) for name in chosen}
    for which, mine in values.items():
        for kind, table in ((STATE, state), (OUTCOME, outcome)):
            for feature, said in summary(mine, table, np.arange(len(mine))).items():
                numbers = {
                    name + ("" if end == "estimate" else f"_{end}"): number
                    for name, one in said.items()
                    if name != "kind"
                    for end, number in one.items()
                }
                about = {"values": which, "at": kind, "feature": feature, "kind": said["kind"]}
                yield at.about | about | numbers
