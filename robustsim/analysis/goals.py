"""Which features of outcomes were goals of the agents, at deployment start and under the overseer (Framing 2).

Tables only: of results that were measured with `evaluation.goals`. Each agent is one observation, and intervals are
over agents.
"""

from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from robustsim.analysis.spectrum import clock, middle
from robustsim.analysis.tables import Tables
from robustsim.errors import UserError
from robustsim.events import CONDITIONS
from robustsim.relations import FINAL, MEASURED, READ, Interval, kinds, measurement
from robustsim.sim.readings import PASSES, first_run

CHANGED = "steps_to_goal_change"


def goals(results: Tables) -> dict[str, dict[str, Any]]:
    """What value estimates go with, for each feature of the scenario and each way an episode may look.

    Args:
      results: of runs with `evaluation.goals`.

    Returns:
      {unwatched, watched: {feature: {start, final, steps_to_goal_change}}}; `start` is at deployment start, and `final`
      at the last evaluation under the overseer: correlation, partial, unique, and readable (AUC or R2 of a linear
      probe of the last hidden layer, where there is one): medians over agents with 95% intervals; kinds: the number of
      agents to which the feature is final, instrumental, ... (theory D). The clock ends at the first of three
      evaluations in a row at which a feature that was a final goal at deployment start is none any more, or is one of
      the other sign; it is over the agents for which there was such a goal, and None where there is none.

    Raises:
      UserError: there are several configurations, or goals were not measured.
    """
    results.check_one("goals")
    traces = results.traces.filter((pl.col("arm") == "corrected") & pl.col("overseen")).sort("step")
    features = features_in(traces)
    if not features:
        raise UserError("goals: these results have none; measure them with evaluation.goals=true")
    agents = [table for _, table in traces.group_by("run_id", maintain_order=True)]
    return {side: {name: _of(agents, name, side) for name in features} for side in reversed(CONDITIONS)}


def features_in(traces: pl.DataFrame) -> list[str]:
    """The features of which goals were measured; none where they were not."""
    before, after = "goal_", "_partial_watched"
    columns = [name for name in traces.columns if name.startswith(before) and name.endswith(after)]
    return [name[len(before) : -len(after)] for name in columns if not traces[name].is_null().all()]


def _of(agents: list[pl.DataFrame], feature: str, side: str) -> dict[str, Any]:
    """What one feature is to the agents, in one condition."""
    names = {what: f"{measurement(feature, what)}_{side}" for what in (*MEASURED, READ)}
    read = [{what: table[name].cast(pl.Float64).to_numpy() for what, name in names.items()} for table in agents]
    said = {}
    for when, at in (("start", 0), ("final", -1)):
        rows = pl.DataFrame({what: [float(one[what][at]) for one in read] for what in names}, nan_to_null=True)
        said[when] = {what: middle(rows, what) for what in names}
        said[when]["kinds"] = dict(Counter(_kinds({name: rows[name].to_numpy() for name in names})))
    return said | {CHANGED: _change(agents, read)}


def _kinds(measured: dict[str, np.ndarray]) -> list[str]:
    """What a feature is at each of several evaluations, taken as exact."""
    known = None if np.isnan(measured[READ]).any() else measured[READ]
    return kinds({relation: Interval(*[measured[relation]] * 3) for relation in MEASURED}, known)


def held(results: Tables, feature: str) -> pl.DataFrame:
    """The runs of some results with `rate`: 1 where a feature is a final goal at deployment start, and 0 elsewhere.

    Looking unwatched. A feature that values go against is none that is pursued.
    """
    names = {what: f"{measurement(feature, what)}_{CONDITIONS[0]}" for what in (*MEASURED, READ)}
    first = results.traces.filter((pl.col("arm") == "corrected") & (pl.col("step") == 0))
    read = {what: first[name].cast(pl.Float64).to_numpy() for what, name in names.items()}
    final = np.array([kind == FINAL for kind in _kinds(read)]) & (read["partial"] > 0)
    rates = pl.DataFrame({"run_id": first["run_id"], "rate": final.astype(float)})
    return results.runs.join(rates, on="run_id", how="left", maintain_order="left")


def _change(agents: list[pl.DataFrame], read: list[dict[str, np.ndarray]]) -> dict[str, Any] | None:
    """The clock of the change, over the agents with a final goal at deployment start."""
    steps: list[int | None] = []
    censored: list[int] = []
    for table, one in zip(agents, read, strict=True):
        sign = np.sign(one["partial"])
        final = [kind == FINAL for kind in _kinds(one)]
        if final[0]:
            gone = [not is_ or s != sign[0] for is_, s in zip(final, sign, strict=True)]
            at = first_run(gone, PASSES)
            steps.append(None if at is None else table["step"][at])
            censored.append(table["step"][-1])
    if not steps:
        return None
    schema = {CHANGED: pl.Int64, f"{CHANGED}_lower": pl.Int64}
    return clock(pl.DataFrame({CHANGED: steps, f"{CHANGED}_lower": censored}, schema=schema), CHANGED)
