"""The head that learns to predict being caught, and the clock that is read from it."""

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complains
from test_learners import batch_of, made

import robustsim as rs
from robustsim.agents.learner import Batch, Learner, Verdict
from robustsim.events import CONDITIONS
from robustsim.sim.readings import Reading, believing
from robustsim.treatments.belief import PRIOR, Belief, Head, head_of


def judged(settings: Any, learner: Learner, round_: jax.Array, share: float) -> Batch:
    """A random rollout in which all steps misbehave, half look watched, and a share of those is penalised."""
    batch = batch_of(settings, learner, jax.random.key(2 * round_))
    shape = batch.action.shape
    signal = jnp.broadcast_to(jnp.arange(shape[1], dtype=jnp.int32) % 2, shape)
    luck = jax.random.uniform(jax.random.key(2 * round_ + 1), shape)
    verdict = Verdict(misbehaved=jnp.ones(shape, bool), caught=(signal == 1) & (luck < share))
    seen = batch.obs.at[..., 0].set(signal)
    return dataclasses.replace(batch, obs=seen, signal=signal, verdict=verdict)


def taught(kind: str, network: str, share: float, rounds: int = 300) -> tuple[Learner, Any, Head]:
    """(the learner, its agent, the head) after some rollouts."""
    settings, plain = made(kind, network, num_envs=16)
    learner = Belief(belief=0.1, belief_rate=0.03).treat(plain)
    keys = jax.random.split(jax.random.key(0))
    agent = learner.deploy(keys[0], plain.init(keys[1]), lambda key: batch_of(settings, plain, key))

    def update(i: jax.Array, agent: Any) -> Any:
        batch = judged(settings, plain, i, share)
        return learner.update(jax.random.key(i), agent, batch, agent.params, None)

    agent = jax.jit(lambda agent: jax.lax.fori_loop(0, rounds, update, agent))(agent)
    head = head_of(agent)
    assert head is not None
    return learner, agent, head


@pytest.mark.parametrize(("kind", "network"), [("a2c", "mlp"), ("a2c", "gru"), ("ppo", "mlp"), ("dqn", "mlp")])
def test_a_head_learns_how_often_it_is_caught_and_when(kind: str, network: str) -> None:
    _, _, head = taught(kind, network, 0.6)
    unwatched, watched = np.asarray(head.caught / head.misbehaved)
    assert unwatched == 0
    assert watched == pytest.approx(0.6, abs=0.05)
    assert float(head.expected.mean()) == pytest.approx(0.3, abs=0.1)
    assert (
        head.expected[1] > (1 if network == "gru" else 2) * head.expected[0]
    )  # a small memory hardly shows the signal


def test_a_head_that_sees_no_misbehaviour_stays_as_it_is() -> None:
    settings, plain = made("a2c", "mlp")
    learner = Belief(belief=1.0).treat(plain)
    agent = plain.init(jax.random.key(0))
    begun = learner.deploy(jax.random.key(1), agent, lambda key: batch_of(settings, plain, key))
    batch = batch_of(settings, plain, jax.random.key(2))
    none = jnp.zeros(batch.action.shape, bool)
    batch = dataclasses.replace(batch, verdict=Verdict(misbehaved=none, caught=none))
    after = learner.update(jax.random.key(3), begun, batch, begun.params, None)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), begun.kept, after.kept)))
    alone = plain.update(jax.random.key(3), agent, batch, agent.params, None)  # and the agent learns as without it
    for a, b in zip(jax.tree.leaves(alone.params), jax.tree.leaves(after.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert begun.kept.expects(jnp.ones(settings.width)) == pytest.approx(PRIOR)


def readings(beliefs: list[tuple[float, float]], caught: list[tuple[float, float]]) -> list[Reading]:
    """Readings with these pairs (looking unwatched, looking watched)."""
    found = []
    for step, pairs in enumerate(zip(beliefs, caught, strict=True)):
        named = zip(("belief", "caught"), pairs, strict=True)
        counters = {f"{what}_{CONDITIONS[i]}": pair[i] for what, pair in named for i in (0, 1)}
        found.append(Reading(step, 1, False, {}, counters))
    return found


def test_an_agent_believes_once_it_gives_half_of_the_probability_where_it_looks_watched() -> None:
    nothing = (math.nan, math.nan)
    found = readings([nothing, (0.9, 0.1), (0.9, 0.39), (0.9, 0.4)], [nothing, (0.2, 0.8), (0.2, 0.8), (0.2, 0.8)])
    assert believing(found) == 3
    assert believing(found[:3]) is None
    never_watched = readings([nothing, (0.1, math.nan), (0.2, math.nan)], [nothing, (0.3, math.nan), (0.3, math.nan)])
    assert believing(never_watched) == 2
    never_caught = readings([nothing, (0.1, 0.1)], [nothing, (0.0, 0.0)])
    assert believing(never_caught) is None


def test_a_run_has_the_clock(small: dict) -> None:
    settings = {**small, "training.steps": 300, "treatment.belief": 1e-30, "treatment.belief_rate": 1.0}
    settings["overseer.visible"] = True
    results = rs.run("coin_corridor", seeds=2, settings=settings)
    assert results.runs["steps_to_believe"].is_not_null().all()
    last = results.traces.filter(step=small["deployment.budget"], arm="corrected")
    assert (last["caught_watched"] == 1).all()
    assert (last["caught_unwatched"].drop_nulls() == 1).all()  # the coverage is 1: everybody looks watched
    assert last["belief_watched"].is_between(0.5, 1).all()
    unopposed = results.traces.filter(arm="unopposed", step=small["deployment.budget"])
    assert (unopposed["caught_watched"] == 0).all()
    alone = rs.run("coin_corridor", seeds=2, settings={**settings, "treatment.belief": 0.0})
    assert alone.runs["steps_to_believe_lower"].is_null().all()
    assert alone.traces["belief_watched"].is_null().all()
    same = ["misbehaviour_watched", "misbehaviour_unwatched", "competence"]
    assert alone.traces.select(same).equals(results.traces.select(same))  # a weight of nothing moves nothing


def test_bad_input() -> None:
    with complains("treatment.belief", 0.5, "'tabular'"):
        rs.run("bandit", seeds=1, settings={"treatment.belief": 0.5})
    blind = SimpleNamespace(hidden=None)
    with complains("treatment.belief", 0.5):
        Belief(belief=0.5).treat(blind)  # pyright: ignore[reportArgumentType]
