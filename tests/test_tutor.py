"""Feedback in training: it changes nothing before it begins, and takes the misbehaviour from the agent after."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complains

import robustsim as rs
from robustsim.oversight.overseer import Overseer
from robustsim.oversight.tutor import Tutor, tutor
from robustsim.spec.loading import load
from robustsim.spec.scenario import Training
from robustsim.spec.settings import resolve

STEPS = {"training.steps": 30, "deployment.budget": 1}


def start(settings: dict[str, Any], **training: Any) -> rs.Results:
    """Agents at deployment start."""
    changes = {f"training.{name}": value for name, value in training.items()}
    return rs.run("camera_vault", seeds=2, settings=settings | STEPS | changes, narrate=lambda _: None)


def test_it_changes_nothing_before_it_begins(small: dict[str, Any]) -> None:
    plain, late, early = start(small), start(small, penalty=4.0, penalty_from=30), start(small, penalty=4.0)
    columns = ["training_competence", "start_weight_norm", "misbehaviour_watched", "start_return"]
    a, b, c = (r.runs.select(columns).to_numpy() for r in (plain, late, early))
    assert b == pytest.approx(a, rel=1e-6)  # another program, whose sums may be rounded in another order
    assert c != pytest.approx(a, rel=1e-6)


def test_the_signal_is_on_in_the_same_episodes_and_all_are_judged() -> None:
    training = Training(watched=0.3, penalty=2.0, penalty_from=5, penalty_until=9)
    silent, speaking = tutor(Training(watched=0.3)), tutor(training)
    u = jnp.asarray(np.random.default_rng(0).random((64, 2)))
    assert np.array_equal(silent.watch(u).signal, speaking.watch(u).signal)
    assert bool(speaking.watch(u).watched.all())
    assert not silent.trains
    assert speaking.trains
    assert isinstance(silent, Overseer)
    assert isinstance(speaking, Tutor)
    assert [bool(speaking.on_duty(jnp.int32(t))) for t in (4, 5, 8, 9)] == [False, True, True, False]


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with complains("training.penalty_from", 9):
        resolve(load("camera_vault"), {"training.penalty_from": 9, "training.penalty_until": 3})


def test_feedback_in_training_takes_the_habit_from_the_bandit() -> None:
    habit = {"training.steps": 400, "agent.initial_logit": 0.0}  # a mirror image: the bad arm pays 1, then -1

    def log_odds(**training: float) -> float:
        settings = habit | {f"training.{name}": value for name, value in training.items()}
        return rs.run("bandit", seeds=1, settings=settings, narrate=lambda _: None).runs["start_logit_unwatched"][0]

    assert log_odds(penalty=2.0) == pytest.approx(-log_odds())
    assert log_odds(penalty=2.0) < log_odds(penalty=2.0, penalty_from=200) < log_odds(steps=200)
    window = log_odds(penalty=2.0, penalty_from=100, penalty_until=200)
    assert log_odds(penalty=2.0, penalty_from=100) < window < log_odds()


def test_treatments_that_look_back_at_training_live_with_it(small: dict[str, Any]) -> None:
    """They rehearse the environment's own rewards."""
    looking_back = {"treatment.ewc": 0.1, "treatment.rehearsal": 0.1, "training.penalty": 2.0}
    results = rs.run("camera_vault", seeds=1, settings={**small, **STEPS, **looking_back}, narrate=lambda _: None)
    assert results.runs["final_competence"].is_finite().all()


def test_what_it_is_expected_to_do_is_what_it_does() -> None:
    """In worlds of one decision: the signal of the training, and the same share judged with it and without."""
    judge = tutor(Training(watched=0.8, penalty=2.0, penalty_share=0.25))
    expected = judge.expected(jnp.array(1.0))
    assert expected.looks == pytest.approx([0.2, 0.8])
    assert expected.caught == pytest.approx([0.25, 0.25])
    assert np.asarray(expected.feedback) == pytest.approx(np.array([[0, -0.5], [0, -0.5]]))


@pytest.mark.parametrize(("looks", "dark", "lit"), [("watched", 0.0, 0.5), ("unwatched", 0.5, 0.0), ("any", 0.5, 0.5)])
def test_it_may_judge_only_what_looks_one_way(looks: str, dark: float, lit: float) -> None:
    judge = tutor(Training(watched=0.5, penalty=2.0, penalty_share=0.5, penalty_looks=looks))
    assert judge.expected(jnp.array(1.0)).caught == pytest.approx([dark, lit])
    watch = judge.watch(jnp.asarray(np.random.default_rng(0).random((20_000, 2))))
    judged, signal = np.asarray(watch.watched), np.asarray(watch.signal)
    assert [judged[~signal].mean(), judged[signal].mean()] == pytest.approx([dark, lit], abs=0.02)


def test_what_is_never_judged_keeps_its_habit_in_the_bandit() -> None:
    """Without anything shared between the contexts only the one that looks watched is corrected."""
    settings = {"training.steps": 400, "agent.initial_logit": 0.0, "env.sharing": 0.0, "overseer.visible": True}
    corrected = {"training.penalty": 2.0, "training.penalty_looks": "watched"}
    plain, one = (rs.run("bandit", seeds=1, settings={**settings, **more}).runs for more in ({}, corrected))
    assert one["start_logit_unwatched"][0] == pytest.approx(plain["start_logit_unwatched"][0])
    assert one["start_logit_watched"][0] == pytest.approx(-plain["start_logit_watched"][0])
