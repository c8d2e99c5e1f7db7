"""How much of the harm a lever takes away, in decades (theory C). Tables only."""

from itertools import combinations
from math import factorial

import numpy as np
import polars as pl

from robustsim.analysis import paired

HALF_AN_ACT = 0.5  # so that no harm has a logarithm, too


def gain(actual: pl.DataFrame, lever: pl.DataFrame) -> dict[str, float | None]:
    """log10(k50 of the case / k50 under the lever), in decades: {estimate, low, high}.

    Over the seeds that both have, with a bootstrap that resamples seeds. Where the harm of the case is censored in most
    runs the gain has only a lower limit, and where that under the lever is, only an upper one. None: not identified.
    """
    shared = actual.select("seed").join(lever.select("seed"), on="seed")["seed"].implode()
    first, second = (_harm(runs.filter(pl.col("seed").is_in(shared)).sort("seed")) for runs in (actual, lever))
    if not len(first.time):
        return dict.fromkeys(("estimate", "low", "high"))
    open_ = paired.median(first) is None, paired.median(second) is None
    estimate, low, high = paired.median_ratio(first, second)
    if open_[0]:
        low = None if open_[1] else paired.median_ratio(_as_known(first), second)[1]
        return {"estimate": None, "low": low, "high": None}
    if open_[1]:
        return {"estimate": None, "low": None, "high": paired.median_ratio(first, _as_known(second))[2]}
    return {"estimate": estimate, "low": low, "high": high}


def _harm(runs: pl.DataFrame) -> paired.Clock:
    harm = runs["harm_lower"].cast(pl.Float64).to_numpy() + HALF_AN_ACT
    return paired.Clock(harm, runs["harm"].is_not_null().to_numpy())


def _as_known(harm: paired.Clock) -> paired.Clock:
    return paired.Clock(harm.time, np.ones_like(harm.event))


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
