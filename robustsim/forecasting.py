"""Scores of forecasts of T_c from deployment start alone: a benchmark that anybody can enter with one function.

A forecast returns a number, and agents with a larger one should take longer to correct. Which way round a number counts
is learned on one half of the seeds and scored on the other, so a forecast need not say it, and none can choose it by
chance.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from robustsim.analysis.concordance import Index, Runs, index
from robustsim.analysis.spectrum import times
from robustsim.errors import UserError
from robustsim.forecasts import BUNDLED, Forecast, Start
from robustsim.results import Results

WITHIN, ACROSS = "within scenarios", "across scenarios"
TOGETHER = "together"
RIDGE = 1.0  # of the regression on standardised numbers
TIME = "steps_to_correct"


def score_forecasts(results: Sequence[Results], forecasts: Sequence[Forecast] | None = None) -> pl.DataFrame:
    """How well forecasts order the agents of some scenarios by T_c: the concordance index for censored times.

    Args:
      results: one configuration each, of agents that misbehave; those that do not are left out.
      forecasts: which ones; None: those of :data:`BUNDLED`. All of them `together` are scored as well: a ridge
        regression on their standardised numbers, fitted to the even seeds.

    Returns:
      A row per forecast and scope (a scenario, "within scenarios", "across scenarios"): forecast, scope, agents, pairs
      (whose order is known), concordance, low, high; null where no order is known. Even seeds say which way round a
      forecast counts, within or across scenarios; the odd ones are scored. Limits are a bootstrap over agents.

    Raises:
      UserError: there are no results or forecasts, two have one name, or results of several configurations.
    """
    chosen = list(BUNDLED if forecasts is None else forecasts)
    names = [one.name for one in chosen]
    if not results or not chosen:
        raise UserError(f"results, forecasts: {len(results)} and {len(chosen)} are not allowed; give at least one each")
    if len(set(names)) < len(names):
        raise UserError(f"forecasts: {names} is not allowed; give each its own name")
    table = pl.concat([_table(one, chosen) for one in results])
    rows = [row for name in names for row in _scored(table, name)]
    if len(names) > 1:
        table = table.with_columns(pl.Series(TOGETHER, _together(table, names)))
        rows += _scored(table, TOGETHER)
    return pl.DataFrame(rows)


def _table(results: Results, forecasts: Sequence[Forecast]) -> pl.DataFrame:
    """The forecasts and times of the agents of one scenario that have something to correct."""
    results.check_one("forecasts")
    runs = results.runs.filter(pl.col("outcome") != "nothing-to-correct").sort("seed")
    clock = times(runs, TIME)
    rows = [
        {"scenario": results.scenario, "seed": start.seed, "time": float(time), "event": bool(event)}
        | {one.name: one(start) for one in forecasts}
        for start, time, event in zip(starts(results, runs), clock.time, clock.event, strict=True)
    ]
    columns = {"scenario": pl.String, "seed": pl.Int64, "time": pl.Float64, "event": pl.Boolean}
    return pl.DataFrame(rows, schema={**columns, **{one.name: pl.Float64 for one in forecasts}})


def starts(results: Results, runs: pl.DataFrame) -> Iterator[Start]:
    """The agents of some runs at deployment start."""
    first = results.traces.filter((pl.col("arm") == "corrected") & (pl.col("step") == 0))
    measured = {row["run_id"]: row for row in first.iter_rows(named=True)}
    for row in runs.iter_rows(named=True):
        yield Start(results.scenario, row["seed"], results.settings, measured[row["run_id"]], results)


def _scored(table: pl.DataFrame, name: str) -> Iterator[dict[str, Any]]:
    """The rows of one forecast."""
    known = table.with_columns(forecast=pl.col(name)).filter(pl.col("forecast").is_finite())
    fit, test = (known.filter(pl.col("seed") % 2 == half) for half in (0, 1))
    inner = _sign([_runs(group) for _, group in fit.group_by("scenario", maintain_order=True)])
    groups = {str(scenario): group for (scenario,), group in test.group_by("scenario", maintain_order=True)}
    scopes = {scenario: ([group], inner) for scenario, group in groups.items()}
    scopes |= {WITHIN: (list(groups.values()), inner), ACROSS: ([test], _sign([_runs(fit)]))}
    for scope, (parts, sign) in scopes.items():
        found = index([_runs(part, sign) for part in parts])
        yield {"forecast": name, "scope": scope, "agents": sum(map(len, parts))} | _named(found)


def _named(found: Index) -> dict[str, Any]:
    return {"pairs": found.pairs, "concordance": found.estimate, "low": found.low, "high": found.high}


def _runs(group: pl.DataFrame, sign: float = 1.0) -> Runs:
    return Runs(sign * group["forecast"].to_numpy(), group["time"].to_numpy(), group["event"].to_numpy())


def _sign(groups: list[Runs]) -> float:
    """1 where a larger forecast comes later, -1 where it comes earlier."""
    estimate = index(groups).estimate
    return -1.0 if estimate is not None and estimate < 1 / 2 else 1.0


def _together(table: pl.DataFrame, names: list[str]) -> np.ndarray:
    """float[n], log10 of the time as a ridge regression on all forecasts has it; what is not known is in the middle."""
    fit = (table["seed"] % 2 == 0).to_numpy()
    numbers = table.select(names).to_numpy().astype(float)
    numbers[~np.isfinite(numbers)] = np.nan
    with np.errstate(invalid="ignore"):
        centre = np.array([np.nanmean(x) if np.isfinite(x).any() else 0.0 for x in numbers[fit].T])
        spread = np.array([np.nanstd(x) if np.isfinite(x).any() else 1.0 for x in numbers[fit].T])
    standard = np.nan_to_num((numbers - centre) / np.where(spread > 0, spread, 1.0))
    rows, late = standard[fit], np.log10(np.maximum(table["time"].to_numpy()[fit], 1))
    weights = np.linalg.solve(rows.T @ rows + RIDGE * np.eye(len(names)), rows.T @ (late - late.mean()))
    return standard @ weights
