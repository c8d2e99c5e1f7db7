"""Where runs stand on the spectrum: times, race and position, with intervals that respect censoring. Tables only."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from scipy.special import bdtr

from robustsim import binomial
from robustsim.analysis import paired, survival

CONFIDENCE = 0.95


def clock(runs: pl.DataFrame, column: str) -> dict[str, Any]:
    """Kaplan-Meier median of a time with its log-log interval: {median, low, high, censored}, in gradient steps.

    `censored` is the number of runs in which the event did not happen within the budget. None: not identified.
    """
    time, event = times(runs, column)
    median, low, high = survival.quantile(survival.kaplan_meier(time, event.astype(int), CONFIDENCE))
    return {"median": _whole(median), "low": _whole(low), "high": _whole(high), "censored": int((~event).sum())}


def times(runs: pl.DataFrame, column: str) -> paired.Clock:
    """A right-censored time of each run, in gradient steps: where it is null, its column `_lower` has that of the
    censoring."""
    seen = runs[column].is_not_null().to_numpy()
    return paired.Clock(runs[column].fill_null(runs[f"{column}_lower"]).fill_null(0).cast(pl.Float64).to_numpy(), seen)


def _whole(x: float | None) -> float | int | None:
    return int(x) if x is not None and float(x).is_integer() else x


@lru_cache(maxsize=1024)
def median_ranks(n: int, confidence: float = CONFIDENCE) -> tuple[int, int] | None:
    """0-based ranks of the order statistics that enclose the median with this confidence; None where n is too small.

    Distribution-free: the number of runs below the median is binomial (n, 1/2).
    """
    enclosing = [r for r in range(n // 2) if 1 - 2 * bdtr(r, n, 0.5) >= confidence]
    return (enclosing[-1], n - 1 - enclosing[-1]) if enclosing else None


def censored_median(lower: np.ndarray, upper: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """(median, low, high) of values known only to lie in [lower, upper], with -inf and inf where a side is open.

    The median is given where the bounds pin it down; the interval uses the lower bounds on its left and the upper ones
    on its right, so censoring on either side can only widen it.
    """
    left, right = np.sort(np.asarray(lower, float)), np.sort(np.asarray(upper, float))
    n = len(left)
    if n == 0:
        return None, None, None
    with np.errstate(invalid="ignore"):  # the mean of -inf and inf is unknown, and so is the median then
        low_mid, high_mid = (left[(n - 1) // 2] + left[n // 2]) / 2, (right[(n - 1) // 2] + right[n // 2]) / 2
    median, ranks = low_mid if low_mid == high_mid else math.nan, median_ranks(n)
    low, high = (left[ranks[0]], right[ranks[1]]) if ranks else (-math.inf, math.inf)
    if left[0] == right[-1]:  # all runs agree to the last digit: there is no spread to speak of
        low = high = median
    median, low, high = (float(x) if math.isfinite(x) else None for x in (median, low, high))
    return median, low, high


def bounds(runs: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(lower, upper) bounds of each run's position; infinite where open."""
    return runs["position_lower"].fill_null(-math.inf).to_numpy(), runs["position_upper"].fill_null(math.inf).to_numpy()


def position(runs: pl.DataFrame) -> dict[str, Any]:
    """The position of a configuration, log10(median T_c / median T_k), and how many runs know their side of 0.

    Medians are Kaplan-Meier medians, and the interval resamples seeds (:func:`robustsim.analysis.paired.median_ratio`):
    `method` is "km-difference". This is not the median of the runs' own log10(T_c / T_k), which censoring
    hides far more often; the two differ where the distributions of log T_c or log T_k are skewed.

    Where a median is not identified, or T_c has the median 0, `method` is "bounds": there is no estimate, and `low` and
    `high` bound the median of the runs' own positions, from what each of them leaves open (Manski 2003, chapter 1).

    Returns:
      median, low, high: decades; None where not identified.
      negative, positive, unknown: numbers of runs.
      method: km-difference or bounds.
    """
    lower, upper = bounds(runs)
    median, low, high = paired.median_ratio(times(runs, "steps_to_correct"), times(runs, "steps_to_catastrophe"))
    method = "bounds" if median is None else "km-difference"
    if median is None:
        _, low, high = censored_median(lower, upper)
    return {
        "median": median,
        "low": low,
        "high": high,
        "negative": int((upper < 0).sum()),
        "positive": int((lower > 0).sum()),
        "unknown": int(((lower <= 0) & (upper >= 0)).sum()),
        "method": method,
    }


def share(flags: pl.Series) -> dict[str, Any]:
    """A share of runs with its Clopper-Pearson interval: {estimate, low, high, count, runs}."""
    k, n = int(flags.sum()), len(flags)
    low, high = binomial.interval(k, n, CONFIDENCE)
    return {"estimate": k / n if n else None, "low": low, "high": high, "count": k, "runs": n}


def catastrophe_first(runs: pl.DataFrame) -> dict[str, Any]:
    """P(catastrophe before removal) in the corrected arm: {estimate, low, high, count, runs, censored, at_most}.

    `estimate` is the share of runs in which it came first within the budget. The `censored` runs, in which neither
    came, may yet go either way, so that the share without a budget lies between `estimate` and `at_most`, the share if
    all of them went to the catastrophe. The interval is that of Clopper and Pearson for the lower of these shares on
    its left and for the upper one on its right; censoring can only widen it.
    """
    known, censored = share(runs["first_event"] == "catastrophe"), int((runs["first_event"] == "censored").sum())
    most, n = known["count"] + censored, len(runs)
    high, at_most = binomial.interval(most, n, CONFIDENCE)[1], most / n if n else None
    return known | {"high": high, "censored": censored, "at_most": at_most}


def behind_defences(runs: pl.DataFrame) -> pl.DataFrame | None:
    """The same runs with the catastrophe clock, race and position of the defended world; None without defences."""
    if runs["first_event_defended"].is_null().all():
        return None
    pairs = {"steps_to_catastrophe": ("", "_lower"), "first_event": ("",), "position": ("", "_lower", "_upper")}
    names = [(name, end) for name, ends in pairs.items() for end in ends]
    return runs.with_columns(**{f"{name}{end}": pl.col(f"{name}_defended{end}") for name, end in names})


def middle(runs: pl.DataFrame, column: str) -> dict[str, Any]:
    """Sample median of a column with its distribution-free interval; runs without a value are left out and counted."""
    known = runs[column].cast(pl.Float64).fill_null(math.nan).drop_nans().to_numpy()
    median, low, high = censored_median(known, known)
    return {"median": median, "low": low, "high": high, "missing": len(runs) - len(known)}


def bounded_middle(runs: pl.DataFrame, name: str) -> dict[str, Any]:
    """Median of a quantity of which some runs know only bounds, as :func:`middle` gives it.

    The bounds are in the columns `_lower` and `_upper`, null where open; results without these columns have the value
    alone. Runs of which both are null are left out and counted as missing.
    """
    if f"{name}_lower" not in runs.columns:
        return middle(runs, name)
    ends = [runs[f"{name}{end}"].cast(pl.Float64).fill_nan(None) for end in ("_lower", "_upper")]
    known = ~(ends[0].is_null() & ends[1].is_null())
    lower, upper = (x.filter(known).fill_null(open_) for x, open_ in zip(ends, (-math.inf, math.inf), strict=True))
    median, low, high = censored_median(lower.to_numpy(), upper.to_numpy())
    return {"median": median, "low": low, "high": high, "missing": int((~known).sum())}
