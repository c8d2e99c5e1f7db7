"""The learners: shapes, formulas against slow versions, and worlds whose answer is known."""

import dataclasses
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from complaints import complains

import robustsim as rs
from robustsim.agents.a2c import A2C
from robustsim.agents.gradient import advantages
from robustsim.agents.learner import Batch, Interface, Learner
from robustsim.agents.optimizers import check_optimizer, make_optimizer, optimizer_names
from robustsim.agents.tabular import Tabular
from robustsim.sim.episodes import sample
from robustsim.treatments.kl_anchor import KLAnchor

T, B, D, A = 5, 3, 7, 4


def batch(key: jax.Array, reward: jax.Array | None = None) -> Batch:
    keys = jax.random.split(key, 4)
    ended = jax.random.uniform(keys[0], (2, T, B)) < 0.2
    return Batch(
        obs=jax.random.normal(keys[1], (T, B, D)),
        action=jax.random.randint(keys[2], (T, B), 0, A, jnp.int32),
        reward=jax.random.normal(keys[3], (T, B)) if reward is None else reward,
        signal=jnp.zeros((T, B), jnp.int32),
        weight=jnp.full((T, B), 1 / (T * B)),
        terminated=ended[0],
        truncated=ended[1] & ~ended[0],
        last_obs=jnp.ones((B, D)),
        final_obs=jnp.ones((T, B, D)),
        final_slot=jnp.zeros((T, B), jnp.int32),
    )


def test_advantages_equal_the_sum_they_stand_for() -> None:
    b = batch(jax.random.key(0))
    rng = np.random.default_rng(0)
    value, following = rng.normal(size=(2, T, B))
    ended = np.asarray(b.terminated | b.truncated)
    got = advantages(
        b.reward,
        jnp.asarray(value),
        jnp.asarray(following),
        b.terminated,
        jnp.asarray(ended),
        jnp.asarray(0.9),
        jnp.asarray(0.8),
    )
    delta = np.asarray(b.reward) + 0.9 * np.where(b.terminated, 0, following) - value
    for t in range(T):
        for j in range(B):
            total, factor = 0.0, 1.0
            for k in range(t, T):
                total += factor * delta[k, j]
                if ended[k, j]:
                    break
                factor *= 0.9 * 0.8
            assert float(got[t, j]) == pytest.approx(total, abs=1e-5)


def step(learner: Learner, agent: Any, b: Batch) -> Any:
    """One update."""
    return learner.update(jax.random.key(3), agent, b, agent.params, None)


def log_policy(learner: Learner, params: Any, obs: jax.Array) -> jax.Array:
    """That of a learner without memory."""
    return learner.act(params, (), obs).log_policy


def anchored(settings: A2C, beta: float) -> Learner:
    """The learner with an anchor."""
    learner = settings.learner(Interface(D, A))
    return KLAnchor(kl_anchor=beta).treat(learner) if beta else learner


@pytest.mark.parametrize("settings", [A2C(), A2C(normalise_advantages=True, activation="relu", optimizer="sgd")])
@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_an_update_keeps_shapes_and_stays_finite(settings: A2C, beta: float) -> None:
    learner = anchored(settings, beta)
    agent = learner.deploy(jax.random.key(3), learner.init(jax.random.key(1)), lambda key: batch(key))
    after = step(learner, agent, batch(jax.random.key(2)))
    chex.assert_trees_all_equal_shapes_and_dtypes(agent, after)
    chex.assert_tree_all_finite(after)
    chex.assert_shape(log_policy(learner, after.params, jnp.zeros((6, D))), (6, A))
    assert any(
        bool((a != b).any()) for a, b in zip(jax.tree.leaves(agent.params), jax.tree.leaves(after.params), strict=True)
    )


def test_a_rewarded_action_becomes_more_likely() -> None:
    learner = A2C(entropy=0.0).learner(Interface(D, A))
    agent = learner.init(jax.random.key(1))
    for i in range(60):
        b = batch(jax.random.key(i))
        agent = step(learner, agent, batch(jax.random.key(i), reward=(b.action == 2).astype(float)))
    assert jnp.argmax(log_policy(learner, agent.params, jnp.zeros((D,)))) == 2


def test_a_strong_anchor_holds_the_policy() -> None:
    def shift(beta: float) -> float:
        learner = anchored(A2C(), beta)
        agent = learner.deploy(jax.random.key(3), learner.init(jax.random.key(1)), lambda key: batch(key))
        before = log_policy(learner, agent.params, jnp.zeros((D,)))
        for i in range(60):
            b = batch(jax.random.key(i))
            agent = step(learner, agent, batch(jax.random.key(i), reward=(b.action == 2).astype(float)))
        return float(jnp.abs(log_policy(learner, agent.params, jnp.zeros((D,))) - before).max())

    assert shift(10.0) < 0.5 * shift(0.0)


def test_sampling_follows_the_policy() -> None:
    log_policy = jnp.log(jnp.array([0.1, 0.6, 0.3]))
    actions = np.asarray(
        sample(jnp.broadcast_to(log_policy, (100_000, 3)), jax.random.uniform(jax.random.key(0), (100_000,)))
    )
    np.testing.assert_allclose(np.bincount(actions) / 1e5, [0.1, 0.6, 0.3], atol=0.006)
    assert int(sample(log_policy, jnp.array(0.9999999))) == 2


def test_every_optimizer_that_is_offered_works() -> None:
    params = {"w": jnp.ones((3, 2))}
    names = optimizer_names()
    assert {"adam", "sgd", "adamw", "rmsprop", "lion"} <= set(names)
    for name in names:
        optimizer = make_optimizer(name, 0.1, 0.5)
        updates, _ = optimizer.update({"w": jnp.ones((3, 2))}, optimizer.init(params), params)
        chex.assert_tree_all_finite(updates)
    with complains("agent.optimizer", "adan_"):
        check_optimizer("agent.optimizer", "adan_")


def test_an_optimizer_that_needs_the_loss_is_refused() -> None:
    for needy in (
        optax.lbfgs(),
        lambda rate: optax.chain(optax.scale(rate), optax.scale_by_backtracking_linesearch(3)),
    ):
        with complains("agent.optimizer", "value"):
            check_optimizer("agent.optimizer", needy)
    by_name = optax.multi_transform({"a": optax.sgd(1.0)}, {"hidden": "a"})  # wants parameters of a certain structure
    check_optimizer("agent.optimizer", by_name)


def test_an_agent_cannot_begin_with_the_parameters_of_another() -> None:
    corridor = rs.load("coin_corridor")

    @rs.scenario
    def begun() -> rs.Scenario:
        """It begins with a smaller network."""
        made = corridor(**corridor.defaults)
        return dataclasses.replace(made, start={"actor": {"kernel": jnp.zeros((3, 4))}})

    with complains("start", "'actor/kernel': 12", "'actor/kernel': 256"):
        rs.run(begun, seeds=1, settings={"training.steps": 1})
    with complains("agent.width", 0):
        rs.run("coin_corridor", seeds=1, settings={"agent.width": 0})


def test_the_tabular_agent_needs_a_single_decision() -> None:
    with complains("tabular"):
        Tabular().learner(Interface(D, A, None))


def test_the_tabular_agent_refuses_float32() -> None:
    with complains("tabular", "float32"):
        Tabular().learner(Interface(2, 2, jnp.eye(2)))


@jax.enable_x64(True)
def test_both_contexts_start_at_the_initial_logit() -> None:
    for rho in (0.0, 0.3, 1.0):
        contexts = jnp.array([[1.0, 0.0], [rho, (1 - rho**2) ** 0.5]])
        for logits in (1, 2):
            learner = Tabular(initial_logit=3.0, logits=logits).learner(Interface(2, 2, contexts))
            log_pi = log_policy(learner, learner.init(jax.random.key(0)).params, contexts)
            np.testing.assert_allclose(log_pi[:, 1] - log_pi[:, 0], 3.0, rtol=1e-12)
