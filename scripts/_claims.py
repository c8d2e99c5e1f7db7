"""What the claims of the scenarios are tested with: shares, differences, slopes and times of runs, with intervals."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import polars as pl

import robustsim as rs
from robustsim.analysis.spectrum import times

RESAMPLES = 10_000
DEFAULT = "default"  # how claims call the runs at the defaults

Found = dict[str, rs.Results]
Answer = tuple[bool, str]


class Claim(NamedTuple):
    """A claim's test.

    Attributes:
      rule: what has to hold.
      check: from the results, by name, to whether it holds and the numbers.
      needs: beside the default runs: {name: (settings, what is swept)}.
    """

    rule: str
    check: Callable[[Found], Answer]
    needs: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = MappingProxyType({})


def shares(results: rs.Results, column: str = "misbehaviour_unwatched") -> np.ndarray:
    """A column of the runs, float[n]."""
    return results.runs[column].drop_nulls().cast(pl.Float64).to_numpy()


def difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """95% percentile bootstrap interval of mean(a) - mean(b), of two independent samples."""
    draw = np.random.default_rng(len(a) + len(b))
    means = [x[draw.integers(0, len(x), (RESAMPLES, len(x)))].mean(1) for x in (a, b)]
    low, high = np.quantile(means[0] - means[1], (0.025, 0.975))
    return float(low), float(high)


def slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """(least-squares slope, its 95% percentile bootstrap interval over runs)."""
    draw = np.random.default_rng(len(x)).integers(0, len(x), (RESAMPLES, len(x)))
    dx = x[draw] - x[draw].mean(1, keepdims=True)
    slopes = (dx * y[draw]).sum(1) / np.maximum((dx**2).sum(1), 1e-12)
    low, high = np.quantile(slopes, (0.025, 0.975))
    return float(np.polyfit(x, y, 1)[0]), float(low), float(high)


def log_times(results: rs.Results, axis: str) -> tuple[np.ndarray, np.ndarray, int]:
    """(values of an axis, log T_c with the budget where it is censored, how many are censored)."""
    runs = results.runs
    clock = times(runs, "steps_to_correct")
    return runs[axis].cast(pl.Float64).to_numpy(), np.log(np.maximum(clock.time, 1)), int((~clock.event).sum())


def at(results: rs.Results, name: str, value: Any) -> rs.Results:
    """The configuration in which a swept setting has this value."""
    return results.where({name: value})


def log_odds(rates: pl.Series) -> np.ndarray:
    """Of rates over about 1,024 episodes, with half an episode added on each side, as `start_logit` has it."""
    hits = rates.to_numpy() * 1024
    return np.log((hits + 0.5) / (1024 - hits + 0.5))


def final(results: rs.Results) -> float:
    """Median unwatched misbehaviour at the end of oversight."""
    return float(np.median(shares(results, "final_misbehaviour_unwatched")))


def censored(results: rs.Results, column: str = "steps_to_correct") -> float:
    """Share of the runs in which a time is censored."""
    return float(results.runs[column].is_null().to_numpy().mean())
