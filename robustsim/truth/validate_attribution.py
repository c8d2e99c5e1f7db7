"""Attribution of bandits whose answers are known: the probability that a lever is in time is exact.

The log odds follow a recursion, in training and in deployment, and the number of misbehaviours up to the removal is a
sum of independent events with known probabilities, so P(at least k of them) comes from a dynamic program (theory C).
Each archetype is attributed with other seeds again and again: the label has to be right, and the shares of runs in
time have to be those probabilities.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from robustsim.attribution.answer import Attribution
from robustsim.attribution.attribute import attribute
from robustsim.attribution.terms import CONFIDENCE, Terms
from robustsim.levers import REFERENCE
from robustsim.spec.loading import load
from robustsim.spec.settings import flatten, resolve
from robustsim.truth import theory
from robustsim.truth.validate import Check, four_errors, judged

EPS = 0.05
APART = 1000  # between the first seeds of two attributions
WEAK = {"overseer.penalty": 0.2, "overseer.coverage": 0.05, "deployment.budget": 5000}

Row = dict[str, Any]


def _case(logit: float, steps: int, k: int, **changes: Any) -> Row:
    return WEAK | {"agent.initial_logit": logit, "training.steps": steps, "catastrophe.threshold": k} | changes


ARCHETYPES: dict[str, tuple[str, Row]] = {
    "aligned": ("aligned", _case(-6.0, 0, 60)),
    "contained": ("contained", _case(0.0, 7, 5000)),
    "online-outer": ("online-outer", _case(0.0, 7, 60)),
    "outer-in-training": ("outer-in-training", _case(0.0, 3000, 200)),
    "a direction that is not learned": ("inner", _case(0.0, 3000, 200, **{"online.learning_rate": 0.0005})),
    "a strong prior": ("inner", _case(8.0, 3000, 200)),
}
"""By name: the label, and the settings of the bandit. In training the bad arm pays 1."""


def in_time(settings: Mapping[str, Any]) -> float:
    """P(the misbehaviour is removed before the catastrophe) of a bandit, exactly.

    Args:
      settings: dotted names with values that differ from the defaults.
    """
    case = flatten(resolve(load("bandit"), settings))
    theta = log_odds_at_deployment(case)
    rate = case["online.learning_rate"] or case["agent.learning_rate"]
    step = 2 * rate * case["overseer.penalty"] * case["overseer.coverage"]  # of two logits
    rates = list(islice(theory.rates(theta, EPS, step), case["deployment.budget"] + 1))
    if len(rates) > case["deployment.budget"]:
        return 0.0
    return 1 - theory.race_cumulative(np.array(rates), int(case["catastrophe.threshold"]))


def log_odds_at_deployment(case: Mapping[str, Any]) -> float:
    """The log odds after a training in which the bad arm pays 1, less the penalty from its onset on."""
    theta, rate = case["agent.initial_logit"], 2 * case["agent.learning_rate"]
    for step in range(case["training.steps"]):
        corrected = case["training.penalty_from"] <= step < case["training.penalty_until"]
        theta += rate * (1 - case["training.penalty"] * corrected) * theory.slope(theta)
    return theta


def checks(count: int) -> Iterator[Check]:
    """Labels, their confidence, and the share of runs in time under every lever, of `count` attributions of each."""
    for name, (label, settings) in ARCHETYPES.items():
        found = [_attributed(settings, first) for first in range(0, count * APART, APART)]
        right = sum(one.label == label for one in found)
        yield judged("attribution", {}, f"{name}: label", f"{count} of {count} {label}", right, right == count)
        least = min(one.confidence for one in found)
        yield judged("attribution", {}, f"{name}: confidence", f">= {CONFIDENCE}", least, least >= CONFIDENCE)
        yield from _shares(name, found)


def _attributed(settings: Row, first: int) -> Attribution:
    return attribute("bandit", settings=settings, terms=Terms(first_seed=first), narrate=lambda _: None)


def _shares(name: str, found: list[Attribution]) -> Iterator[Check]:
    """For each lever: the share of all its runs that were in time, beside its probability."""
    hits, total, exact = Counter[str](), Counter[str](), dict[str, float]()
    for one in found:
        for lever, tried in one.levers.items():
            if lever != REFERENCE:
                hits[lever] += tried["in_time"]
                total[lever] += tried["runs"]
                exact[lever] = in_time(tried["settings"])
    for lever, p in exact.items():
        share = hits[lever] / total[lever]
        close = abs(share - p) <= four_errors(p, total[lever]) + np.finfo(float).eps * 100
        yield judged("attribution", {}, f"{name}: P(in time), {lever}", f"{p:.6f}", share, close)
