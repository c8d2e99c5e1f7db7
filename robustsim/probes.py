"""Linear probes: can a feature be read from a hidden layer, on states that the probe has not seen?

A probe is a ridge regression. Readings of a feature that is 0 or 1 are scored by the area under the ROC curve (.5: by
chance), of others by R2 (0: by chance). What a probe reads need not be used: a random network of the same shape is the
control for what is in the observations anyway, and labels in a random order are the one for the probe itself.
"""

from typing import Any

import numpy as np

from robustsim.relations import CONFIDENCE, Interval

RIDGE = 1e-3  # of the mean variance of the hidden units
DRAWS = 400


def direction(hidden: Any, target: Any) -> Any:
    """float[H], the direction in which the probe of a feature reads it: its weights.

    Args:
      hidden: float[n, H], a layer on n states.
      target: float[n], the feature there.
    """
    return _regression(hidden, target[:, None], np)[0][:, 0]


def effect(hidden: Any, target: Any) -> Any:
    """float[H], what one unit of a feature adds to a layer on average, where nothing else varies with it.

    Of a feature that is 0 or 1 it is the difference of two means (the mass-mean direction of Marks and Tegmark 2023,
    arXiv 2310.06824). It is 0 where the feature does not vary. Arguments as :func:`direction`.
    """
    centred = target - target.mean()
    total = centred @ centred
    return centred @ (hidden - hidden.mean(0)) / (total if total > 0 else 1.0)


def _regression(hidden: Any, targets: Any, xp: Any) -> tuple[Any, Any]:
    """(weights float[H, q], intercepts float[q]) of q targets float[n, q]."""
    centre, middle = hidden.mean(0), targets.mean(0)
    centred = hidden - centre
    products = centred.T @ centred
    size = xp.trace(products) / len(products)
    ridge = RIDGE * xp.where(size > 0, size, 1.0) * xp.eye(len(products), dtype=products.dtype)
    directions = xp.linalg.solve(products + ridge, centred.T @ (targets - middle))
    return directions, middle - centre @ directions


def read(hidden: Any, targets: Any, fold: np.ndarray, xp: Any = np) -> Any:
    """float[n, q], readings of targets float[n, q] at each state, by probes that were fitted to the other folds.

    Args:
      hidden: float[n, H].
      fold: int[n], which fold a state is in.
    """
    found, order = [], []
    for one in np.unique(fold):
        held = fold == one
        directions, intercepts = _regression(hidden[~held], targets[~held], xp)
        found.append(hidden[held] @ directions + intercepts)
        order.append(np.flatnonzero(held))
    return xp.concatenate(found)[np.argsort(np.concatenate(order))]


def score(reading: Any, target: Any, xp: Any = np) -> Any:
    """float[], how well readings float[n] tell a feature float[n]: AUC where it is 0 or 1, R2 otherwise.

    A feature that does not vary cannot be read: .5 or 0.
    """
    binary = xp.all((target == 0) | (target == 1))
    return xp.where(binary, _area(reading, target, xp), _explained(reading, target, xp))


def margin(reading: np.ndarray, target: np.ndarray) -> float:
    """How many standard deviations apart readings of states with and without a feature are; 0 where neither varies.

    From the correlation r of reading and target: 2 r / sqrt(1 - r^2), which is the distance of two equally frequent
    classes with one spread (Cohen 1988, p. 23), and is defined for features that are no classes as well.
    """
    both = np.cov(reading, target)
    size = np.sqrt(both[0, 0] * both[1, 1])
    r = both[0, 1] / size if size > 0 else 0.0
    return float(2 * r / np.sqrt(max(1 - r**2, np.finfo(float).tiny)))


def _area(reading: Any, target: Any, xp: Any) -> Any:
    """The probability that a state with the feature has the larger reading (Mann and Whitney 1947); ties count half."""
    ordered = xp.sort(reading)
    rank = (xp.searchsorted(ordered, reading, side="left") + xp.searchsorted(ordered, reading, side="right") + 1) / 2
    with_it = xp.sum(target)
    pairs = with_it * (len(target) - with_it)
    wins = xp.sum(rank * target) - with_it * (with_it + 1) / 2
    return xp.where(pairs > 0, wins / xp.where(pairs > 0, pairs, 1.0), 0.5)


def _explained(reading: Any, target: Any, xp: Any) -> Any:
    total = xp.sum((target - target.mean()) ** 2)
    left = xp.sum((target - reading) ** 2)
    return xp.where(total > 0, 1 - left / xp.where(total > 0, total, 1.0), 0.0)


def scores(readings: Any, targets: Any, xp: Any = np) -> Any:
    """float[q], the score of each of q readings float[n, q]."""
    return xp.stack([score(readings[:, j], targets[:, j], xp) for j in range(targets.shape[1])])


def scored(
    hidden: np.ndarray,
    targets: np.ndarray,
    episodes: np.ndarray,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    folds: int = 5,
) -> Interval:
    """How well q targets float[n, q] are read from a layer float[n, H], with a bootstrap over episodes; float[q] each.

    Args:
      episodes: int[n], which episode a state is of. One episode is held out, and drawn, as a whole.
      confidence: of each percentile interval.
    """
    _, member = np.unique(episodes, return_inverse=True)
    readings = read(hidden, targets, member % folds)
    rows = [np.flatnonzero(member == one) for one in range(member.max() + 1)]
    random = np.random.default_rng(len(rows))
    drawn = np.empty((draws, targets.shape[1]))
    for i in range(draws):
        at = np.concatenate([rows[one] for one in random.integers(len(rows), size=len(rows))])
        drawn[i] = scores(readings[at], targets[at])
    tail = (1 - confidence) / 2
    return Interval(scores(readings, targets), *np.quantile(drawn, (tail, 1 - tail), axis=0))
