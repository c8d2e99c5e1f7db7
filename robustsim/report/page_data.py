"""The data of the page as plain JSON. Censored times are null, with their bound beside them."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from robustsim.analysis import survival
from robustsim.analysis.configurations import part
from robustsim.analysis.race import race
from robustsim.analysis.tables import Tables
from robustsim.report import words

MOST_RUNS = 5000  # runs that a page holds
MOST_CURVES = 20  # configurations that get survival curves of their own
MOST_KNOTS = 300  # steps of a curve
COLUMNS = {  # short name on the page: column of `runs`
    "id": "run_id",
    "seed": "seed",
    "tc": "steps_to_correct",
    "tc_lower": "steps_to_correct_lower",
    "tk": "steps_to_catastrophe",
    "tk_lower": "steps_to_catastrophe_lower",
    "race": "steps_to_catastrophe_in_race",
    "ts": "steps_to_suppress",
    "margin": "margin",
    "margin_lower": "margin_lower",
    "outcome": "outcome",
    "threshold": "removal_threshold",
    "x": "position",
    "x_lower": "position_lower",
    "x_upper": "position_upper",
    "event": "first_event",
    "concealment": "concealment",
    "watched": "misbehaviour_watched",
    "unwatched": "misbehaviour_unwatched",
    "watched_end": "final_misbehaviour_watched",
    "unwatched_end": "final_misbehaviour_unwatched",
    "competence": "competence",
    "competence_end": "final_competence",
    "corrections": "corrections",
    "misbehaviours": "misbehaviours",
    "incapacitated": "incapacitated",
    "relapsed": "relapsed",
}


def held(results: Tables) -> pl.DataFrame:
    """The runs that the page holds, with the number of their configuration: all, or an even selection."""
    runs = results.runs.with_columns(config=pl.lit(0, pl.Int64))
    if results.swept:
        keys = results.runs.select(results.swept).unique(maintain_order=True).with_row_index("config")
        runs = results.runs.join(keys, on=results.swept, how="left", nulls_equal=True, maintain_order="left")
        runs = runs.with_columns(pl.col("config").cast(pl.Int64))
    return runs if len(runs) <= MOST_RUNS else runs[np.linspace(0, len(runs) - 1, MOST_RUNS).round().astype(int)]


def payload(results: Tables, runs: pl.DataFrame) -> dict[str, Any]:
    """Everything except traces and replays.

    Args:
      runs: what :func:`held` returns.
    """
    name = "deployment.budget"  # if it was swept, the largest of its values
    budget: Any = results.runs[name].max() if name in results.swept else results.settings.get(name)
    return {
        "scenario": results.scenario,
        "swept": list(results.swept),
        "budget": int(budget or runs["steps_to_correct_lower"].max() or 1),  # pyright: ignore[reportArgumentType]
        "total": len(results.runs),
        "runs": {short: _plain(runs[name]) for short, name in COLUMNS.items()} | {"config": runs["config"].to_list()},
        "configs": configs(results),
        "curves": curves(results, runs),
    }


QUANTITIES = {  # short name on the page: name in the spectrum
    "x": "position",
    "margin": "margin",
    "inertia": "inertia",
    "tc": "steps_to_correct",
    "tk": "steps_to_catastrophe",
    "ts": "steps_to_suppress",
    "concealment": "concealment",
}


def _part(row: dict[str, Any], name: str, *wanted: str) -> dict[str, Any]:
    return {key: _number(value) for key, value in part(row, name).items() if key in wanted}


def configs(results: Tables) -> list[dict[str, Any]]:
    """The spectrum, one entry per configuration in the order of the table."""
    found, digits = [], words.digits(results.runs, results.swept)
    for row in results.spectrum().iter_rows(named=True):
        values = {name: row[name] for name in results.swept}
        parts = {key: _part(row, name, "median", "low", "high", "censored") for key, name in QUANTITIES.items()}
        found.append(
            {
                "label": words.point(values, digits) or results.scenario,
                "values": _plain(values.values()),
                "runs": row["runs"],
                "verdict": words.verdict_of(row),
                **parts,
                "p": _part(row, "p_catastrophe_first", "estimate", "low", "high"),
                "counts": [row[f"first_{event}"] for event in ("removed", "catastrophe", "censored")],
            }
        )
    return found


def curves(results: Tables, runs: pl.DataFrame) -> list[dict[str, Any]]:
    """Survival of both clocks and cumulative incidence of the race: of each configuration, or of all runs together."""
    labels = [label for label, _ in words.configurations(results)]
    if len(labels) > MOST_CURVES:
        return [{"label": f"all {len(runs):,} runs", **_curves(runs)}]
    return [{"label": label, **_curves(runs.filter(pl.col("config") == i))} for i, label in enumerate(labels)]


def _curves(runs: pl.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = {"runs": len(runs)}
    for key, name in (("tc", "steps_to_correct"), ("tk", "steps_to_catastrophe")):
        seen = runs[name].is_not_null()
        times = runs[name].fill_null(runs[f"{name}_lower"]).to_numpy()
        curve = survival.kaplan_meier(times, seen.to_numpy().astype(int))
        found[key] = _knots(times, curve.time, s=curve.survival, low=curve.low, high=curve.high)
        found[key]["censored"] = int((~seen).sum())
    times, causes = race(runs)
    at, (removed, catastrophe) = survival.aalen_johansen(times, causes)
    found["race"] = _knots(times, at, removed=removed, catastrophe=catastrophe)
    return found


def _knots(times: np.ndarray, at: np.ndarray, **heights: np.ndarray) -> dict[str, Any]:
    """A step function at an even selection of its steps, and the last of the runs' times."""
    chosen = np.unique(np.linspace(0, len(at) - 1, min(len(at), MOST_KNOTS)).round().astype(int))
    steps = {"t": at[chosen].astype(int).tolist(), **{k: _plain(h[chosen].tolist()) for k, h in heights.items()}}
    return steps | {"end": int(times.max()) if len(times) else 0}


def _plain(values: Iterable[Any]) -> list[Any]:
    return [_number(x) if isinstance(x, float) else x for x in values]


def _number(x: Any) -> Any:
    """A number with all its digits, because it is rounded where it is shown, and only there; None if there is none."""
    if x is None or not math.isfinite(x):
        return None
    return int(x) if x == int(x) else x
