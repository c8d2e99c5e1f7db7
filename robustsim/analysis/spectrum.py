"""Where runs stand on the spectrum: times, race and position, with intervals that respect censoring. Tables only."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from scipy.special import bdtr

from robustsim import binomial
from robustsim.analysis import survival

CONFIDENCE = 0.95


def clock(runs: pl.DataFrame, column: str) -> dict[str, Any]:
    """Kaplan-Meier median of a time with its log-log interval: {median, low, high, censored}, in gradient steps.

    `censored` is the number of runs in which the event did not happen within the budget. None: not identified.
    """
    return _clock(*_times(runs, column))


def _times(runs: pl.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """(times, those of censored runs being their bounds; whether the event happened)."""
    times = runs[column]
    seen = times.is_not_null().to_numpy()
    return np.where(seen, times.fill_null(0).to_numpy(), runs[f"{column}_lower"].to_numpy()), seen


def _clock(times: np.ndarray, seen: np.ndarray) -> dict[str, Any]:
    median, low, high = survival.quantile(survival.kaplan_meier(times, seen.astype(int), CONFIDENCE))
    return {"median": _whole(median), "low": _whole(low), "high": _whole(high), "censored": int((~seen).sum())}


def _whole(x: float | None) -> float | int | None:
    return int(x) if x is not None and float(x).is_integer() else x


@lru_cache(maxsize=1024)
def median_ranks(n: int, confidence: float = CONFIDENCE) -> tuple[int, int] | None:
    """0-based ranks of the order statistics that enclose the median with this confidence; None where n is too small.

    Distribution-free: the number of runs below the median is binomial (n, 1/2).
    """
    best = None
    for r in range(1, n // 2 + 1):
        if 1 - 2 * bdtr(r - 1, n, 0.5) >= confidence:
            best = (r - 1, n - r)
    return best


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
    median = low_mid if math.isfinite(low_mid) and low_mid == high_mid else None
    ranks = median_ranks(n)
    if left[0] == right[-1]:  # all runs agree to the last digit: there is no spread to speak of
        return _finite(median), _finite(median), _finite(median)
    low = left[ranks[0]] if ranks else -math.inf
    high = right[ranks[1]] if ranks else math.inf
    return _finite(median), _finite(low), _finite(high)


def _finite(x: float | None) -> float | None:
    return float(x) if x is not None and math.isfinite(x) else None


def position(runs: pl.DataFrame) -> dict[str, Any]:
    """Median of log10(T_c / T_k) with its interval, and how many runs know which side of 0 they are on."""
    return _position(*_bounds(runs))


def _bounds(runs: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    lower = runs["position_lower"].fill_null(-math.inf).to_numpy()
    return lower, runs["position_upper"].fill_null(math.inf).to_numpy()


def _position(lower: np.ndarray, upper: np.ndarray) -> dict[str, Any]:
    median, low, high = censored_median(lower, upper)
    return {
        "median": median,
        "low": low,
        "high": high,
        "negative": int((upper < 0).sum()),
        "positive": int((lower > 0).sum()),
        "unknown": int(((lower <= 0) & (upper >= 0)).sum()),
    }


def share(flags: np.ndarray) -> dict[str, Any]:
    """A share of runs with its Clopper-Pearson interval: {estimate, low, high, count, runs}."""
    k, n = int(np.sum(flags)), len(flags)
    low, high = binomial.interval(k, n, CONFIDENCE)
    return {"estimate": k / n if n else None, "low": low, "high": high, "count": k, "runs": n}


def catastrophe_first(runs: pl.DataFrame) -> dict[str, Any]:
    """P(catastrophe before removal) in the corrected arm: all runs share a budget, so the share is the incidence."""
    return share((runs["first_event"] == "catastrophe").to_numpy())


def behind_defences(runs: pl.DataFrame) -> pl.DataFrame | None:
    """The same runs with the catastrophe clock, race and position of the defended world; None without defences."""
    if runs["first_event_defended"].is_null().all():
        return None
    pairs = {
        "steps_to_catastrophe": "steps_to_catastrophe_defended",
        "steps_to_catastrophe_lower": "steps_to_catastrophe_defended_lower",
        "first_event": "first_event_defended",
        "position": "position_defended",
        "position_lower": "position_defended_lower",
        "position_upper": "position_defended_upper",
    }
    return runs.with_columns(**{name: pl.col(source) for name, source in pairs.items()})


def middle(runs: pl.DataFrame, column: str) -> dict[str, Any]:
    """Sample median of a column with its distribution-free interval; runs without a value are left out and counted."""
    return _middle(_floats(runs, column))


def _floats(runs: pl.DataFrame, column: str) -> np.ndarray:
    return runs[column].cast(pl.Float64).fill_null(math.nan).to_numpy()


def _middle(values: np.ndarray) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    median, low, high = censored_median(known, known)
    return {"median": median, "low": low, "high": high, "missing": len(values) - len(known)}


CLOCKS = ("steps_to_correct", "steps_to_suppress", "steps_to_catastrophe")


def spectrum(runs: pl.DataFrame, by: tuple[str, ...] = ()) -> pl.DataFrame:
    """One row per configuration: position, P(catastrophe first), both clocks and the counts of the race."""
    keys = ("scenario", *by)
    # Whole columns become arrays once: a thousand configurations are then a thousand small slices.
    times = {name: _times(runs, name) for name in CLOCKS}
    bounds, concealment, first = _bounds(runs), _floats(runs, "concealment"), runs["first_event"].to_numpy()
    rows = []
    numbered = runs.select(*keys).with_row_index("row").group_by(keys, maintain_order=True).agg("row")
    for *values, members in numbered.iter_rows():
        of = np.asarray(members)
        flat: dict[str, Any] = dict(zip(keys, values, strict=True)) | {"runs": len(of)}
        parts = {name: _clock(time[of], seen[of]) for name, (time, seen) in times.items()}
        parts["position"] = _position(bounds[0][of], bounds[1][of])
        parts["p_catastrophe_first"] = share(first[of] == "catastrophe")
        parts["concealment"] = _middle(concealment[of])
        for name, part in parts.items():
            flat |= {f"{name}_{key}": value for key, value in part.items()}
        for event in ("removed", "catastrophe", "censored"):
            flat[f"first_{event}"] = int((first[of] == event).sum())
        rows.append(flat)
    if not rows:
        return numbered.select(keys)
    ends = ("_median", "_low", "_high", "_estimate")
    kinds = {name: pl.Float64 for row in rows[:1] for name in row if name.endswith(ends)}
    return pl.DataFrame(rows, schema_overrides=kinds, infer_schema_length=None)


def part(row: dict[str, Any], name: str) -> dict[str, Any]:
    """What a row of the spectrum says of one quantity, without its name: {median, low, high, ...}."""
    return {key.removeprefix(f"{name}_"): value for key, value in row.items() if key.startswith(f"{name}_")}
