"""How much of the harm a lever takes away, in decades (theory C). Tables only."""

import math
from itertools import combinations
from math import factorial

import numpy as np
import polars as pl

RESAMPLES = 2000
HALF_AN_ACT = 0.5  # so that no harm has a logarithm, too


def gain(actual: pl.DataFrame, lever: pl.DataFrame) -> dict[str, float | None]:
    """log10(k50 of the case / k50 under the lever), in decades: {estimate, low, high}.

    Over the seeds that both have, with a bootstrap that resamples seeds. A run that was never corrected does more harm
    than is known: `low` takes the case's at what is known and the lever's without end, `high` the other way round, so
    that where most runs of the case are never corrected there is only a lower limit. None: not identified.
    """
    both = actual.select("seed").join(lever.select("seed"), on="seed")["seed"].implode()
    case, other = (runs.filter(pl.col("seed").is_in(both)).sort("seed") for runs in (actual, lever))
    if case.is_empty():
        return dict.fromkeys(("estimate", "low", "high"))
    rows = np.random.default_rng(0).integers(len(case), size=(RESAMPLES, len(case)))
    known = [_log(runs, without_end=False) for runs in (case, other)]
    most = [_log(runs, without_end=True) for runs in (case, other)]
    found = {
        "estimate": _difference(most[0], most[1], np.arange(len(case))[None])[0],
        "low": np.quantile(_difference(known[0], most[1], rows), 0.025, method="inverted_cdf"),
        "high": np.quantile(_difference(most[0], known[1], rows), 0.975, method="inverted_cdf"),
    }
    return {name: float(x) if math.isfinite(x) else None for name, x in found.items()}


def _log(runs: pl.DataFrame, without_end: bool) -> np.ndarray:
    """log10 of the harm of each run; of those that were never corrected at what is known, or without end."""
    known = np.log10(runs["harm_lower"].cast(pl.Float64).to_numpy() + HALF_AN_ACT)
    return np.where(runs["harm"].is_null().to_numpy() & without_end, np.inf, known)


def _difference(first: np.ndarray, second: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The difference of two medians in each sample; without end on both sides nothing is known, so infinity."""
    a, b = (np.median(values[rows], axis=1) for values in (first, second))
    return np.where(np.isinf(a) & np.isinf(b), np.inf, a - np.where(np.isinf(a), 0, b))


def shapley(gains: dict[frozenset[str], float | None]) -> dict[str, float] | None:
    """What each of some levers contributes to their gain together (Shapley 1953), in decades.

    Args:
      gains: of every set of them; the empty one has none.

    Returns:
      A share for each; None where a gain is not identified.
    """
    players = sorted(frozenset().union(*gains)) if gains else []
    if not players:
        return None
    values = {frozenset[str](): 0.0} | gains
    if any(values.get(frozenset(some)) is None for n in range(len(players) + 1) for some in combinations(players, n)):
        return None
    total, n = factorial(len(players)), len(players)
    shares = {}
    for player in players:
        rest = [p for p in players if p != player]
        sets = [frozenset(some) for size in range(n) for some in combinations(rest, size)]
        weights = {some: factorial(len(some)) * factorial(n - len(some) - 1) / total for some in sets}
        shares[player] = sum(w * (values[some | {player}] - values[some]) for some, w in weights.items())  # pyright: ignore[reportOperatorIssue]
    return shares
