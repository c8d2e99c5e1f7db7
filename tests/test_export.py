"""The way back: the same transitions through gymnax's interface, and a loop for gymnax trains on them."""

import builtins
from typing import Any

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from complaints import complains
from gymnax.environments import spaces

import robustsim as rs
from robustsim.envs import export

MAP = """
#####
#..o#
#.b.#
#####
"""
LIMIT = 7


@pytest.fixture(scope="module")
def world() -> tuple[rs.Environment, Any]:
    grid = rs.Grid(
        map=MAP,
        agent="o",
        items={"coin": rs.Item(at="b", reward=1.0, ends=True)},
        max_steps=LIMIT,
    )
    return grid.environment(), grid.levels()


def test_it_is_an_environment_of_gymnax(world: tuple) -> None:
    env, params = export.to_gymnax(*world)
    assert isinstance(env, gymnax.environments.environment.Environment)
    assert env.num_actions == env.action_space(params).n == world[0].num_actions
    assert isinstance(env.observation_space(params), spaces.Box)
    obs, _ = env.reset(jax.random.key(0), params)
    assert obs.shape == env.observation_space(params).shape
    assert env.default_params.max_steps_in_episode == LIMIT


@pytest.mark.same_keys
def test_the_trace_is_the_same_for_the_same_keys(world: tuple) -> None:
    ours, levels = world
    env, params = export.to_gymnax(ours, levels)
    for seed in range(3):
        key = jax.random.key(seed)
        a, state = ours.reset(key, levels)
        b, theirs = env.reset(key, params)
        np.testing.assert_array_equal(a, b)
        for t in range(LIMIT):
            key, action = jax.random.fold_in(key, t), jax.random.randint(key, (), 0, ours.num_actions)
            step = jax.jit(ours.step)(key, state, action, levels)
            obs, theirs, reward, terminated, info = jax.jit(env.step_env)(key, theirs, action, params)
            np.testing.assert_array_equal(step.obs, obs)
            np.testing.assert_array_equal(obs, env.observe(key, theirs, action, params))
            assert float(step.reward) == float(reward)
            assert bool(step.terminated) == bool(terminated) == bool(env.is_terminated(theirs, params))
            assert bool(step.truncated) == bool(env.is_truncated(theirs, params))
            assert float(info["discount"]) == 1.0 - bool(terminated)
            jax.tree.map(np.testing.assert_array_equal, step.state, theirs.inner)
            state = step.state


@pytest.mark.same_keys
def test_step_resets_and_step_env_does_not(world: tuple) -> None:
    env, params = export.to_gymnax(*world)
    _, state = env.reset(jax.random.key(0), params)
    raw = state
    for t in range(LIMIT):
        key = jax.random.key(t)
        obs, state, _, terminated, truncated, info = env.step(key, state, 0, params)
        _, raw, _, _, _ = jax.jit(env.step_env)(jax.random.split(key)[0], raw, 0, params)
    assert not bool(terminated)
    assert bool(truncated)
    assert int(state.time) == 0
    assert int(raw.time) == LIMIT
    np.testing.assert_array_equal(info["final_observation"], env.observe(key, raw, 0, params))
    fresh, _ = env.reset_env(jax.random.split(key)[1], params)
    np.testing.assert_array_equal(obs, fresh)
    shorter = params.replace(max_steps_in_episode=2)
    assert bool(env.is_truncated(raw.replace(time=2, truncated=False), shorter))


def test_a_foreign_environment_makes_the_round_trip() -> None:
    theirs, params = gymnax.make("CartPole-v1")
    env, wrapped = export.to_gymnax(rs.adapt(theirs, params, max_steps=20), params)
    _, state = env.reset(jax.random.key(0), wrapped)
    for t in range(5):
        key = jax.random.key(t)
        obs, after, _, terminated, _ = env.step_env(key, state, 1, wrapped)
        expected = theirs.step_env(key, state.inner.native, 1, params)
        np.testing.assert_allclose(obs, expected[0], rtol=1e-5)
        assert bool(terminated) == bool(expected[3])
        state = after


def learn(env: Any, params: Any, steps: int, envs: int = 16, length: int = 8) -> jax.Array:
    """A small loop for any environment of gymnax: REINFORCE, a linear policy. Returns each update's rewards."""
    size, num_actions = env.observation_space(params).shape[0], env.action_space(params).n
    optimizer = optax.adam(0.05)
    weights = jnp.zeros((size, num_actions))

    def act(carry: Any, key: Any) -> Any:
        obs, state, weights = carry
        action = jax.random.categorical(key, obs @ weights)
        keys = jax.random.split(key, envs)
        after, state, reward, terminated, truncated, _ = jax.vmap(env.step, (0, 0, 0, None))(
            keys, state, action, params
        )
        return (after, state, weights), (obs, action, reward, terminated | truncated)

    def update(carry: Any, key: Any) -> Any:
        obs, state, weights, memory = carry
        (obs, state, _), (seen, action, reward, ended) = jax.lax.scan(
            act, (obs, state, weights), jax.random.split(key, length)
        )

        def back(total: Any, step: Any) -> Any:
            total = step[0] + 0.9 * total * ~step[1]
            return total, total

        _, returns = jax.lax.scan(back, jnp.zeros(envs), (reward, ended), reverse=True)

        def loss(weights: Any) -> Any:
            logits = jax.nn.log_softmax(seen @ weights)
            chosen = jnp.take_along_axis(logits, action[..., None], -1)[..., 0]
            return -(chosen * (returns - returns.mean())).mean()

        change, memory = optimizer.update(jax.grad(loss)(weights), memory)
        return (obs, state, weights + change, memory), reward.mean()

    obs, state = jax.vmap(env.reset, (0, None))(jax.random.split(jax.random.key(0), envs), params)
    keys = jax.random.split(jax.random.key(1), steps)
    return jax.jit(lambda carry: jax.lax.scan(update, carry, keys))((obs, state, weights, optimizer.init(weights)))[1]


@pytest.mark.same_keys
def test_a_loop_for_gymnax_learns_on_it(world: tuple) -> None:
    rewards = learn(*export.to_gymnax(*world), steps=60)
    assert rewards[-10:].mean() > 1.3 * rewards[:10].mean()


@pytest.mark.same_keys
def test_a_scenario_is_exported_as_its_agent_sees_it() -> None:
    """The signal is in the observation, on in the share `training.watched` of them, and never changes in one."""
    env, params = rs.to_gymnax("camera_vault", {"training.watched": 0.25})
    inner = rs.load("camera_vault")().env
    assert env.observation_space(params).shape[0] > inner.observation_size
    obs, state = jax.vmap(env.reset, (0, None))(jax.random.split(jax.random.key(0), 400), params)
    signal = np.asarray(state.inner.signal)
    assert 0.15 < signal.mean() < 0.35
    after, moved, *_ = jax.vmap(env.step_env, (0, 0, None, None))(
        jax.random.split(jax.random.key(1), 400), state, 0, params
    )
    np.testing.assert_array_equal(moved.inner.signal, signal)
    assert learn(env, params, steps=2).shape == (2,)
    assert after.shape == obs.shape


def test_without_gymnax_the_extra_is_named(world: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def broken(name: str, *args: Any) -> Any:
        if name.startswith("gymnax"):
            raise ModuleNotFoundError("No module named 'gymnax'", name="gymnax")
        return original(name, *args)

    export._classes.cache_clear()
    monkeypatch.setattr(builtins, "__import__", broken)
    with complains("to_gymnax", "robustsim[gymnax]"):
        export.to_gymnax(*world)
