"""What the adapters make of levels, actions, pictures and odd ways of foreign environments, and what they refuse."""

from typing import Any

import brax.envs
import gymnax
import jax
import jax.numpy as jnp
import jumanji
import numpy as np
import pytest
import xminigrid
from complaints import complains
from gymnax.wrappers import LogWrapper
from jumanji.environments import Snake
from jumanji.wrappers import VmapWrapper

import robustsim as rs

SNAKE = Snake(5, 5)
TABLE = np.array([[-1.0], [1.0]])


def test_levels_can_be_drawn_as_parameters() -> None:
    """XLand: the rules are numbers and may differ between episodes; sizes may not."""
    env, params = xminigrid.make("XLand-MiniGrid-R1-9x9")
    goal = params.ruleset.goal

    def draw(key: Any, share: Any) -> Any:
        other = jax.random.bernoulli(key, share)
        return params.replace(ruleset=params.ruleset.replace(goal=jnp.where(other, goal, jnp.zeros_like(goal))))

    ours = rs.adapt(env, params, max_steps=9, draw=draw)
    for share in (0.0, 1.0):
        _, state = jax.jit(ours.reset)(jax.random.key(0), share)
        np.testing.assert_array_equal(state.native.state.goal_encoding, share * goal)
    bad = rs.adapt(env, params, max_steps=9, draw=lambda key, share: params.replace(view_size=7))
    with complains("adapt", "params"):
        bad.reset(jax.random.key(0), 0.0)
    with complains("adapt", "params"):
        rs.adapt(env, params, max_steps=9).reset(jax.random.key(0), 0.5)


@pytest.mark.same_keys
def test_levels_can_be_drawn_as_keys() -> None:
    """Without parameters, levels are a choice of keys: here one maze in training, any maze in deployment."""

    def one_of(key: Any, levels: Any) -> Any:
        return jax.random.key(jax.random.randint(key, (), 0, levels))

    ours = rs.adapt(SNAKE, max_steps=9, reset_key=one_of)
    starts = jax.vmap(ours.reset, (0, None))
    keys = jax.random.split(jax.random.key(0), 20)
    assert len(np.unique(np.asarray(starts(keys, 1)[0]), axis=0)) == 1
    assert len(np.unique(np.asarray(starts(keys, 1000)[0]), axis=0)) > 1


def test_sizes_stay_out_of_the_traced_state() -> None:
    env, params = xminigrid.make("MiniGrid-Empty-5x5")
    ours = rs.adapt(env, params, max_steps=5)
    _, state = ours.reset(jax.random.key(0), None)
    assert state.params is None
    _, state = ours.reset(jax.random.key(0), params)
    assert jax.tree.leaves(state.params) == []


def test_several_whole_numbers_become_one() -> None:
    ours = rs.adapt(jumanji.make("RubiksCube-v0"), max_steps=5)
    assert ours.num_actions == 6 * 1 * 3
    chosen = rs.adapt(jumanji.make("RubiksCube-v0"), max_steps=5, actions=[[0, 0, 0], [5, 0, 2]])
    assert chosen.num_actions == 2
    _, state = ours.reset(jax.random.key(0), None)
    last = ours.step(jax.random.key(0), state, jnp.int32(17), None)
    np.testing.assert_array_equal(last.obs, chosen.step(jax.random.key(0), state, jnp.int32(1), None).obs)


def test_a_few_of_many_discrete_actions_can_be_chosen() -> None:
    env, params = gymnax.make("FourRooms-misc")
    assert rs.adapt(env, params, max_steps=5, actions=[0, 2]).num_actions == 2


def test_the_picture_of_the_family_or_of_the_user_is_passed_on() -> None:
    env, params = xminigrid.make("MiniGrid-Empty-5x5")
    drawn = rs.adapt(env, params, max_steps=5)
    _, state = drawn.reset(jax.random.key(0), None)
    assert drawn.render is not None
    picture = drawn.render(state, True)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    own = rs.adapt(env, params, max_steps=5, render=lambda native: np.zeros((2, 2, 3), np.uint8))
    assert own.render is not None
    assert own.render(state, False).shape == (2, 2, 3)


class Falls(brax.envs.Env):
    """Falls after two steps. Like some of brax's own, it writes into the dictionaries of the state it is given."""

    action_size, observation_size, backend = 1, 1, "none"  # pyright: ignore[reportAssignmentType]

    def reset(self, rng: Any) -> Any:
        return brax.envs.State(None, jnp.zeros(1), jnp.array(0), jnp.array(0), {}, {"height": jnp.array(2)})

    def step(self, state: Any, action: Any) -> Any:
        state.info["height"] = state.info["height"] - 0.5
        done = (state.info["height"] <= 1).astype(float)
        return state.replace(obs=state.obs + 1, reward=action[0], done=done)


def test_types_that_drift_shapes_that_drift_and_dictionaries_that_change() -> None:
    """A whole number after a reset and a half after a step; a done that is a float."""
    ours = rs.adapt(Falls(), max_steps=9, actions=[[0.25]])
    _, state = ours.reset(jax.random.key(0), None)
    assert state.native.info["height"].dtype == jnp.float32
    step = ours.step(jax.random.key(0), state, jnp.int32(0), None)
    assert float(state.native.info["height"]) == 2.0  # the state before is as it was
    assert float(step.state.native.info["height"]) == 1.5
    assert float(step.reward) == 0.25
    assert not bool(step.terminated)
    assert bool(ours.step(jax.random.key(0), step.state, jnp.int32(0), None).terminated)


class HomemadeAutoReset(brax.envs.training.Wrapper):
    """An auto-reset that is not known."""


def test_what_cannot_be_adapted_says_why() -> None:
    fast = brax.envs.fast.Fast()
    with complains("adapt", "Fast", "actions", "float32[n, 1]"):
        rs.adapt(fast, max_steps=5)
    with complains("adapt", "actions", (2,), "Fast", "float32[n, 1]"):
        rs.adapt(fast, max_steps=5, actions=[0.0, 1.0])
    with complains("adapt", "VmapWrapper"):
        rs.adapt(brax.envs.create("fast", batch_size=3), max_steps=5, actions=TABLE)
    with complains("adapt", "HomemadeAutoReset"):
        rs.adapt(HomemadeAutoReset(fast), max_steps=5, actions=TABLE)
    with complains("adapt", "VmapWrapper"):
        rs.adapt(VmapWrapper(SNAKE), max_steps=5)
    with complains("adapt", "MMST", 46_656, 1_000):
        rs.adapt(jumanji.make("MMST-v0"), max_steps=5)
    with complains("adapt", "reward", (2,)):
        rs.adapt(jumanji.make("LevelBasedForaging-v0"), max_steps=5)
    with complains("adapt", "actions", "Snake", 4):
        rs.adapt(SNAKE, max_steps=5, actions=[0, 4])
    with complains("adapt", "params", 3, "jumanji"):
        rs.adapt(SNAKE, 3, max_steps=5)
    with complains("adapt", "draw", "Snake", "reset_key"):
        rs.adapt(SNAKE, max_steps=5, draw=lambda key, levels: None)
    env, params = gymnax.make("CartPole-v1")
    with complains("adapt", "LogWrapper"):
        rs.adapt(LogWrapper(env), params, max_steps=5)
