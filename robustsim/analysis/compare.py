"""Two configurations of a sweep compared seed by seed, with bounds for what censoring leaves open. Tables only."""

import math
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.special import bdtr, ndtr

from robustsim.analysis import paired, selection, spectrum, survival
from robustsim.errors import UserError, nearest

MOST_EXACT = 200  # pairs up to which all signs of the signed ranks are counted


class Differences(NamedTuple):
    """Bounds of log10(b / a) in each pair; they are equal where both times are known."""

    lower: np.ndarray  # float[n], decades
    upper: np.ndarray  # float[n]


def quantities(runs: pl.DataFrame) -> list[str]:
    """The columns that can be compared: right-censored times, with a column `_lower` and no column `_upper`."""
    there = set(runs.columns)
    return sorted(x for x in there if x.startswith("steps_to_") and f"{x}_lower" in there and f"{x}_upper" not in there)


def compare(runs: pl.DataFrame, name: str, a: Any, b: Any, quantity: str = "steps_to_correct") -> dict[str, Any]:
    """A time in two configurations that differ in one setting, seed by seed: they share their random numbers.

    Args:
      runs: the runs of a sweep over this setting alone.
      name: of the setting.
      a, b: two of its values, as the table has them.
      quantity: a time that may be censored, such as `steps_to_correct`. A censored time is somewhere
        above its censoring, and a pair is ordered if that settles the order.

    Returns:
      name, a, b, quantity: what was compared.
      pairs: number of seeds with a run in both.
      sign: of the pairs, those in which b is `higher` or `lower` than a, `ties`, and those that censoring leaves
        `unknown`; `p` of the exact two-sided sign test over the ordered pairs, and `p_high`, the largest that the
        unknown pairs allow.
      wilcoxon: `p_low` and `p_high`, the bounds of p of the two-sided signed-rank test of log10(b / a).
      median_ratio: `estimate`, `low` and `high` of (median in b) / (median in a), as in the position: Kaplan-Meier
        medians and a bootstrap that resamples seeds; None where not identified.
      log_rank: `p` of the test that both share a survival curve. It ignores the pairing, which costs power.

    Raises:
      UserError: the quantity is not such a time, or no seed has both runs.
    """
    if quantity not in quantities(runs):
        raise UserError(f"compare quantity: {quantity!r} is not a time; {nearest(quantity, quantities(runs))}")
    sides = [selection.rows(runs, {name: value}).sort("seed") for value in (a, b)]
    shared = sides[0].select("seed").join(sides[1].select("seed"), on="seed")["seed"].implode()
    first, second = (spectrum.times(side.filter(pl.col("seed").is_in(shared)), quantity) for side in sides)
    n = len(first.time)
    if n == 0:
        raise UserError(f"compare {name}: no seed has a run with {a!r} and one with {b!r}")
    found = differences(first, second)
    ratio = [None if x is None else 10**x for x in paired.median_ratio(second, first)]
    time, event = np.concatenate([first.time, second.time]), np.concatenate([first.event, second.event]).astype(int)
    return {
        "name": name,
        "a": a,
        "b": b,
        "quantity": quantity,
        "pairs": n,
        "sign": sign(found),
        "wilcoxon": wilcoxon(found),
        "median_ratio": dict(zip(("estimate", "low", "high"), ratio, strict=True)),
        "log_rank": {"p": survival.log_rank(time, event, np.arange(2 * n) >= n)[1]},
    }


def differences(first: paired.Clock, second: paired.Clock) -> Differences:
    """log10(second / first) of each pair. Where both are 0, or the same known time, the difference is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = np.log10(first.time), np.log10(second.time)
        known = first.event & ~np.isnan(b - a), second.event & ~np.isnan(b - a)
        lower, upper = np.where(known[0], b - a, -math.inf), np.where(known[1], b - a, math.inf)
    tied = first.event & second.event & (first.time == second.time)
    return Differences(np.where(tied, 0.0, lower), np.where(tied, 0.0, upper))


def sign(found: Differences) -> dict[str, Any]:
    """The exact two-sided sign test: {higher, lower, ties, unknown, p, p_high}, the last over all unknown pairs.

    A censored time is beyond its censoring, so a lower bound of 0 is an order and not a tie.
    """
    known = found.lower == found.upper
    higher = int((np.where(known, found.lower > 0, found.lower >= 0)).sum())
    lower = int((np.where(known, found.upper < 0, found.upper <= 0)).sum())
    ties = int((known & (found.lower == 0)).sum())
    unknown = len(known) - higher - lower - ties
    few, many = sorted((higher, lower))
    worst = max(_sign_p(few + k, many) for k in range(unknown + 1))
    return {
        "higher": higher,
        "lower": lower,
        "ties": ties,
        "unknown": unknown,
        "p": _sign_p(few, many),
        "p_high": worst,
    }


def _sign_p(one: int, other: int) -> float:
    return min(1.0, 2 * float(bdtr(min(one, other), one + other, 0.5))) if one + other else 1.0


def wilcoxon(found: Differences) -> dict[str, float]:
    """Bounds {p_low, p_high} of p of the two-sided Wilcoxon signed-rank test, from the bounds of the differences.

    The statistic rises with every difference, so its extremes are at the lower bounds and at the upper bounds. If these
    are on different sides of its centre, p may be 1.
    """
    (one, p), (other, q) = (signed_ranks(x) for x in found)
    return {"p_low": min(p, q), "p_high": 1.0 if one * other < 0 else max(p, q)}


def signed_ranks(x: np.ndarray) -> tuple[float, float]:
    """(sum of the signed ranks, two-sided p) of the differences; zeros are left out, ties have their mean rank.

    p is exact up to 200 differences: the share of all 2^n ways to give the ranks their signs, with the ties
    as they are (Wilcoxon 1945; Lehmann 1975, section 3.2). Above that it is normal, with the variance of these ranks.
    """
    x = x[x != 0]
    size = np.abs(x)
    twice = (size[:, None] > size).sum(1) * 2 + (size[:, None] == size).sum(1) + 1  # twice the mean ranks: whole
    total, observed = int(twice.sum()), int(np.sign(x) @ twice) if len(x) else 0
    if len(x) > MOST_EXACT:
        return observed / 2, 2 * float(ndtr(-abs(observed) / math.sqrt(float(twice @ twice))))
    chance = np.ones(1)  # of each sum of the positive ranks
    for rank in twice:
        chance = (np.pad(chance, (0, rank)) + np.pad(chance, (rank, 0))) / 2
    least = (total + abs(observed)) // 2
    return observed / 2, min(1.0, 2 * float(chance[least:].sum()))
