"""One test for all learners, and one for all treatments: whoever brings another is held to the same."""

import dataclasses
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robustsim.agents.learner import Batch, Interface, Learner, policy_along
from robustsim.fields import declared
from robustsim.parts import bundled, find, name_of
from robustsim.sparse import Sparse
from robustsim.treatments.low_rank import LowRank, _matrices, _projected

D, A = 3, 4
INTERFACE = Interface(D, A, image=(1, D - 1, 1))
SMALL = {"num_envs": 4, "rollout_steps": 6, "width": 8, "minibatches": 2, "epochs": 3}


def settings_of(kind: str, **changes: Any) -> Any:
    """Small settings of a learner."""
    cls = find("learner", kind, {})
    known = {f.name for f in declared(cls)}
    values = {name: value for name, value in (SMALL | changes).items() if name in known}
    if kind == "scripted":
        values["policy"] = lambda obs: jnp.zeros(A)
    return cls(**values)


GRADIENT = [k for k in bundled("learner") if k not in ("tabular", "scripted")]
NETWORKS = [(k, n) for k in GRADIENT for n in ("mlp", "gru", "cnn") if (k, n) != ("dqn", "gru")]
LEARNERS = [*NETWORKS, ("scripted", "")]


def made(kind: str, network: str, **changes: Any) -> tuple[Any, Learner]:
    """(settings, learner)."""
    settings = settings_of(kind, **({"network": network} if network else {}), **changes)
    return settings, settings.learner(INTERFACE)


def batch_of(settings: Any, learner: Learner, key: jax.Array, action: int | None = None) -> Batch:
    """A random rollout; with `action`, one in which that action pays 1 and the others nothing."""
    shape = (settings.rollout_steps, settings.num_envs)
    keys = jax.random.split(key, 3)
    ended = jax.random.uniform(keys[0], (2, *shape)) < 0.15
    taken = jax.random.randint(keys[1], shape, 0, A, jnp.int32)
    cut = ended[1] & ~ended[0]
    return Batch(
        obs=jax.random.normal(keys[2], (*shape, D)),
        action=taken,
        reward=(taken == action).astype(float) if action is not None else jnp.ones(shape),
        signal=jnp.zeros(shape, jnp.int32),
        terminated=ended[0],
        truncated=cut,
        last_obs=jnp.ones((shape[1], D)),
        final_obs=jnp.ones((shape[0], shape[1], D)),
        final_slot=jnp.cumsum(cut, axis=0, dtype=jnp.int32) - cut,
        memory=learner.memory(shape[1]),
    )


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("kind", ["a2c", "ppo", "reinforce"])
def test_activations_that_are_known_are_not_needed_again(kind: str, activation: str) -> None:
    settings, learner = made(kind, "mlp", activation=activation)
    agent = jax.tree.map(lambda x: x + 0.1, learner.init(jax.random.key(0)))
    batch = batch_of(settings, learner, jax.random.key(2))
    kept = learner.act(agent.params, (), batch.obs).extras
    assert len(kept) == settings.layers
    places = jnp.broadcast_to(jnp.arange(D, dtype=jnp.int32), batch.obs.shape)
    sparse = Sparse(places=places, values=batch.obs, ranges=tuple((i, i + 1) for i in range(D)))
    ways = {
        "again": batch,
        "kept": dataclasses.replace(batch, extras=kept, fresh=True),
        "kept, sparse": dataclasses.replace(batch, extras=kept, fresh=True, sparse=sparse),
        "late": dataclasses.replace(batch, extras=jax.tree.map(jnp.zeros_like, kept)),  # of other parameters
    }
    update = jax.jit(lambda agent, batch: learner.update(jax.random.key(3), agent, batch, agent.params, None))
    learned = {name: update(agent, batch) for name, batch in ways.items()}
    for name in ways:
        chex.assert_trees_all_close(learned[name].params, learned["again"].params, atol=1e-6)
    moved = jax.tree.leaves(jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), learned["kept"].params, agent.params))
    assert min(map(float, moved)) > 1e-5


@pytest.mark.parametrize(("kind", "network"), LEARNERS)
def test_every_learner_keeps_the_contract(kind: str, network: str) -> None:
    settings, learner = made(kind, network)
    assert name_of(settings) == kind
    settings.check("agent")
    agent = learner.init(jax.random.key(0))
    obs = jax.random.normal(jax.random.key(1), (5, D))
    act = learner.act(agent.params, learner.memory(5), obs)
    chex.assert_shape(act.log_policy, (5, A))
    np.testing.assert_allclose(jnp.exp(act.log_policy).sum(-1), 1, rtol=1e-5)
    chex.assert_trees_all_equal_shapes_and_dtypes(act.memory, learner.memory(5))
    batch = batch_of(settings, learner, jax.random.key(2))
    update = jax.jit(lambda key, agent, batch: learner.update(key, agent, batch, agent.params, None))
    after = update(jax.random.key(3), agent, batch)
    chex.assert_trees_all_equal_shapes_and_dtypes(agent, after)
    chex.assert_tree_all_finite(after)
    again = update(jax.random.key(3), agent, batch)
    chex.assert_trees_all_equal(after, again)
    assert learner.gradient_steps == getattr(settings, "epochs", 1) * getattr(settings, "minibatches", 1)
    fresh = learner.restart(after)
    chex.assert_trees_all_equal(fresh.params, after.params)
    chex.assert_trees_all_equal_shapes_and_dtypes(fresh, agent)
    if learner.hidden is not None:
        assert learner.hidden(agent.params, learner.memory(5), obs).shape == (5, settings.hidden_units)


@pytest.mark.parametrize(("kind", "network"), NETWORKS)
def test_every_learner_finds_the_action_that_pays(kind: str, network: str) -> None:
    settings, learner = made(kind, network, entropy=0.0, learning_rate=1e-2)
    update = jax.jit(lambda key, agent, batch: learner.update(key, agent, batch, agent.params, None))
    agent = learner.init(jax.random.key(0))
    for i in range(120 // learner.gradient_steps + 20):
        key_update, key_batch = jax.random.split(jax.random.key(i))
        agent = update(key_update, agent, batch_of(settings, learner, key_batch, action=2))
    policy = learner.act(agent.params, learner.memory(1), jnp.zeros((1, D))).log_policy
    assert int(jnp.argmax(policy)) == 2


def test_memory_begins_anew_where_an_episode_has_ended() -> None:
    """Step by step by hand, beside the scan along a batch."""
    settings, learner = made("a2c", "gru")
    agent = learner.init(jax.random.key(0))
    batch = batch_of(settings, learner, jax.random.key(4))
    along, memory = policy_along(learner, agent.params, batch), batch.memory
    for t in range(settings.rollout_steps):
        act = learner.act(agent.params, memory, batch.obs[t])
        np.testing.assert_allclose(along[t], act.log_policy, atol=1e-6)
        ended = np.asarray(batch.terminated[t] | batch.truncated[t])[:, None]
        memory = jnp.where(ended, learner.memory(settings.num_envs), act.memory)


# --- treatments ---

STRENGTH = {"frozen_layers": 1, "low_rank": 2, "shrink_perturb": 0.5}


def treated(name: str, learner: Learner) -> Learner:
    """A learner under a treatment that is on."""
    cls = find("treatment", name, {})
    assert cls().off
    part = cls(**{name: STRENGTH.get(name, 10.0)})
    assert not part.off
    return part.treat(learner)


@pytest.mark.parametrize("name", bundled("treatment"))
@pytest.mark.parametrize("network", ["mlp", "gru"])
def test_every_treatment_keeps_the_contract_of_a_learner(name: str, network: str) -> None:
    settings, plain = made("a2c", network)
    learner = treated(name, plain)
    trained = plain.init(jax.random.key(0))
    batch = batch_of(settings, plain, jax.random.key(2))

    def experience(key: jax.Array) -> Batch:
        return batch_of(settings, plain, key)

    agent = jax.jit(lambda key, agent: learner.deploy(key, agent, experience))(jax.random.key(1), trained)
    after = jax.jit(lambda a, b: learner.update(jax.random.key(3), a, b, a.params, None))(agent, batch)
    chex.assert_trees_all_equal_shapes_and_dtypes(agent, after)
    chex.assert_tree_all_finite(after)
    chex.assert_trees_all_equal_shapes_and_dtypes(agent.params, trained.params)


def drift(name: str) -> float:
    """How far the policy moves in 40 updates that pay for action 2, by the KL divergence on fresh observations."""
    settings, plain = made("a2c", "mlp", entropy=0.0, learning_rate=1e-2)
    learner = treated(name, plain) if name else plain
    trained = plain.init(jax.random.key(0))
    agent = learner.deploy(jax.random.key(1), trained, lambda key: batch_of(settings, plain, key))
    update = jax.jit(lambda a, b: learner.update(jax.random.key(3), a, b, a.params, None))
    obs = jax.random.normal(jax.random.key(9), (64, D))
    before = plain.act(agent.params, (), obs).log_policy
    for i in range(40):
        agent = update(agent, batch_of(settings, plain, jax.random.key(i), action=2))
    now = plain.act(agent.params, (), obs).log_policy
    return float((jnp.exp(before) * (before - now)).sum(-1).mean())


@pytest.mark.parametrize("name", ["kl_anchor", "cross_entropy_anchor", "l2_anchor", "rehearsal"])
def test_an_anchor_holds_the_policy(name: str) -> None:
    assert drift(name) < 0.5 * drift("")


def test_frozen_layers_do_not_move_and_others_do() -> None:
    settings, plain = made("a2c", "mlp")
    learner = treated("frozen_layers", plain)
    agent = plain.init(jax.random.key(0))
    after = learner.update(jax.random.key(1), agent, batch_of(settings, plain, jax.random.key(2)), agent.params, None)
    first, second = (agent.params["hidden"][i] for i in (0, 1))
    chex.assert_trees_all_equal(after.params["hidden"][0], first)
    assert bool((after.params["hidden"][1]["kernel"] != second["kernel"]).any())


def test_shrinking_and_perturbing_is_done_once() -> None:
    _, plain = made("a2c", "mlp")
    cls = find("treatment", "shrink_perturb", {})
    learner = cls(shrink_perturb=0.25, shrink_perturb_noise=0.0).treat(plain)
    agent = plain.init(jax.random.key(0))
    deployed = learner.deploy(jax.random.key(1), agent, lambda key: None)  # pyright: ignore[reportArgumentType]
    chex.assert_trees_all_close(deployed.params, jax.tree.map(lambda x: 0.75 * x, agent.params))


def test_two_treatments_add_up() -> None:
    """The penalties of both are in the loss, whichever is outside."""
    settings, plain = made("a2c", "mlp", optimizer="sgd")
    anchor, spring = (find("treatment", name, {}) for name in ("kl_anchor", "l2_anchor"))
    one, two = anchor(kl_anchor=3.0), spring(l2_anchor=0.5)
    trained, batch = plain.init(jax.random.key(0)), batch_of(settings, plain, jax.random.key(2), action=1)

    def after(learner: Learner) -> Any:
        agent = learner.deploy(jax.random.key(1), trained, lambda key: batch)
        for _ in range(3):
            agent = learner.update(jax.random.key(3), agent, batch, agent.params, None)
        return agent.params

    chex.assert_trees_all_close(after(one.treat(two.treat(plain))), after(two.treat(one.treat(plain))), rtol=1e-5)


def test_a_batch_with_weights_and_one_without_have_the_same_mean() -> None:
    settings, learner = made("a2c", "mlp")
    batch = batch_of(settings, learner, jax.random.key(0))
    even = dataclasses.replace(batch, weight=jnp.full(batch.reward.shape, 1 / batch.reward.size))
    values = jax.random.normal(jax.random.key(1), batch.reward.shape)
    assert float(batch.mean(values)) == pytest.approx(float(even.mean(values)), abs=1e-6)


def test_dqn_keeps_to_the_mask() -> None:
    """Also while it explores, and where nothing is allowed it takes any action."""
    learner = settings_of("dqn").learner(Interface(D + A, A, masked=True))
    agent = learner.init(jax.random.key(0))
    allowed = jnp.eye(A)[:2].at[1].set(0)
    policy = jnp.exp(learner.act(agent.params, (), jnp.concatenate([jnp.ones((2, D)), allowed], -1)).log_policy)
    np.testing.assert_allclose(policy[0], jnp.eye(A)[0], atol=1e-6)
    assert float(policy[1].min()) > 0


@pytest.mark.parametrize("network", ["mlp", "gru", "cnn"])
def test_low_rank_changes_have_that_rank(network: str) -> None:

    settings = settings_of("a2c", network=network)
    learner = settings.learner(INTERFACE)
    agent = learner.init(jax.random.key(0))
    treated = LowRank(low_rank=2).treat(learner).deploy(jax.random.key(1), agent, lambda key: None)
    noise = jax.tree.map(lambda x: x + jax.random.normal(jax.random.key(2), x.shape), agent.params)
    after = _matrices(_projected(noise, treated.kept))
    before = _matrices(agent.params)
    assert treated.kept
    for path in treated.kept:
        moved = (after[path] - before[path]).reshape(-1, before[path].shape[-1])
        assert int(jnp.linalg.matrix_rank(moved, rtol=1e-4)) == min(2, *moved.shape)


def test_a_replay_can_be_cleared() -> None:
    for kind, kept in (("keep", 7), ("clear", 0)):
        learner = settings_of("dqn", replay_in_deployment=kind).learner(INTERFACE)
        agent = learner.init(jax.random.key(0))
        agent = dataclasses.replace(agent, replay=dataclasses.replace(agent.replay, count=jnp.int32(7)))
        assert int(learner.deploy(jax.random.key(1), agent, lambda key: None).replay.count) == kept
