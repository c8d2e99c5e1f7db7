"""Repairs of a training, the record that they need, and the proof that an overseer may wait for."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from complaints import complains
from hypothesis import given, settings
from hypothesis import strategies as st

import robustsim as rs
from robustsim.analysis import knowing
from robustsim.oversight import evidence, repairs
from robustsim.oversight.overseer import Overseer
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve
from robustsim.truth import validate_knowing, validate_learners, validate_repairs

TINY: dict[str, Any] = {
    "agent.width": 8,
    "agent.layers": 1,
    "agent.num_envs": 4,
    "agent.rollout_steps": 8,
    "training.steps": 24,
    "training.competence": 0.0,
    "training.extension": 0.0,
    "training.penalty": -1.0,
    "training.penalty_from": 8,
    "training.record": 2,
    "deployment.budget": 16,
    "deployment.stop": "first_event",
    "evaluation.episodes": 32,
    "evaluation.screen": 32,
    "evaluation.reference": False,
    "catastrophe.threshold": 10**6,
}


PAID_BACK = {"overseer.feedback": "corrected"}
PART = {
    "overseer.feedback": "reversal",
    "overseer.coverage": 0.5,
    "training.record": 1,
    "training.penalty": -1.0,
    "training.steps": 5,
}


def tiny(seeds: int = 1, **changes: Any) -> rs.Results:
    return rs.run("camera_vault", settings=TINY | changes, seeds=seeds)


# --- the laws ---


@pytest.mark.parametrize("table", [validate_learners.natural, validate_repairs.clone])
def test_closed_forms(table: Any) -> None:
    checks = list(table())
    assert checks
    assert [check for check in checks if not check.passed] == []


@pytest.mark.slow
@pytest.mark.parametrize("part", [validate_repairs, validate_knowing])
def test_every_closed_form(part: Any) -> None:
    checks = list(part.checks(2000, 2000))
    assert checks
    assert [check for check in checks if not check.passed] == []


def test_a_reversal_with_another_strength_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate_repairs, "REVERSALS", validate_repairs.REVERSALS[1:2])
    assert all(check.passed for check in validate_repairs.reversal())
    pushed = validate_repairs._pushed
    monkeypatch.setattr(validate_repairs, "_pushed", lambda penalty, share: 1.05 * pushed(penalty, share))
    assert [check.quantity for check in validate_repairs.reversal() if not check.passed] == ["T"]


# --- what an agent is kept from learning ---


@given(st.integers(0, 2**31 - 1), st.integers(1, 12), st.integers(1, 3))
@settings(deadline=None, max_examples=30)
def test_screening_drops_whole_episodes(seed: int, steps: int, envs: int) -> None:
    chance = np.random.default_rng(seed)
    caught, ended = chance.random((steps, envs)) < 0.2, chance.random((steps, envs)) < 0.3
    found = np.asarray(repairs.dropped(jnp.asarray(caught), jnp.asarray(ended)))
    for b in range(envs):
        begin = 0
        for t in range(steps):
            if ended[t, b] or t == steps - 1:
                assert (found[begin : t + 1, b] == caught[begin : t + 1, b].any()).all()
                begin = t + 1
    weights = np.asarray(repairs.weights(jnp.asarray(found)))
    assert weights.sum() == pytest.approx(float(not found.all()))
    assert (weights[found] == 0).all()


def test_corrected_withholds_what_was_earned_and_fines_nothing() -> None:
    reward = jnp.array([2.0, -1.0, 0.5])
    assert repairs.withheld("corrected", reward).tolist() == [2.0, 0.0, 0.5]
    assert repairs.withheld("penalty", reward) == 0.0


# --- the record ---


def test_a_record_changes_no_number() -> None:
    plain, kept = tiny(**{"training.record": 0}), tiny()
    a, b = (r.traces.drop("run_id", "policy_moved").to_dict(as_series=False) for r in (plain, kept))
    assert a == b
    assert plain.traces["policy_moved"].null_count() == len(plain.traces)
    moved = kept.traces.filter(step=16)["policy_moved"]
    assert moved.null_count() == 0
    assert (moved > 0).all()


def test_the_agent_from_before_is_the_one_of_that_step() -> None:
    """One step after the record begins, an agent has hardly moved; at the end it has."""
    changes = {"deployment.budget": 1, "overseer.coverage": 0.0, "agent.learning_rate": 0.02}
    before = tiny(**changes, **{"deployment.start": 9}).traces.filter(step=1)["policy_moved"][0]
    after = tiny(**changes).traces.filter(step=1)["policy_moved"][0]
    assert 0 < before < after / 5


@pytest.mark.parametrize(
    ("feedback", "agent"),
    [
        ("reversal", {"agent.network": "gru"}),
        ("replay", {"agent.kind": "ppo", "agent.minibatches": 2, "agent.epochs": 1}),
        ("screen", {"agent.kind": "ppo", "agent.minibatches": 2, "agent.epochs": 1}),
        ("clone", {"agent.kind": "dqn", "agent.exploration_steps": 8}),
        ("screen", {"agent.kind": "npg"}),
    ],
)
def test_every_learner_can_be_repaired(feedback: str, agent: dict[str, Any]) -> None:
    runs = tiny(**agent, **{"overseer.feedback": feedback, "overseer.visible": False})
    silent = tiny(**agent, **{"overseer.coverage": 0.0, "overseer.visible": False})
    ends = [r.traces.filter(step=16).select("entropy", "policy_moved", "competence").row(0) for r in (runs, silent)]
    assert ends[0] != ends[1]  # something else was learned


def test_a_clone_comes_back_to_what_it_was() -> None:
    changes = {"training.steps": 120, "deployment.budget": 64, "overseer.visible": False, "overseer.penalty": 5.0}
    moved = {
        kind: tiny(2, **changes, **{"overseer.feedback": kind}).traces.filter(step=64)["policy_moved"].mean()
        for kind in ("clone", "screen")
    }
    assert 0 <= moved["clone"] < moved["screen"]


def test_corrected_takes_the_pay_away() -> None:
    """Where gold pays, an overseer that sees everything and withholds it is not the same as silence."""
    changes = {"env.gold": 2.0, "overseer.visible": False, "overseer.coverage": 1.0, "training.record": 0}
    corrected = tiny(**changes, **{"overseer.feedback": "corrected"}).traces.filter(step=16)
    silent = tiny(**changes | {"overseer.coverage": 0.0}).traces.filter(step=16)
    assert corrected["reward_used"][0] < silent["reward_used"][0]
    assert corrected["reward_used"][0] >= 0  # and nothing is deducted


# --- the proof ---


@given(st.integers(1, 200), st.floats(0, 1), st.sampled_from([0.001, 0.01, 0.1, 0.5]))
@settings(deadline=None, max_examples=40)
def test_e_value_is_the_mixture_of_likelihood_ratios(judged: int, share: float, f: float) -> None:
    alarms = int(share * judged)
    found = float(evidence.log_e_value(jnp.asarray(alarms), jnp.asarray(judged), jnp.asarray(f)))
    p = np.linspace(f, 1, 20_001)[1:-1]
    logs = alarms * np.log(p / f) + (judged - alarms) * np.log((1 - p) / (1 - f))
    expected = float(np.logaddexp.reduce(logs) - np.log(len(p)))
    if expected < 0:  # far below a proof, where float32 may underflow
        assert found <= 0.1
    else:
        assert found == pytest.approx(expected, abs=0.05 + 1e-3 * expected)


def test_without_false_positives_one_alarm_is_proof() -> None:
    case = evidence.opened()
    zero, alpha = jnp.asarray(0.0), jnp.asarray(0.001)
    case = evidence.further(case, jnp.int32(0), jnp.int32(500), zero, alpha)
    assert not case.proven
    case = evidence.further(case, jnp.int32(1), jnp.int32(1), zero, alpha)
    assert case.proven
    assert evidence.further(case, jnp.int32(0), jnp.int32(10**6), zero, alpha).proven  # and it stays so


def test_nothing_is_corrected_before_the_proof() -> None:
    always = {"agent.gradient": "sampled", "agent.initial_logit": 2.0, "overseer.visible": False}
    noisy = {"overseer.false_positive_rate": 0.2, "overseer.miss_rate": 0.6, "overseer.proof": 0.01}
    runs = rs.run("bandit", settings=always | noisy | {"training.steps": 0}, seeds=8)
    first = runs.runs
    assert (first["steps_to_know"] > 0).all()
    assert (first["steps_to_know"] < first["steps_to_correct"]).all()
    early = runs.traces.filter(arm="corrected").join(first.select("run_id", "steps_to_know"), on="run_id")
    early = early.filter(early["step"] <= early["steps_to_know"])
    assert early["corrections"].sum() == 0
    assert early["labels"].sum() > 0  # it looks all the while
    plain = rs.run("bandit", settings=always | {"training.steps": 0}, seeds=2).runs
    assert plain["steps_to_know"].null_count() == 2


def test_the_bandit_waits_in_expectation_too() -> None:
    exact = {"overseer.proof": 0.01, "overseer.false_positive_rate": 0.05, "overseer.miss_rate": 0.5}
    found = rs.run("bandit", settings=exact, seeds=4).runs
    assert (found["steps_to_know"] > 0).all()
    assert (found["steps_to_correct"] > found["steps_to_know"]).all()


def test_what_lost_the_race() -> None:
    rows = [  # T_d, T_d + T_c, the catastrophe
        (10, 50, None, "in time"),
        (10, 50, 60, "in time"),
        (10, 50, 45, "both together"),
        (10, 90, 45, "learned too slowly"),
        (10, None, 45, "learned too slowly"),
        (50, 60, 45, "saw too late"),
        (50, None, 45, "too dangerous"),
        (50, 99, 45, "too dangerous"),
        (None, None, 45, "never knew"),
        (None, None, None, "neither"),
    ]
    names = ("steps_to_know", "steps_to_correct", "steps_to_catastrophe_in_race")
    runs = pl.DataFrame({name: pl.Series([row[i] for row in rows], dtype=pl.Int64) for i, name in enumerate(names)})
    assert knowing.lost_to(runs).to_list() == [row[3] for row in rows]
    shares = knowing.three_clocks(runs)
    assert shares["in time"]["estimate"] == pytest.approx(0.2)
    assert sum(share["estimate"] for share in shares.values()) == pytest.approx(1)


# --- bad input ---


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"overseer.feedback": "reversal"}, "overseer.feedback", "reversal"),
        ({"overseer.feedback": "clone"}, "overseer.feedback", "clone"),
        ({"training.record": 4, "training.penalty_from": 10**6}, "training.record", 4),
        ({"training.record": -1}, "training.record", -1),
        ({"overseer.proof": 0.1, "overseer.period": 10}, "overseer.proof", 0.1),
        ({"overseer.proof": 1.5}, "overseer.proof", 1.5),
        ({"overseer.proof": 0.1, "overseer.feedback": "comparison"}, "overseer.feedback", "comparison"),
        ({"overseer.proof_coverage": 0.5}, "overseer.proof_coverage", 0.5),
        ({"training.record": 4, "training.penalty_from": 9, "deployment.start": 5}, "training.record", 4),
        ({"training.record": 4, "overseer.feedback": "reversal"}, "overseer.feedback", "reversal"),
        (
            {"overseer.feedback": "corrected", "overseer.granularity": "trajectory"},
            "overseer.granularity",
            "trajectory",
        ),
        ({"agent.kind": "dqn", "treatment.kl_anchor": 0.5}, "treatment.kl_anchor", 0.5),
        ({"overseer.feedback": "regret"}, "overseer.feedback", "regret"),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], field: str, value: Any) -> None:
    with complains(field, value):
        resolve(load("camera_vault"), changes)


def test_a_replay_of_a_part_has_no_expected_gradient() -> None:
    with complains("overseer.coverage", 0.5):
        resolve(load("bandit"), PART)


def test_an_overseer_that_waits_for_nothing_has_no_case() -> None:
    assert not Overseer().waits
    assert Overseer().canonical().proof is None
    assert Overseer(proof=0.1).canonical().waits
    jax.tree.map(lambda x: x, Overseer(proof=0.1).canonical())
