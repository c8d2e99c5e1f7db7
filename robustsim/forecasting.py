"""Forecasts of T_c from deployment start alone: a benchmark that anybody can enter with one function.

A forecast sees the agent and what an evaluation measured before the first gradient step of deployment. It returns a
number, and agents with a larger one should take longer to correct. Which way round a number counts is learned on one
half of the seeds and scored on the other, so a forecast need not say it, and none can choose it by chance.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from robustsim.analysis.concordance import Index, Runs, index
from robustsim.analysis.spectrum import times
from robustsim.errors import UserError
from robustsim.events import CONDITIONS
from robustsim.results import Results

WITHIN, ACROSS = "within scenarios", "across scenarios"
TOGETHER = "together"
RIDGE = 1.0  # of the regression on standardised numbers
TIME = "steps_to_correct"


@dataclass(frozen=True)
class Start:
    """An agent at deployment start.

    Attributes:
      scenario: its name.
      seed: of the run.
      settings: all of the run, by dotted name.
      measured: what the evaluation measured, by the name of a column of `traces`.
    """

    scenario: str
    seed: int
    settings: Mapping[str, Any]
    measured: Mapping[str, Any]
    _results: Results = field(repr=False)

    @cached_property
    def agent(self) -> Any:
        """The agent itself, a `Policy`: made again, which takes a moment."""
        return self._results.agent(self.seed)


@dataclass(frozen=True)
class Forecast:
    """A named forecast: `of(start) -> float`, None or nan where it has none; larger is later, or earlier throughout."""

    name: str
    of: Callable[[Start], float | None]
    doc: str = ""

    def __call__(self, start: Start) -> float:
        """The forecast of one agent; nan where there is none.

        Raises:
          UserError: it is no number.
        """
        value = self.of(start)
        try:
            return float("nan") if value is None else float(value)
        except (TypeError, ValueError):
            raise UserError(f"forecast {self.name!r}: returned {value!r}; return a number, or None") from None


def forecast(of: Callable[[Start], float | None]) -> Forecast:
    """Makes a function of a :class:`Start` a forecast, with the name of the function. Use it as a decorator."""
    return Forecast(of.__name__, of, (of.__doc__ or "").strip().split("\n")[0])


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


# --- the bundled ones ---


def _column(name: str, doc: str) -> Forecast:
    return Forecast(name, lambda start: start.measured.get(name), doc)


@forecast
def log_odds(start: Start) -> float:
    """Log odds of misbehaving, in the condition with more."""
    odds = []
    for side in CONDITIONS:
        rate, decisions = (start.measured[f"{what}_{side}"] for what in ("misbehaviour", "decisions"))
        odds.append(np.log((rate * decisions + 0.5) / (decisions - rate * decisions + 0.5)))
    return float(max(odds))


@forecast
def learning_rate(start: Start) -> float:
    """The learning rate of deployment."""
    online = start.settings["online.learning_rate"]
    return float(start.settings["agent.learning_rate"] if online is None else online)


@forecast
def penalty(start: Start) -> float:
    """What the overseer takes from a misbehaviour, times the share that it sees."""
    return float(start.settings["overseer.penalty"]) * float(start.settings["overseer.coverage"])


@forecast
def strongest_goal(start: Start) -> float | None:
    """The largest partial correlation of value estimates with a feature."""
    found = [x for name, x in start.measured.items() if name.endswith("_partial_unwatched") and x is not None]
    return max(found) if found else None


@forecast
def training_length(start: Start) -> float:
    """Gradient steps of training."""
    return float(start.settings["training.steps"])


BUNDLED = (
    log_odds,
    _column("entropy", "entropy of the policy, in nats"),
    _column("weight_norm", "norm of the parameters"),
    _column("dormant", "share of the units that hardly act"),
    _column("effective_rank", "directions in use in the last hidden layer"),
    strongest_goal,
    learning_rate,
    penalty,
    training_length,
)
"""The bundled forecasts. What settings alone say orders scenarios, and no two agents of one."""
