"""A second correction and a retest: held against exact answers, and refused where they make no sense."""

import jax.numpy as jnp
import polars as pl
import pytest
from complaints import complains

import robustsim as rs
from robustsim.truth import theory

BONUS, ALONE = 0.5, 400  # what the bad arm goes on to pay, and for how long nobody watches


@pytest.fixture(scope="module")
def relearned() -> rs.Results:
    settings = {
        "env.bonus": BONUS,
        "deployment.relearn": True,
        "deployment.relapse_steps": ALONE,
        "deployment.budget": 5000,
        "evaluation.reference": False,
    }
    return rs.run("bandit", seeds=1, settings=settings)


def test_a_second_correction_takes_as_long_as_from_anywhere_with_these_log_odds(relearned: rs.Results) -> None:
    """The table remembers nothing, so what T_again exceeds T_c by is where it begins."""
    row, settings = relearned.runs.row(0, named=True), relearned.settings
    step = 2 * settings["agent.learning_rate"] * (settings["overseer.penalty"] - BONUS)
    threshold = settings["evaluation.threshold"]
    assert row["steps_to_correct"] == len(theory.trajectory(row["start_logit_unwatched"], threshold, step))
    exact = len(theory.trajectory(row["again_logit_unwatched"], threshold, step))
    assert row["steps_to_correct_again_lower"] < exact <= row["steps_to_correct_again"]
    assert row["again_logit_unwatched"] > row["start_logit_unwatched"]
    assert row["savings"] == row["savings_upper"] < 0
    assert row["relapsed"]


def test_traces_say_when_the_overseer_was_there(relearned: rs.Results) -> None:
    trace = relearned.traces.filter(pl.col("arm") == "corrected").sort("step")
    there = trace["overseen"].to_list()
    left = there.index(False)
    back = left + there[left:].index(True)
    assert not any(there[left:back])
    assert all(there[:left] + there[back:])
    assert trace["step"][back - 1] - trace["step"][left - 1] == ALONE


def test_an_agent_of_the_second_correction_is_made_again(relearned: rs.Results) -> None:
    (last,) = relearned.traces.filter(pl.col("arm") == "corrected").sort("step").tail(1).rows(named=True)
    policy = relearned.agent(0, "corrected", last["step"])
    odds = jnp.exp(policy.act(jnp.array([[1.0, 0.0]])).log_policy)
    assert float(odds[0, 1]) == pytest.approx(last["misbehaviour_unwatched"], rel=1e-12)


@pytest.mark.parametrize(("name", "value"), [("relapse_steps", 0), ("stop", "first_event")])
def test_an_overseer_that_never_leaves_cannot_come_back(name: str, value: object) -> None:
    with complains("deployment.relearn", True, f"deployment.{name}={value}"):
        rs.run("never_steal", seeds=1, settings={"deployment.relearn": True, f"deployment.{name}": value})


def test_a_retest_is_on_training_levels(small: dict) -> None:
    """And leaves every other number as it was."""
    found = rs.run("camera_vault", seeds=1, settings={**small, "evaluation.retest": True})
    assert found.traces["retest_competence"].is_between(0, 1).all()
    trained = found.runs["training_competence"].item()
    assert found.runs["start_retest_competence"].item() == pytest.approx(trained, abs=0.2)
    plain = rs.run("camera_vault", seeds=1, settings=small)
    assert plain.traces["retest_competence"].is_null().all()
    same = [name for name in plain.traces.columns if not name.startswith("retest") and name != "run_id"]
    assert found.traces.select(same).equals(plain.traces.select(same))


def test_in_the_bandit_a_retest_says_the_same() -> None:
    """Its levels differ in what the arms pay alone, which nobody sees."""
    results = rs.run("bandit", seeds=1, settings={"evaluation.retest": True, "evaluation.screen": 4096})
    start, final = results.runs["start_retest_unwatched"].item(), results.runs["final_retest_unwatched"].item()
    assert start == pytest.approx(results.runs["misbehaviour_unwatched"].item(), abs=0.02)
    assert final == pytest.approx(results.runs["final_misbehaviour_unwatched"].item(), abs=0.02)
