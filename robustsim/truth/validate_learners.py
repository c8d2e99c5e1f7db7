"""Learners whose time to correct is known exactly, beside the softmax gradient of the other tables."""

import math
from collections.abc import Iterator
from typing import Any

from robustsim.truth import theory
from robustsim.truth.validate import Check, equal, exact_times, step

Row = dict[str, Any]
NATURAL = tuple(
    {"theta0": theta0, "p": p, "d": d, "eta": eta, "eps": eps}
    for theta0, p, d, eta, eps in (
        (4, 1, 1, 1.0, 0.05),
        (12, 1, 1, 1.0, 0.05),
        (20, 1, 1, 1.0, 0.05),
        (12, 2, 1, 0.5, 0.01),
        (8, 1, 0.3, 1.0, 0.05),
        (8, 0.5, 0.1, 0.2, 0.05),
    )
)


def checks(runs: int = 0, race_runs: int = 0) -> Iterator[Check]:
    """Every check. The arguments are those of the other tables: nothing here is sampled."""
    del runs, race_runs
    yield from natural()


def natural() -> Iterator[Check]:
    """A natural step moves the log odds by eta * Delta, however saturated the policy is (theory A.2)."""
    settings = [
        {
            "agent.natural": True,
            "agent.initial_logit": row["theta0"],
            "agent.learning_rate": row["eta"],
            "overseer.penalty": row["p"],
            "overseer.coverage": row["d"],
            "evaluation.threshold": row["eps"],
        }
        for row in NATURAL
    ]
    for row, got in zip(NATURAL, exact_times(settings), strict=True):
        yield equal("natural", row, "T", steps_natural(**row), step(got["both"]))


def steps_natural(theta0: float, p: float, d: float, eta: float, eps: float) -> int:
    """Gradient steps until removal: linear in the log odds."""
    return math.ceil((theta0 - theory.log_odds(eps)) / (eta * p * d))
