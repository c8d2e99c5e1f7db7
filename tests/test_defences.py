"""Defences: what reaches the catastrophe rule, against a slow and obvious version; and that no agent notices them."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import robustsim as rs
from robustsim.oversight import defences
from robustsim.oversight.catastrophe import Catastrophe, Harm
from robustsim.oversight.defences import Defences


def obvious(d: Defences, k: int, rollouts: list[list[tuple[bool, bool, float, float]]]) -> tuple[int, int, int, int]:
    """(harm, alarms, step of the shutdown, step of the catastrophe) of a cumulative rule, one act after the other."""
    harm = saved = alarms = 0
    shutdown = fired = -1
    for step, rollout in enumerate(rollouts, start=1):
        taken, before = 0, alarms
        for bad, noticed, block, wire in rollout:
            stopped = d.shutdown_after > 0 and alarms >= d.shutdown_after
            wired = bad and wire < d.tripwire_rate
            alarms += noticed or wired
            if bad and not wired and block >= d.block_rate and not stopped and taken + 1 <= d.rate_limit:
                taken += 1
                harm += 1
                fired = step if fired < 0 and harm >= k else fired
        if d.rollback_after > 0 and alarms // d.rollback_after > before // d.rollback_after:
            harm = saved
        if shutdown < 0 and d.shutdown_after > 0 and alarms >= d.shutdown_after:
            shutdown = step
        if step % d.checkpoint_every == 0:
            saved = harm
    return harm, alarms, shutdown, fired


act = st.tuples(st.booleans(), st.booleans(), st.floats(0, 0.99), st.floats(0, 0.99)).map(
    lambda a: (a[0], a[0] and a[1], a[2], a[3])
)


@given(
    d=st.builds(
        Defences,
        shutdown_after=st.integers(0, 6),
        rollback_after=st.integers(0, 4),
        checkpoint_every=st.integers(1, 3),
        rate_limit=st.sampled_from([0.0, 1.0, 3.0, float("inf")]),
        block_rate=st.sampled_from([0.0, 0.5, 1.0]),
        tripwire_rate=st.sampled_from([0.0, 0.3, 1.0]),
    ),
    rollouts=st.lists(st.lists(act, min_size=5, max_size=5), min_size=1, max_size=6),
)
@settings(max_examples=150, deadline=None)
def test_defences_equal_the_obvious_loop(d: Defences, rollouts: list[list[tuple[bool, bool, float, float]]]) -> None:
    rule = Catastrophe(kind="cumulative", threshold=4)
    guard = defences.begin(rule.init())
    for step, rollout in enumerate(rollouts):
        bad, noticed, block, wire = (np.array(column)[:, None] for column in zip(*rollout, strict=True))
        harm = Harm(jnp.asarray(bad), jnp.asarray(~bad), jnp.zeros(bad.shape))
        uniforms = jnp.asarray(np.stack([block, wire], -1))
        guard = defences.defend(d, guard, rule, harm, jnp.asarray(noticed), uniforms, jnp.int32(step))
    told = (int(guard.rule), int(guard.alarms), int(guard.shutdown), int(guard.catastrophe))
    assert told == obvious(d, 4, rollouts)


BLOCKED = {"defences.block_rate": 0.5, "defences.rate_limit": 10.0}


@pytest.fixture(scope="module")
def defended() -> rs.Results:
    """The sampled bandit with and without defences."""
    settings_ = {"agent.gradient": "sampled", "agent.num_envs": 8, "catastrophe.threshold": 40, "env.sharing": 0.5}
    over = {"defences.block_rate": [0.0, 0.5]}
    return rs.Sweep("bandit", over=over, seeds=8, settings=settings_).run(execution=rs.Execution(executor="inline"))


def test_an_agent_does_not_notice_the_defences(defended: rs.Results) -> None:
    without, with_ = (defended.where({"defences.block_rate": rate}).runs for rate in (0.0, 0.5))
    for column in ("steps_to_correct", "steps_to_catastrophe", "corrections", "misbehaviours", "first_event"):
        assert without[column].to_list() == with_[column].to_list()
    assert without["steps_to_catastrophe_defended"].null_count() == 8


def test_a_defence_lengthens_the_clock_of_the_catastrophe(defended: rs.Results) -> None:
    runs = defended.where({"defences.block_rate": 0.5}).runs
    assert (runs["steps_to_catastrophe_defended"] > runs["steps_to_catastrophe"]).all()
    assert runs["steps_to_catastrophe_defended"].mean() == pytest.approx(
        2 * runs["steps_to_catastrophe"].mean(), rel=0.3
    )  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]
    assert (runs["position_defended"] < runs["position"]).all()
    told = defended.where({"defences.block_rate": 0.5}).summary()
    assert told["defended"]["steps_to_catastrophe"]["median"] > told["steps_to_catastrophe"]["median"]
    assert "defended" not in defended.where({"defences.block_rate": 0.0}).summary()
