"""Plasticity: what is measured of a layer, and a network that is injected at deployment start."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complains
from test_learners import A, D, batch_of, made

import robustsim as rs
from robustsim.agents.injection import FROZEN, Injected, injecting
from robustsim.agents.learner import Learner
from robustsim.sim import plasticity


def found(hidden: np.ndarray) -> dict[str, float]:
    """What is measured of activations float[steps, episodes, units], of which all count but the last episode."""
    units = plasticity.nothing(hidden.shape[-1])
    counted = jnp.arange(hidden.shape[1]) < hidden.shape[1] - 1
    for row in hidden:
        units = plasticity.add(units, jnp.asarray(row), counted)
    return {name: float(x) for name, x in plasticity.measures(units, {"w": jnp.array([3.0, 4.0])}).items()}


def test_a_rank_is_that_of_the_singular_values() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(50, 9, 6)) * np.array([1, 2, 3, 4, 5, 6])
    values = np.linalg.svd(hidden[:, :-1].reshape(-1, 6), compute_uv=False)
    share = values / values.sum()
    assert found(hidden)["effective_rank"] == pytest.approx(float(np.exp(-(share * np.log(share)).sum())), rel=1e-4)


def test_one_direction_has_a_rank_of_one() -> None:
    assert found(np.ones((20, 3, 8)))["effective_rank"] == pytest.approx(1, abs=1e-3)


def test_units_that_hardly_act_are_dormant() -> None:
    hidden = np.ones((5, 3, 8))
    hidden[..., :2] = -0.01  # below a fortieth of the mean of the layer
    hidden[:, -1] = 100.0  # does not count
    assert found(hidden)["dormant"] == 0.25
    assert found(hidden)["weight_norm"] == 5


def both(kind: str, network: str, **changes: Any) -> tuple[Any, Learner, Learner]:
    """(settings, the plain learner, the one with an injection)."""
    settings, plain = made(kind, network, **changes)
    return settings, plain, injecting(plain, made(kind, Injected(network), **changes)[1])


@pytest.mark.parametrize("network", ["mlp", "gru", "cnn"])
@pytest.mark.parametrize("kind", ["a2c", "ppo", "npg"])
def test_an_injection_changes_nothing_at_first_and_then_only_the_new_network_learns(kind: str, network: str) -> None:
    settings, plain, learner = both(kind, network, optimizer="adamw", learning_rate=1e-2)
    key = jax.random.split(jax.random.key(0), 4)
    agent = learner.init(key[0])
    assert jax.tree.structure(agent) == jax.tree.structure(plain.init(key[3]))  # training knows nothing of it
    begun = learner.deploy(key[1], agent, lambda key: pytest.fail("no experience is needed"))
    batch = batch_of(settings, learner, key[2], action=1)

    def acts(learner: Learner, params: Any) -> jax.Array:
        return learner.act(params, learner.memory(settings.num_envs), batch.obs[0]).log_policy

    np.testing.assert_allclose(acts(plain, agent.params), acts(learner, begun.params), atol=1e-6)

    def update(i: jax.Array, agent: Any) -> Any:
        return learner.update(jax.random.key(i), agent, batch, agent.params, None)

    after = jax.jit(lambda agent: jax.lax.fori_loop(0, 30, update, agent))(begun)
    for name in FROZEN:
        same = jax.tree.map(lambda a, b: bool((a == b).all()), begun.params[name], after.params[name])
        assert all(jax.tree.leaves(same))
    now, then = (jnp.exp(acts(learner, agent.params)[:, 1]).mean() for agent in (after, begun))
    assert float(now) > float(then)
    assert learner.hidden is not None
    seen = learner.hidden(after.params, learner.memory(settings.num_envs), batch.obs[0])
    assert seen.shape == (settings.num_envs, settings.width)
    assert acts(learner, after.params).shape == (settings.num_envs, A)
    assert batch.obs.shape[-1] == D


def test_traces_have_what_was_measured(small: dict) -> None:
    results = rs.run("coin_corridor", seeds=1, settings={**small, "evaluation.plasticity": True, "online.inject": True})
    width = small["agent.width"]
    assert results.traces["dormant"].is_between(0, 1).all()
    assert results.traces["effective_rank"].is_between(1, width).all()
    assert (results.traces["weight_norm"] > 0).all()
    assert results.runs["start_dormant"].item() is not None
    assert 1 <= results.runs["start_effective_rank"].item() <= width


def test_bad_input() -> None:
    with complains("online.inject", True, "'dqn'"):
        rs.run("coin_corridor", seeds=1, settings={"online.inject": True, "agent.kind": "dqn"})
    with complains("deployment.relearn", True, "overseer.withdrawal=5"):
        rs.run("coin_corridor", seeds=1, settings={"deployment.relearn": True, "overseer.withdrawal": 5})
    with complains("online.inject", True, "'tabular'"):
        rs.run("bandit", seeds=1, settings={"online.inject": True})
    for name, value in (("shrink_perturb", 0.5), ("low_rank", 2), ("frozen_layers", 1)):
        with complains("online.inject", True, f"treatment.{name}={value}"):
            rs.run("coin_corridor", seeds=1, settings={"online.inject": True, f"treatment.{name}": value})
    with complains("evaluation.plasticity", True, "hidden"):
        rs.run("bandit", seeds=1, settings={"evaluation.plasticity": True})
