"""The convolutional network: what it computes, what it learns, and sizes that do not fit."""

import dataclasses
from typing import Any

import chex
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complains

import robustsim as rs
from robustsim.agents.learner import Batch, Interface
from robustsim.agents.networks import Network, make_network
from robustsim.pytree import pytree
from robustsim.sim.batched import as_arrays
from robustsim.sim.world import make_world
from robustsim.spec.settings import resolve

SHAPE = (5, 6, 2)
PIXELS = 5 * 6 * 2


def network(size: int = PIXELS + 1, image: Any = SHAPE, kind: Any = "cnn", layers: int = 1) -> Network:
    """A network for observations of an image and one number more."""
    return make_network(kind, size, 3, 8, layers, "relu", image)


def test_convolutions_read_the_image_in_its_shape() -> None:
    """By hand: each output is the weighted sum of the square around its pixel, in a picture padded by zeros."""
    made = network(kind=rs.CNN(channels=(4,), kernel=3, stride=1), image=SHAPE)
    params = made.init(jax.random.key(0))
    obs = jax.random.normal(jax.random.key(1), (PIXELS + 1,))
    image = np.pad(np.asarray(obs[:PIXELS]).reshape(SHAPE), ((1, 1), (1, 1), (0, 0)))
    kernel, bias = np.asarray(params["hidden"][0]["kernel"]), np.asarray(params["hidden"][0]["bias"])
    maps = np.zeros((5, 6, 4))
    for y, x in np.ndindex(5, 6):
        maps[y, x] = np.tensordot(image[y : y + 3, x : x + 3], kernel, 3) + bias
    features = np.concatenate([np.maximum(maps, 0).ravel(), np.asarray(obs[PIXELS:])])
    hidden = np.maximum(features @ params["hidden"][1]["kernel"] + params["hidden"][1]["bias"], 0)
    assert made.hidden is not None
    np.testing.assert_allclose(made.hidden(params, (), obs), hidden, atol=1e-4)


@pytest.mark.parametrize("lead", [(), (4,), (2, 3)])
def test_shapes_and_gradients(lead: tuple[int, ...]) -> None:
    made = network(layers=2)
    params = made.init(jax.random.key(0))
    assert len(params["hidden"]) == 4  # two convolutions and two layers, which treatments can freeze

    def loss(params: Any, obs: Any) -> Any:
        out = made.apply(params, (), obs)
        chex.assert_shape(out.logits, (*lead, 3))
        chex.assert_shape(out.value, lead)
        return jnp.sum(out.logits**2) + jnp.sum(out.value**2)

    gradient = jax.grad(loss)(params, jax.random.normal(jax.random.key(1), (*lead, PIXELS + 1)))
    chex.assert_trees_all_equal_shapes_and_dtypes(gradient, params)
    chex.assert_tree_all_finite(gradient)
    assert min(float(jnp.max(jnp.abs(g))) for g in jax.tree.leaves(gradient)) > 0


def test_it_learns_what_takes_two_neighbours_to_see() -> None:
    """Two bright pixels, anywhere, stand side by side or one above the other."""
    side = 6

    def picture(key: Any) -> tuple[Any, Any]:
        key_place, key_kind = jax.random.split(key)
        upright = jax.random.bernoulli(key_kind).astype(jnp.int32)
        y, x = jax.random.randint(key_place, (2,), 0, side - 1)
        image = jnp.zeros((side, side)).at[y, x].set(1.0).at[y + upright, x + 1 - upright].set(1.0)
        return image.ravel(), upright

    cnn = rs.CNN(shape=(side, side, 1), channels=(8,), stride=1)
    settings = rs.A2C(network=cnn, learning_rate=1e-2, entropy=0.0, width=16, layers=1, activation="relu")
    learner = settings.learner(Interface(side * side, 2))
    agent = learner.init(jax.random.key(0))

    @jax.jit
    def update(agent: Any, key: Any) -> Any:
        key_see, key_act, key_update = jax.random.split(key, 3)
        obs, right = jax.vmap(picture)(jax.random.split(key_see, 128))
        action = jax.random.categorical(key_act, learner.act(agent.params, (), obs).log_policy).astype(jnp.int32)
        ended = jnp.ones((1, 128), bool)
        batch = Batch(
            obs=obs[None],
            action=action[None],
            reward=(action == right).astype(float)[None],
            signal=jnp.zeros((1, 128), jnp.int32),
            terminated=ended,
            truncated=~ended,
            last_obs=obs,
            final_obs=obs[None],
            final_slot=jnp.zeros((1, 128), jnp.int32),
        )
        return learner.update(key_update, agent, batch, agent.params, None)

    def accuracy(agent: Any) -> float:
        obs, right = jax.vmap(picture)(jax.random.split(jax.random.key(99), 500))
        return float(jnp.mean(jnp.argmax(learner.act(agent.params, (), obs).log_policy, -1) == right))

    assert accuracy(agent) < 0.7
    for key in jax.random.split(jax.random.key(1), 100):
        agent = update(agent, key)
    assert accuracy(agent) > 0.95


# --- in a scenario ---


@pytree
class Spot:
    """One bright pixel in a row of pixels."""

    at: Any


def spots(**changes: Any) -> rs.Environment:
    """A row of 4 pixels, of which one is bright; the episode is over after one step."""

    def observe(state: Spot) -> Any:
        return jax.nn.one_hot(state.at, 4)

    def reset(key: Any, levels: Any) -> Any:
        state = Spot(at=jax.random.randint(key, (), 0, 4, jnp.int32))
        return observe(state), state

    def step(key: Any, state: Spot, action: Any, levels: Any) -> rs.Step:
        paid = (action == state.at // 2).astype(float)
        return rs.Step(
            obs=observe(state), state=state, reward=paid, terminated=jnp.array(True), truncated=jnp.array(False)
        )

    sizes: dict[str, Any] = {"observation_size": 4, "num_actions": 2, "max_steps": 1, "image": (1, 4, 1)} | changes
    return rs.Environment(reset=reset, step=step, observe=observe, **sizes)


@rs.scenario
def spotted(image: bool = True) -> rs.Scenario:
    """An agent that is shown a picture says where it is bright."""
    return rs.Scenario(
        env=spots() if image else spots(image=None),
        training_levels=None,
        deployment_levels=None,
        misbehaviour=lambda tr: tr.action != tr.before.at // 2,
        success=lambda tr: tr.reward > 0,
        agent=rs.A2C(learning_rate=1e-2),
    )


@pytest.mark.same_keys
def test_a_setting_chooses_it(small: dict) -> None:
    """By its name, which is how the command line gives it."""
    results = rs.run(spotted, seeds=1, settings={**small, "agent.network": "cnn", "training.steps": 100})
    assert results.runs["training_competence"][0] > 0.9


def test_sizes_that_do_not_fit_are_named() -> None:
    with complains("Environment.image", (2, 4, 1), 4):
        spots(image=(2, 4, 1))
    with complains("Environment.image", (4,), 4):
        spots(image=(4,))
    with complains("agent.network", "cnn", "image", "shape"):
        make_world(spotted, as_arrays(resolve(spotted, {"env.image": False, "agent.network": "cnn"})))
    with complains("CNN.shape", (6, 6, 3), 108, 61):
        network(kind=rs.CNN(shape=(6, 6, 3))).init(jax.random.key(0))
    for field, value in {"shape": (4, 4), "channels": (), "kernel": 0, "stride": 1.5}.items():
        with complains(f"CNN.{field}"):
            rs.CNN(**{field: value})
    with complains("agent.network", "'cnm'", "'cnn'"):
        rs.A2C(network="cnm").check("agent")


def test_a_scenario_that_changes_observations_must_tell_their_shape() -> None:
    def build(image: bool = False) -> rs.Scenario:
        """The signal comes first."""
        shape = (1, 4, 1) if image else None
        other = {"featurize": lambda obs, signal: jnp.concatenate([obs, signal[None], obs])}
        return dataclasses.replace(spotted(), agent=rs.A2C(network=rs.CNN(shape=shape)), **other)

    factory = rs.scenario(build)
    with complains("agent.network", "image", "shape"):
        make_world(factory, as_arrays(resolve(factory, {})))
    world = make_world(factory, as_arrays(resolve(factory, {"env.image": True})))
    assert world.learner.init(jax.random.key(0)).params["actor"]["kernel"].shape == (64, 2)


def test_adapted_environments_say_what_shape_their_images_have() -> None:
    env, params = gymnax.make("Breakout-MinAtar")
    assert rs.adapt(env, params, max_steps=5).image == (10, 10, 4)
    assert rs.adapt(env, params, max_steps=5, featurize=lambda obs: obs.ravel().astype(float)).image is None
    env, params = gymnax.make("CartPole-v1")
    assert rs.adapt(env, params, max_steps=5).image is None
