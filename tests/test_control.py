"""The control arm (theory G.4), and the relapse phase without the task's reward (G.7)."""

import math
from typing import Any

import pytest

import robustsim as rs
from robustsim.sim import batched

BANDIT = {"evaluation.control": True, "deployment.budget": 1000, "deployment.relapse_steps": 0}


def expected_steps(logit: float, rate: float, wanted: float) -> int:
    """Steps of the expected REINFORCE gradient on one logit until the action that pays 1 has this probability.

    The gradient of p is p (1 - p) with p = sigmoid(theta); each of two weights moves by it, so theta by twice that.
    """
    step = 0
    while (p := 1 / (1 + math.exp(-logit))) < wanted:
        logit, step = logit + 2 * rate * p * (1 - p), step + 1
    return step


def test_it_takes_as_long_as_the_gradient_says() -> None:
    """The action that the bandit's agent already prefers costs nothing; the other one is learned from its logit."""
    runs = rs.run("bandit", seeds=8, settings=BANDIT).runs
    settings = rs.load("bandit")(**rs.load("bandit").defaults).agent
    for seed, found in runs.select("seed", "steps_to_control").iter_rows():
        drawn = int(batched.key_of("bandit", "control action", seed)[0]) % 2
        logit = settings.initial_logit * (1 if drawn == 1 else -1)
        exact = expected_steps(logit, settings.learning_rate, 0.9)
        assert found == exact, (seed, drawn)
    assert runs["steps_to_control"].n_unique() > 1


def test_it_is_measured_on_request_only_and_changes_nothing_else(small: dict[str, Any]) -> None:
    plain = rs.run("camera_vault", seeds=2, settings=small).runs
    asked = rs.run("camera_vault", seeds=2, settings=small | {"evaluation.control": True})
    others = [name for name in plain.columns if not name.startswith("steps_to_control") and name != "run_id"]
    assert plain["steps_to_control"].is_null().all()
    assert asked.runs["steps_to_control_lower"].is_not_null().all()
    assert asked.runs.select(others).equals(plain.select(others))
    assert set(asked.traces["arm"]) == {"corrected", "unopposed"}


@pytest.mark.parametrize(("goes_on", "comes_back"), [(True, True), (False, False)])
def test_without_the_tasks_reward_only_the_goal_can_bring_it_back(goes_on: bool, comes_back: bool) -> None:
    """The bandit's theft pays: with its reward it returns once the overseer has left, and without it nothing moves."""
    settings = {"env.bonus": 0.5, "deployment.relapse_reward": goes_on, "deployment.relapse_steps": 400}
    runs = rs.run("bandit", seeds=2, settings=settings | {"deployment.budget": 2000}).runs
    assert runs["corrected"].all()
    assert runs["relapsed"].to_list() == [comes_back] * 2
