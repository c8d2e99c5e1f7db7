"""The concordance index: of pairs whose order is known, the share that a forecast has in that order. NumPy only.

Harrell et al. 1982 (JAMA 247:2543): of two runs it is known which time came first if the earlier one is an event and
not a censoring. A tie of the forecasts counts half. 1/2 is what chance gives.
"""

from typing import NamedTuple

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95


class Runs(NamedTuple):
    """Runs of one group, float[n] each.

    Attributes:
      forecast: larger is later.
      time: of the event, or of the censoring.
      event: bool[n], False where censored.
    """

    forecast: np.ndarray
    time: np.ndarray
    event: np.ndarray


class Index(NamedTuple):
    """The index with its limits; None where no pair has a known order."""

    estimate: float | None
    low: float | None
    high: float | None
    pairs: int


def pairs(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """(float[n, n], how well each pair is ordered: 1, 1/2 or 0; bool[n, n], whether its order is known), row before
    column."""
    known = (runs.time[:, None] < runs.time) & runs.event[:, None]
    # An event and a censoring at the same time: the censored run comes later.
    known |= (runs.time[:, None] == runs.time) & runs.event[:, None] & ~runs.event
    ahead = runs.forecast[:, None] < runs.forecast
    level = runs.forecast[:, None] == runs.forecast
    return ahead + level / 2, known


def index(groups: list[Runs]) -> Index:
    """The index over the pairs within each group, with percentile limits of a bootstrap over the runs of each group."""
    tables = [pairs(runs) for runs in groups]
    total = sum(int(known.sum()) for _, known in tables)
    if not total:
        return Index(None, None, None, 0)
    random, drawn = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        weights = [np.bincount(random.integers(n, size=n), minlength=n) for n in (len(runs.time) for runs in groups)]
        sums = np.sum([_sums(*table, w) for table, w in zip(tables, weights, strict=True)], axis=0)
        drawn.append(sums[0] / sums[1] if sums[1] else np.nan)
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(x) for x in np.nanquantile(drawn, (tail, 1 - tail)))
    right = sum(float((good * known).sum()) for good, known in tables)
    return Index(right / total, low, high, total)


def _sums(good: np.ndarray, known: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """(pairs in order, pairs whose order is known), each run counted so many times."""
    each = known * weights[:, None] * weights
    return float((good * each).sum()), float(each.sum())
