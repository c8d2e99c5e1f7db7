"""The ratio of two medians of the same seeds: Kaplan-Meier, with a bootstrap that resamples seeds. NumPy only.

The two times of a seed share its random numbers and are dependent, so one resample draws whole seeds for both.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from robustsim.analysis.survival import ROUNDING, kaplan_meier, quantile

RESAMPLES = 2399  # 2,399 ratios cut the line into 2,400 parts, of which 2.5% are 60
CONFIDENCE = 0.95
FEWEST = 6  # no two order statistics of five runs enclose their median with a confidence of 95%
BLOCK = 2**20  # numbers at once, so that ten thousand seeds need no more memory than ten


class Clock(NamedTuple):
    """A right-censored time of each seed."""

    time: np.ndarray  # float[n], gradient steps: of the event, or of the censoring
    event: np.ndarray  # bool[n], False where censored


def median(clock: Clock) -> float | None:
    """The Kaplan-Meier median; None where not identified."""
    return quantile(kaplan_meier(clock.time, np.asarray(clock.event, int), CONFIDENCE))[0]


def median_ratio(first: Clock, second: Clock) -> tuple[float | None, float | None, float | None]:
    """(estimate, low, high) of log10(median of `first` / median of `second`), in decades; None where not identified.

    The times of one seed are at the same index. The limits are percentiles of the estimate over 2,399 resamples of
    seeds (Efron and Tibshirani 1993, section 13.3). A median that a resample leaves open counts as infinite, so that
    the interval opens on that side once this happens in more than 2.5% of them. The random numbers depend on
    the number of seeds alone: the same times always have the same interval. Fewer than six seeds have none, unless
    every resample gives the same ratio.

    This is the ratio of the medians, not the median of the ratios: they differ where the two times are skewed.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        top, bottom = (np.array([np.inf if (m := median(c)) is None else m]) for c in (first, second))
        estimate = float(np.log10(top / bottom)[0])
        pairs = [(resampled(first, w), resampled(second, w)) for w in _blocks(len(first.time))]
        ratios = np.log10(np.concatenate([a / b for a, b in pairs])) if pairs else np.full(1, np.nan)
    beyond = round((1 - CONFIDENCE) / 2 * (len(ratios) + 1))
    low = np.sort(np.where(np.isnan(ratios), -np.inf, ratios))[beyond - 1]
    high = np.sort(np.where(np.isnan(ratios), np.inf, ratios))[-beyond]
    spread = high - low if np.isfinite(low) and np.isfinite(high) else np.inf
    if len(first.time) < FEWEST and spread > ROUNDING:
        low, high = -np.inf, np.inf
    estimate, low, high = (float(x) if np.isfinite(x) else None for x in (estimate, low, high))
    return estimate, low, high


def resampled(clock: Clock, weights: np.ndarray) -> np.ndarray:
    """float[r]: the Kaplan-Meier median of each resample, inf where not identified.

    Args:
      weights: int[r, n], how often each seed is in each resample.
    """
    order = np.lexsort((~np.asarray(clock.event, bool), clock.time))  # events come before censorings of the same time
    time, event, count = clock.time[order], np.asarray(clock.event, float)[order], weights[:, order].astype(float)
    at_risk = count[:, ::-1].cumsum(1)[:, ::-1]
    # Tied events are taken one after the other: the product over them is the factor of all of them together.
    survival = np.cumprod(1 - event * count / np.maximum(at_risk, 1), 1)
    reached, passed = survival <= 0.5 + ROUNDING, survival <= 0.5 - ROUNDING
    left = np.where(reached[:, -1], time[reached.argmax(1)], np.inf)
    return np.where(passed[:, -1], (left + time[passed.argmax(1)]) / 2, left)


@lru_cache(maxsize=16)
def _weights(n: int) -> np.ndarray:
    draw, rows = np.random.default_rng(n), max(1, BLOCK // n)
    blocks = [min(rows, RESAMPLES - done) for done in range(0, RESAMPLES, rows)]
    return np.concatenate([draw.multinomial(n, np.full(n, 1 / n), size).astype(np.uint8) for size in blocks])


def _blocks(n: int) -> Iterator[np.ndarray]:
    """How often each seed is in each resample, int[some, n], until all resamples are done."""
    if n:
        weights, rows = _weights(n), max(1, BLOCK // n)
        yield from (weights[done : done + rows] for done in range(0, RESAMPLES, rows))
