"""What a configuration's runs say of harm, inertia and the overseer's part, with intervals. Tables only."""

import math
from typing import Any

import numpy as np
import polars as pl

from robustsim import binomial
from robustsim.analysis.spectrum import CONFIDENCE, censored_median


def bounded(runs: pl.DataFrame, column: str) -> dict[str, Any]:
    """Median of harm, margin or inertia, which have a `_lower` column: {median, low, high, censored, missing}.

    A censored value is known to be at least its lower one, and may be anything above: runs that are never corrected are
    no random sample of all, so no curve is fitted through them. None: not identified.
    """
    there = runs.filter(pl.col(f"{column}_lower").is_not_null())
    lower = there[f"{column}_lower"].cast(pl.Float64).to_numpy()
    upper = there[column].cast(pl.Float64).fill_null(math.inf).to_numpy()
    median, low, high = censored_median(lower, upper)
    censored = int(there[column].is_null().sum())
    return {"median": median, "low": low, "high": high, "censored": censored, "missing": len(runs) - len(there)}


def inertia(runs: pl.DataFrame) -> dict[str, Any]:
    """steps_to_redirect / steps_to_scratch, as :func:`bounded`, with the spread of both in its interval.

    The limits of the two logarithms are put together as Zou and Donner (2008, Statistics in Medicine 27) do for a
    difference. Those of steps_to_scratch are the least and the largest of its seeds; where one of these was never as
    good within the budget, nothing bounds how small the inertia may be.
    """
    found = bounded(runs, "inertia")
    middle, least, most = (_log_of_first(runs[f"steps_to_scratch{end}"]) for end in ("", "_low", "_high"))
    ends = {"low": _combined(found, "low", middle, most, -1), "high": _combined(found, "high", middle, least, +1)}
    return found | ends


def _log_of_first(steps: pl.Series) -> float | None:
    """The runs of a configuration share their reference agents. None: no runs, no such agents, or not identified."""
    known = steps.drop_nulls()
    return math.log(max(known[0], 1)) if len(known) else None


def _combined(found: dict[str, Any], end: str, middle: float | None, other: float | None, sign: int) -> float | None:
    """exp of one limit of a difference of logarithms: its centre, this end of the first, the other of the second."""
    if found["median"] is None or not found[end] or middle is None or other is None:
        return None
    centre = math.log(found["median"])
    return math.exp(centre + sign * math.hypot(math.log(found[end]) - centre, other - middle))


def speed_up(runs: pl.DataFrame) -> dict[str, Any]:
    """log10(T_fade / T_c) as {median, low, high}: what the overseer does beyond the task's own reward.

    Where the misbehaviour does not fade within the budget it is at least what the budget says, and the other way round.
    """
    fade, correct = runs["steps_to_fade"], runs["steps_to_correct"]
    least = _logs(fade.fill_null(runs["steps_to_fade_lower"])) - np.where(correct.is_null(), np.inf, _logs(correct))
    most = np.where(fade.is_null(), np.inf, _logs(fade)) - _logs(correct.fill_null(runs["steps_to_correct_lower"]))
    known = ~(np.isneginf(least) & np.isposinf(most))
    median, low, high = censored_median(least[known], most[known])
    return {"median": median, "low": low, "high": high, "missing": int((~known).sum())}


def _logs(steps: pl.Series) -> np.ndarray:
    return np.log10(np.maximum(steps.fill_null(1).cast(pl.Float64).to_numpy(), 1.0))


def behind_defences(runs: pl.DataFrame) -> pl.DataFrame | None:
    """The same runs with the harm of the defended world; None where there are no defences."""
    if runs["harm_defended_lower"].is_null().all():
        return None
    known = pl.when(pl.col("harm").is_not_null()).then(pl.col("harm_defended_lower"))
    return runs.with_columns(harm=known, harm_lower=pl.col("harm_defended_lower"))


def stakes(runs: pl.DataFrame) -> pl.DataFrame:
    """The stakes curve, P(H >= k) for every k at which it changes: k, low, estimate, most, high.

    Runs that were never corrected have done at least the harm that they had done by then. `estimate` counts no more
    than that, `most` counts them at every k; where they differ the curve is not identified. `low` and `high` are 95%
    limits (Clopper and Pearson 1934) of the one and of the other.
    """
    lower, known = runs["harm_lower"].to_numpy(), runs["harm"].is_not_null().to_numpy()
    rows, n = [], len(lower)
    for k in np.unique(lower):
        least, most = int((lower >= k).sum()), int(((lower >= k) | ~known).sum())
        rows.append(
            {
                "k": int(k),
                "low": binomial.interval(least, n, CONFIDENCE)[0],
                "estimate": least / n,
                "most": most / n,
                "high": binomial.interval(most, n, CONFIDENCE)[1],
            }
        )
    return pl.DataFrame(rows, schema={"k": pl.Int64} | dict.fromkeys(("low", "estimate", "most", "high"), pl.Float64))


def outcomes(runs: pl.DataFrame) -> dict[str, int]:
    """How many runs became what."""
    return {str(name): count for name, count in runs["outcome"].value_counts(sort=True).iter_rows()}
