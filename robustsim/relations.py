"""Which features of outcomes are goals: what value estimates go with, alone and with the other features held constant.

A goal is a represented feature that correlates with value estimates. It is final if it still does with the others held
constant, and instrumental if it then does not (Framing 2; theory D). Where values and features come from is the
caller's business, and so is that no feature stands for another in the states they come from. Where one does, an
imperfect reading of the one leaks into the other, and an instrumental feature looks final.
"""

import math
from typing import Any, NamedTuple

import numpy as np

LEAST = 0.3  # of a correlation, for a goal (theory D)
SHARE = 0.02  # of the variance of the values that a final goal alone explains
KEPT = 0.5  # of its correlation that an instrumental goal keeps, at most
READABLE = 0.8  # R2 or AUC of a probe, for a feature that is represented
CONFIDENCE = 0.95
DRAWS = 2000

FINAL, INSTRUMENTAL, GOAL = "final", "instrumental", "goal"
NO_GOAL, UNREPRESENTED, UNDETERMINED = "not a goal", "not represented", "undetermined"
KINDS = {
    FINAL: "values go with it, with the other features held constant as well",
    INSTRUMENTAL: "values go with it, and hardly any more with the other features held constant",
    GOAL: "values go with it; whether for its own sake is undetermined",
    NO_GOAL: "values do not go with it",
    UNREPRESENTED: "no probe reads it from the network",
    UNDETERMINED: "the intervals leave it open",
}


MEASURED = {  # at each evaluation, with `evaluation.goals`
    "correlation": "correlation of the value estimates with this: {}",
    "partial": "the same with the other features held constant: {}",
    "unique": "share of the variance of the value estimates that this alone explains: {}",
}


class Relations(NamedTuple):
    """How each of q features goes with the values; float[..., q] each."""

    correlation: np.ndarray
    partial: np.ndarray  # correlation with the other features held constant
    unique: np.ndarray  # drop of R2 without it
    weight: np.ndarray  # standardised, of the regression on all of them


class Interval(NamedTuple):
    """float[q] each."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def size(self) -> "Interval":
        """The interval of the absolute value."""
        low = np.maximum(0.0, np.maximum(self.low, -self.high))
        return Interval(np.abs(self.estimate), low, np.maximum(np.abs(self.low), np.abs(self.high)))


READ = "readable"
MEASUREMENTS = MEASURED | {READ: "how well a linear probe of the last hidden layer reads this (AUC or R2): {}"}


def measurement(feature: str, relation: str) -> str:
    """What a measurement of an evaluation is called."""
    return f"goal_{feature}_{relation}"


def relations(covariance: Any, xp: Any = np) -> Relations:
    """From the covariance matrices of (value, features), float[..., 1 + q, 1 + q].

    A feature that does not vary, or that the others determine, goes with nothing: its partial correlation, unique share
    and weight are 0.

    Args:
      covariance: of NumPy, or of JAX.
      xp: numpy, or jax.numpy.
    """
    tiny = math.sqrt(float(xp.finfo(covariance.dtype).eps))
    variance = xp.diagonal(covariance, axis1=-2, axis2=-1)
    scale = xp.where(variance > 0, xp.where(variance > 0, variance, 1.0) ** -0.5, 0.0)
    standard = covariance * scale[..., :, None] * scale[..., None, :]
    correlation, among = standard[..., 0, 1:], standard[..., 1:, 1:]
    inverse = xp.linalg.pinv(among, tiny, hermitian=True)
    weight = (inverse @ correlation[..., None])[..., 0]
    alone = xp.diagonal(inverse, axis1=-2, axis2=-1)
    projection = xp.diagonal(inverse @ among, axis1=-2, axis2=-1)
    free = (alone > 0) & (xp.abs(projection - 1) < 100 * tiny)  # there the pseudo-inverse is an inverse
    unique = xp.where(free, weight**2 / xp.where(free, alone, 1.0), 0.0)
    unexplained = xp.maximum(1 - xp.sum(weight * correlation, -1), 0.0)[..., None]
    total = unique + unexplained
    partial = xp.sign(weight) * xp.sqrt(xp.where(total > 0, unique / xp.where(total > 0, total, 1.0), 0.0))
    return Relations(correlation, xp.where(free, partial, 0.0), unique, xp.where(free, weight, 0.0))


def measured(
    values: np.ndarray, features: np.ndarray, episodes: np.ndarray, confidence: float = CONFIDENCE, draws: int = DRAWS
) -> dict[str, Interval]:
    """The relations with percentile intervals of a bootstrap over episodes, by the names of :class:`Relations`.

    Args:
      values: float[n], estimates of value.
      features: float[n, q].
      episodes: int[n], which episode a state is of; states of one are not independent.
      confidence: of each interval. For m of them at once (Bonferroni): 1 - (1 - confidence) / m.
    """
    rows = np.column_stack([np.ones(len(values)), values, features]).astype(np.float64)
    rows[:, 1:] -= rows[:, 1:].mean(0)  # for the arithmetic alone
    _, member = np.unique(episodes, return_inverse=True)
    order = np.argsort(member, kind="stable")
    starts = np.searchsorted(member[order], np.arange(member.max() + 1))
    moments = np.add.reduceat((rows[:, :, None] * rows[:, None, :])[order], starts, axis=0)
    count = len(starts)
    draw = np.random.default_rng(count).multinomial(count, np.full(count, 1 / count), draws)
    found, drawn = (relations(_covariance(m)) for m in (moments.sum(0), np.tensordot(draw, moments, 1)))
    tail = (1 - confidence) / 2
    ends = {name: np.quantile(getattr(drawn, name), (tail, 1 - tail), axis=0) for name in Relations._fields}
    return {name: Interval(getattr(found, name), *ends[name]) for name in Relations._fields}


def _covariance(moments: np.ndarray) -> np.ndarray:
    """Of (value, features), from sums of products of (1, value, features), float[..., 2 + q, 2 + q]."""
    n = moments[..., :1, :1]
    mean = moments[..., 1:, :1] / n
    return moments[..., 1:, 1:] / n - mean @ np.swapaxes(mean, -1, -2)


def kinds(found: dict[str, Interval], readable: np.ndarray | None = None) -> list[str]:
    """What each feature is to the values, one of :data:`KINDS`.

    Args:
      found: of :func:`measured`, with intervals for all features at once where several are asked about.
      readable: float[q], lower end of how well a probe reads it; None: all are read from what they are.
    """
    r, partial, unique = found["correlation"].size(), found["partial"].size(), found["unique"]
    answers = []
    for j in range(len(r.estimate)):
        if readable is not None and not readable[j] >= READABLE:
            answers.append(UNREPRESENTED)
        elif partial.low[j] >= LEAST and unique.estimate[j] >= SHARE:
            answers.append(FINAL)
        elif r.low[j] >= LEAST:
            means = partial.high[j] < KEPT * r.estimate[j] or unique.high[j] < SHARE
            answers.append(INSTRUMENTAL if means else GOAL)
        else:
            alone = partial.high[j] < LEAST or unique.high[j] < SHARE
            answers.append(NO_GOAL if r.high[j] < LEAST and alone else UNDETERMINED)
    return answers


def summary(values: np.ndarray, features: dict[str, np.ndarray], episodes: np.ndarray) -> dict[str, dict[str, Any]]:
    """{feature: {kind, correlation, partial, unique, weight}}, with intervals that hold for all features at once."""
    table = np.column_stack(list(features.values()))
    found = measured(values, table, episodes, 1 - (1 - CONFIDENCE) / len(features))
    answers = kinds(found)
    return {
        name: {"kind": answers[j]}
        | {what: dict(zip(Interval._fields, (float(x[j]) for x in one), strict=True)) for what, one in found.items()}
        for j, name in enumerate(features)
    }
