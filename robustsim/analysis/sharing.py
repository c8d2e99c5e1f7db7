"""What linear theory says of the unwatched misbehaviour, from how the watched one falls (theory A.2, D). Tables only.

Where only watched episodes teach, the unwatched log odds fall by rho times as much as the watched ones. Log odds are
ln((x + 1/2) / (m - x + 1/2)) of x misbehaviours in m decisions, so none and all are finite.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

LEAST_FALL = 1.0  # of the watched log odds, before a ratio of both falls says anything (theory D)


class Course(NamedTuple):
    """One correction: float[n] each, at evaluations in their order."""

    step: np.ndarray
    watched: np.ndarray  # log odds
    unwatched: np.ndarray


def course(trace: pl.DataFrame, exact: bool = False) -> Course:
    """The course of one run's corrected arm, as long as the overseer is there.

    Args:
      exact: whether its rates are probabilities, not shares of decisions.
    """
    mine = trace.filter((pl.col("arm") == "corrected") & pl.col("overseen")).sort("step")
    odds = []
    for side in ("watched", "unwatched"):
        trials = mine[f"decisions_{side}"].to_numpy().astype(float)
        rates = mine[f"misbehaviour_{side}"].to_numpy()
        hits = rates * trials
        odds.append(np.log(rates / (1 - rates)) if exact else np.log((hits + 0.5) / (trials - hits + 0.5)))
    return Course(mine["step"].to_numpy(), *odds)


def predicted(found: Course, rho: float, threshold: float) -> int | None:
    """The first evaluation at which the unwatched rate should be at most the threshold; None: at none of them."""
    expected = found.unwatched[0] - rho * (found.watched[0] - found.watched)
    return first_below(found, expected, threshold)


def first_below(found: Course, log_odds: np.ndarray, threshold: float) -> int | None:
    """The first evaluation at which log odds float[n] are those of the threshold or below; None: at none of them."""
    below = np.flatnonzero(log_odds <= np.log(threshold / (1 - threshold)))
    return int(found.step[below[0]]) if len(below) else None


def shown(found: Course) -> float | None:
    """The ratio of both falls, once the watched log odds have fallen by 1: what was shared; None: they never have."""
    fall = found.watched[0] - found.watched
    enough = np.flatnonzero(fall >= LEAST_FALL)
    if not len(enough):
        return None
    at = enough[0]
    return float((found.unwatched[0] - found.unwatched[at]) / fall[at])
