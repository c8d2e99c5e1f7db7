"""Dose and response (Framing 1.5): which share of a training would have had to be corrected. Tables only."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.stats import rankdata

RESAMPLES = 2000
HALF = 0.5


class Dose(NamedTuple):
    """The share at which half of the response is gone. Between two doses that were tried, nothing is known.

    Attributes:
      above: the largest share that leaves more than half; 0 where the least one leaves no more.
      at_most: the next one; None where more than the largest share is needed.
      low, high: of both, with the seeds drawn anew: 95% limits, of `above` from below and of `at_most` from above.
    """

    above: float
    at_most: float | None
    low: float
    high: float | None


class Interval(NamedTuple):
    """95% limits; None: open to that side."""

    low: float | None
    high: float | None


class Estimate(NamedTuple):
    """A number with 95% limits, by bootstrap; each is None where it is not identified."""

    estimate: float | None
    low: float | None
    high: float | None


def limits(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95% limits float[D] of the mean of float[N, D] over the N, by bootstrap."""
    rng, n = np.random.default_rng(0), len(values)
    means = np.array([values[rng.integers(n, size=n)].mean(axis=0) for _ in range(RESAMPLES)])
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    return low, high


def fitted(response: np.ndarray) -> np.ndarray:
    """float[D], the mean response of float[N, D] at growing doses, the first one 0, made to fall from there on.

    The response without a dose is no part of the fit (pool adjacent violators): it is its cap.
    """
    means = response.mean(axis=0)
    return np.concatenate([means[:1], np.minimum(isotonic_regression(means[1:], increasing=False).x, means[0])])


def bracket(doses: np.ndarray, response: np.ndarray) -> tuple[float, float]:
    """(the largest dose that leaves more than half of the response, the next one); infinite where none does.

    Args:
      doses: float[D], growing, the first one 0.
      response: float[N, D], of N seeds; above 0 in the mean at dose 0.
    """
    fit = fitted(response)
    below = np.flatnonzero(fit <= HALF * fit[0])
    if not len(below):
        return float(doses[-1]), np.inf
    return float(doses[below[0] - 1]), float(doses[below[0]])


def ed50(doses: np.ndarray, response: np.ndarray) -> Dose:
    """The dose that takes away half of the response, with a bootstrap over seeds; arguments as :func:`bracket`."""
    (above, at_most), drawn = bracket(doses, response), _resampled(doses, response)
    return Dose(above, _finite(at_most), _lower(drawn[:, 0]), _finite(_upper(drawn[:, 1])))


def concentration(doses: tuple[np.ndarray, np.ndarray], random: np.ndarray, targeted: np.ndarray) -> Interval:
    """ED50 at random over that of a targeted correction, with all that the brackets leave open.

    Args:
      doses: float[D] of both.
      random, targeted: float[N, D], rows of the same seeds.
    """
    (low_r, high_r), (low_t, high_t) = (
        _resampled(at, response).T for at, response in zip(doses, (random, targeted), strict=True)
    )
    with np.errstate(divide="ignore"):
        low, high = _lower(low_r / high_t), _upper(np.where(low_t > 0, high_r / low_t, np.inf))
    return Interval(low or None, _finite(high))


def rank_correlation(predicted: np.ndarray, measured: np.ndarray, block: int = 1) -> Estimate:
    """Spearman's, of float[W] each; None where one of them does not vary.

    Args:
      block: how many neighbours depend on each other: so many in a row are drawn together (moving-block bootstrap).
    """
    if np.ptp(predicted) == 0 or np.ptp(measured) == 0:
        return Estimate(None, None, None)
    rng, n, drawn = np.random.default_rng(0), len(predicted), []
    for _ in range(RESAMPLES):
        first = rng.integers(n, size=-(-n // block))
        some = ((first[:, None] + np.arange(block)) % n).ravel()[:n]
        if np.ptp(predicted[some]) and np.ptp(measured[some]):
            drawn.append(_spearman(predicted[some], measured[some]))
    low, high = (float(x) for x in np.quantile(drawn, (0.025, 0.975)))
    return Estimate(_spearman(predicted, measured), low, high)


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def _resampled(doses: np.ndarray, response: np.ndarray) -> np.ndarray:
    """float[RESAMPLES, 2], the brackets of seeds that are drawn with replacement: the same rows for every response."""
    rng, n = np.random.default_rng(0), len(response)
    return np.array([bracket(doses, response[rng.integers(n, size=n)]) for _ in range(RESAMPLES)])


def _lower(drawn: np.ndarray) -> float:
    return float(np.quantile(drawn, 0.025, method="inverted_cdf"))


def _upper(drawn: np.ndarray) -> float:
    return float(np.quantile(drawn, 0.975, method="inverted_cdf"))


def _finite(x: float) -> float | None:
    return x if np.isfinite(x) else None
