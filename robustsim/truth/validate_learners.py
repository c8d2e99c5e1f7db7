"""Learners whose time to correct is known exactly, beside the softmax gradient of the other tables."""

import math
from collections.abc import Iterator
from typing import Any

from robustsim.truth import theory
from robustsim.truth.validate import Check, close, equal, exact_times, judged, settings_of, step

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
    yield from normalised()
    yield from sprung()
    yield from clung()
    yield from matched()


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


def _row(theta0: float, p: float = 1, d: float = 1, eta: float = 0.5, eps: float = 0.05, **more: Any) -> Row:
    return {"theta0": theta0, "p": p, "d": d, "eta": eta, "eps": eps, **more}


def normalised() -> Iterator[Check]:
    """Normalised advantages make T the same whatever the penalty, and halve its exponent where all is seen (A.1)."""
    rows = [_row(8, d=d) for d in (1, 0.9, 0.5, 0.1)] + [_row(8, p=p) for p in (0.1, 10)] + [_row(4), _row(12)]
    settings = [settings_of(row, **{"agent.normalise_advantages": True}) for row in rows]
    for row, got in zip(rows, exact_times(settings), strict=True):
        found = steps_normalised(row["theta0"], row["d"], row["eta"], row["eps"])
        yield equal("normalised", row, "T", found, step(got["both"]))
    ends = math.sinh(theory.log_odds(0.05) / 2)
    for row in (_row(theta0) for theta0 in (4, 8, 12)):
        continuous = 4 * (math.sinh(row["theta0"] / 2) - ends)
        found = steps_normalised(row["theta0"], 1, 0.5, 0.05)
        yield judged("normalised", row, "T of the ODE", continuous, found, abs(found - continuous) <= 3)


def steps_normalised(theta0: float, d: float, eta: float, eps: float) -> int:
    """Gradient steps until removal: each is 2 eta d s / sqrt(d pi (1 - d pi)), two logits, any penalty."""
    theta, steps = theta0, 0
    while (rate := 1 / (1 + math.exp(-theta))) > eps:
        deviation = math.sqrt(d * rate * (1 - d * rate))
        theta -= 2 * eta * d * rate * (1 - rate) / deviation
        steps += 1
    return steps


def sprung() -> Iterator[Check]:
    """A spring makes exponentially slow into never: beyond a strength of about 2 Delta e^(1 - theta0) (A.1)."""
    rows = [_row(theta0, factor=factor) for theta0 in (4, 6, 8, 10) for factor in (0.97, 1.03)]
    settings = [
        settings_of(row, **{"treatment.l2_anchor": row["factor"] * strongest_spring(row["theta0"])}) for row in rows
    ]
    for row, got in zip(rows, exact_times(settings), strict=True):
        left = got["last"].rates[0] < 0.5
        yield equal("l2_anchor", row, "leaves the plateau under a weaker spring only", row["factor"] < 1, left)


def strongest_spring(theta0: float, force: float = 2.0) -> float:
    """The largest lambda under which the plateau is left, two logits.

    That is force * min of s(theta) / (theta0 - theta) above theta = 0, where s is at its largest.
    """
    points = (theta0 - 1e-4 * i for i in range(1, round(1e4 * theta0)))
    return force * min(theory.slope(theta) / (theta0 - theta) for theta in points)


def clung() -> Iterator[Check]:
    """The cross-entropy anchor's fixed point: removal iff about beta < eps * Delta (A.1)."""
    rows = [_row(4, beta=beta) for beta in (0.01, 0.03, 0.04, 0.06, 0.2)]
    settings = [
        settings_of(row, **{"treatment.cross_entropy_anchor": row["beta"], "deployment.budget": 5000}) for row in rows
    ]
    for row, got in zip(rows, exact_times(settings), strict=True):
        end = rate_under_cross_entropy(row["theta0"], row["p"], row["beta"])
        yield equal("cross_entropy_anchor", row, "removed", end < row["eps"], step(got["both"]) is not None)
        if end > row["eps"]:
            yield close("cross_entropy_anchor", row, "pi at the end", end, got["last"].rates[0], 1e-6)


def rate_under_cross_entropy(theta0: float, delta: float, beta: float) -> float:
    """pi at which a penalty of this size and the anchor of strength beta balance."""
    kept, gap = 1 / (1 + math.exp(theta0)), delta - beta  # 1 - pi at deployment start
    return 1 - (gap + math.sqrt(gap**2 + 4 * delta * beta * kept)) / (2 * delta)


def matched() -> Iterator[Check]:
    """Trained by Adam and corrected by SGD, T_c grows exponentially in the length of training (A.3)."""
    lengths = {100: 1.7799, 400: 3.8872, 1600: 6.1823, 3200: 7.5525}
    rows = [{"n": n, "theta": theta, "eps": 0.05} for n, theta in lengths.items()]
    common = {
        "agent.initial_logit": 0.0,
        "agent.optimizer": "adam",
        "agent.learning_rate": 0.01,
        "online.optimizer": "sgd",
        "online.learning_rate": 0.5,
        "training.extension": 0.0,
    }
    settings = [common | {"training.steps": row["n"]} for row in rows]
    for row, got in zip(rows, exact_times(settings), strict=True):
        yield close("adam_then_sgd", row, "theta", row["theta"], got["theta"], 1e-4)
        found = len(theory.trajectory(got["theta"], row["eps"], 1))
        yield equal("adam_then_sgd", row, "T", found, step(got["both"]))
