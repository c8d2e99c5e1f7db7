"""What linear theory says of the unwatched misbehaviour, from how the watched one falls (theory A.2, D). Tables only.

Where only watched episodes teach, the unwatched log odds fall by rho times as much as the watched ones. Log odds are
ln((x + 1/2) / (m - x + 1/2)) of x misbehaviours in m decisions, so none and all are finite: as far from 1/2 as m
decisions can show. Evaluations of different sizes are all taken as of the smallest, or none would differ from none.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

SIDES = ("watched", "unwatched")


class Course(NamedTuple):
    """One correction: float[n] each, at evaluations in their order."""

    step: np.ndarray
    rates: dict[str, np.ndarray]  # by watched, unwatched
    odds: dict[str, np.ndarray]  # their logarithms


def course(trace: pl.DataFrame, exact: bool = False) -> Course:
    """The course of one run's corrected arm, as long as the overseer is there.

    Args:
      exact: whether its rates are probabilities, not shares of decisions.
    """
    mine = trace.filter((pl.col("arm") == "corrected") & pl.col("overseen")).sort("step")
    rates = {side: mine[f"misbehaviour_{side}"].to_numpy() for side in SIDES}
    least = min(int(mine[f"decisions_{side}"].min() or 0) for side in SIDES)  # pyright: ignore[reportArgumentType]
    half = 0.0 if exact else 0.5
    odds = {side: np.log((rate * least + half) / (least - rate * least + half)) for side, rate in rates.items()}
    return Course(mine["step"].to_numpy(), rates, odds)


def predicted(found: Course, rho: float, threshold: float) -> int | None:
    """The first evaluation at which the unwatched rate should be at most the threshold; None: at none of them."""
    watched, unwatched = (found.odds[side] for side in SIDES)
    return _first(found, unwatched[0] - rho * (watched[0] - watched) <= np.log(threshold / (1 - threshold)))


def first_below(found: Course, side: str, threshold: float) -> int | None:
    """The first evaluation at which a rate is at most the threshold; None: at none of them."""
    return _first(found, found.rates[side] <= threshold)


def _first(found: Course, flags: np.ndarray) -> int | None:
    at = np.flatnonzero(flags)
    return int(found.step[at[0]]) if len(at) else None


def shown(found: Course, threshold: float) -> float | None:
    """How far the unwatched log odds have fallen over how far the watched ones have, once those rates are low enough.

    None where they never are. Rates that begin at 1 begin as far from it as the evaluation can show.
    """
    at = np.flatnonzero(found.rates["watched"] <= threshold)
    if not len(at):
        return None
    watched, unwatched = (found.odds[side][0] - found.odds[side][at[0]] for side in SIDES)
    return float(unwatched / watched) if watched > 0 else None
