"""Exact limits for a binomial rate (Clopper and Pearson 1934). NumPy and scipy.special only."""

from functools import lru_cache

import numpy as np
from scipy.special import betaincinv


@lru_cache(maxsize=2**16)
def upper(successes: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided upper confidence limit of a rate; 1 where there are no trials."""
    if trials == 0 or successes >= trials:
        return 1.0
    return float(betaincinv(successes + 1, trials - successes, confidence))


@lru_cache(maxsize=2**16)
def lower(successes: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided lower confidence limit of a rate; 0 where there are no trials."""
    if trials == 0 or successes == 0:
        return 0.0
    return float(betaincinv(successes, trials - successes + 1, 1 - confidence))


def interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided confidence limits of a rate."""
    one_sided = 1 - (1 - confidence) / 2
    return lower(successes, trials, one_sided), upper(successes, trials, one_sided)


def log_odds(rate: float) -> float:
    """ln(rate / (1 - rate)), cut off at 700 where the rate is 0 or 1 in floating point."""
    return float(np.log(rate / (1 - rate))) if 0 < rate < 1 else float(np.copysign(700.0, rate - 0.5))


def logit(successes: float, trials: float) -> float:
    """Empirical log odds, ln((x + 1/2) / (m - x + 1/2)); finite also at rates of 0 and 1 (theory D)."""
    return float(np.log((successes + 0.5) / (trials - successes + 0.5)))
