"""Repairs in the exact bandit, beside their recursions and the closed forms of their flows.

With a = c * eta * p, log odds theta and pi = sigmoid(theta), one gradient step of a repair moves theta by

| repair | by | closed form of the flow |
|---|---|---|
| penalty | -a pi (1 - pi) | [2 theta + e^theta - e^-theta] / a |
| reversal of a rollout in which a share q misbehaved | -a q (1 - pi) | [theta + e^theta] / (a q) |
| clone of an agent that misbehaved at a rate pi_b | a (pi_b - pi) | comes to rest at pi_b |
| corrected, screen, of everything | 0 | never |

so a reversal is a penalty that does not fade as the misbehaviour does: the same on an agent that always misbehaves,
faster and faster on one that rarely does, and it does not stop.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from robustsim.truth import theory
from robustsim.truth.validate import Check, close, equal, exact_times, judged, step

Row = dict[str, Any]
ALONE = {"overseer.visible": False, "training.watched": 0.0}  # one context, in training and in deployment
TRAINED = {
    "agent.learning_rate": 0.5,
    "training.steps": 400,
    "training.penalty": -1.0,
    "training.record": 1,
    "deployment.budget": 20_000,
}
REVERSALS = tuple({"theta0": theta0, "p": p} for theta0 in (-3, 0, 2) for p in (1.2, 2.0, 5.0))
CLONES = tuple({"theta0": theta0, "p": p} for theta0 in (-6, -4, -3.5) for p in (0.5, 1.0))
NEVER = tuple({"theta0": theta0, "p": 1.0} for theta0 in (-3, 0, 2))
THRESHOLD = 0.05
EARNED = 1.0  # what the bandit itself pays for a misbehaviour in training


def checks(runs: int = 0, race_runs: int = 0) -> Iterator[Check]:
    """Every check. The arguments are those of the other tables: nothing here is sampled."""
    del runs, race_runs
    yield from reversal()
    yield from clone()
    yield from never()


def _settings(feedback: str, row: Row) -> Row:
    own = {"agent.initial_logit": row["theta0"], "overseer.penalty": row["p"], "overseer.feedback": feedback}
    return ALONE | TRAINED | own


def reversal() -> Iterator[Check]:
    """The recorded rollout is the last one of training: its share of misbehaviour is that of the step before."""
    for row, got in zip(REVERSALS, exact_times([_settings("reversal", row) for row in REVERSALS]), strict=True):
        theta, q = _trained(row["theta0"])
        push = _pushed(row["p"], q)
        yield close("reversal", row, "theta", theta, got["theta"])
        expected = _steps(theta, lambda z, push=push: -push * (1 - _sigmoid(z)))
        yield equal("reversal", row, "T", expected, step(got["both"]))
        flow = (_reversed(theta) - _reversed(theory.log_odds(THRESHOLD))) / push
        near = expected is not None and abs(flow - expected) <= 2 + 0.5 * abs(theta)
        yield judged("reversal", row, "T of the flow", flow, expected, near)


def clone() -> Iterator[Check]:
    """Imitation of the agent from before comes to rest at its rate, which may be above the threshold."""
    for row, got in zip(CLONES, exact_times([_settings("clone", row) for row in CLONES]), strict=True):
        theta, _ = _trained(row["theta0"])
        target = _sigmoid(row["theta0"])
        expected = _steps(theta, lambda z, row=row, target=target: row["p"] * (target - _sigmoid(z)))
        yield equal("clone", row, "T", expected, step(got["both"]))


def never() -> Iterator[Check]:
    """What is no longer paid for, or not learned from, has no gradient here: the log odds stay where they are."""
    for feedback in ("corrected", "screen"):
        paid = {"deployment.budget": 500, "env.bonus": 1.0}  # which would teach the misbehaviour further
        found = exact_times([_settings(feedback, row) | paid for row in NEVER])
        for row, got in zip(NEVER, found, strict=True):
            yield equal(feedback, row, "T", None, step(got["both"]))
            start, end = got["theta"], theory.log_odds(got["last"].rates[0])
            yield close(feedback, row, "theta", start, end, 1e-6)


def _pushed(penalty: float, share: float) -> float:
    """The bandit's own reward is not reversed."""
    return (penalty - EARNED) * share


def _trained(theta: float) -> tuple[float, float]:
    """(log odds after the training of the offending reward, share of misbehaviour in its last rollout)."""
    share = 0.0
    for _ in range(TRAINED["training.steps"]):
        share = _sigmoid(theta)
        theta += (1.0 + EARNED) * share * (1 - share)
    return theta, share


def _steps(theta: float, move: Callable[[float], float]) -> int | None:
    """Gradient steps until the rate is at most the threshold; None where that takes more than the budget."""
    for taken in range(TRAINED["deployment.budget"] + 1):
        if _sigmoid(theta) <= THRESHOLD:
            return taken
        theta += move(theta)
    return None


def _reversed(theta: float) -> float:
    return theta + math.exp(theta)


def _sigmoid(theta: float) -> float:
    return 1 / (1 + math.exp(-theta))
