"""Foreign environments: the same transitions as their own step, without auto-reset, and errors that explain."""

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complains

import robustsim as rs
from robustsim.envs import adapters
from robustsim.envs.adapters.families import FAMILIES
from robustsim.spec import loading


@pytest.mark.parametrize("name", ["FourRooms-misc", "Catch-bsuite", "CartPole-v1", "MountainCar-v0"])
def test_transitions_are_the_environment_s_own(name: str) -> None:
    env, params = gymnax.make(name)
    ours = rs.adapt(env, params, max_steps=12)
    _, state = ours.reset(jax.random.key(0), params)
    native = state.native
    for t in range(12):
        action = jnp.int32(t % ours.num_actions)
        step = jax.jit(ours.step)(jax.random.key(t), state, action, params)
        obs, native, reward, ended, _ = env.step_env(
            jax.random.key(t), native, action, params.replace(max_steps_in_episode=2**30)
        )
        np.testing.assert_allclose(step.obs, adapters.flat(obs), rtol=1e-4, atol=1e-6)
        assert float(step.reward) == pytest.approx(float(reward))
        assert bool(step.terminated) == bool(ended)
        assert bool(step.truncated) == (t == 11 and not bool(ended))
        np.testing.assert_array_equal(step.obs, ours.observe(step.state))
        if bool(ended):
            break
        state = step.state


def test_states_keep_their_types_through_a_scan() -> None:
    env, params = gymnax.make("FourRooms-misc")
    ours = rs.adapt(env, params, max_steps=5)

    def body(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        step = ours.step(key, state, jnp.int32(1), params)
        return step.state, step.reward

    _, state = ours.reset(jax.random.key(0), params)
    _, rewards = jax.lax.scan(body, state, jax.random.split(jax.random.key(1), 5))
    assert rewards.shape == (5,)


class LegacyParams(NamedTuple):
    max_steps_in_episode: int = 100

    def replace(self, **changes: Any) -> "LegacyParams":
        return self._replace(**changes)


class LegacyState(NamedTuple):
    place: jax.Array
    time: jax.Array


class Legacy:
    """An environment of the old kind: one done flag that includes the time limit, and auto-reset in `step`."""

    def action_space(self, params: LegacyParams) -> Any:
        return type("Discrete", (), {"n": 2})()

    def reset_env(self, key: jax.Array, params: LegacyParams) -> tuple[jax.Array, LegacyState]:
        return jnp.zeros(()), LegacyState(jnp.int32(0), jnp.int32(0))

    def step_env(self, key: jax.Array, state: LegacyState, action: Any, params: LegacyParams) -> tuple:
        after = LegacyState(state.place + action, state.time + 1)
        done = (after.place >= 3) | (after.time >= params.max_steps_in_episode)
        return after.place.astype(float), after, (after.place >= 3).astype(float), done, {}


Legacy.__module__ = "gymnax.environments.old"


def test_the_old_api_s_time_limit_becomes_a_truncation() -> None:
    env = Legacy()
    assert adapters.family(env) == "gymnax-legacy"
    ours = rs.adapt(env, LegacyParams(), max_steps=4)
    _, state = ours.reset(jax.random.key(0), LegacyParams())
    for _ in range(4):
        step = ours.step(jax.random.key(0), state, jnp.int32(0), LegacyParams())
        state = step.state
    assert bool(step.truncated)
    assert not bool(step.terminated)
    for _ in range(3):
        step = ours.step(jax.random.key(0), state, jnp.int32(1), LegacyParams())
        state = step.state
    assert bool(step.terminated)
    assert ours.observation_size == 1


def test_what_cannot_be_adapted_says_why() -> None:
    with complains("adapt", "dict", "builtins", "gymnax", "gymnax-legacy"):
        rs.adapt({}, None, max_steps=3)
    env, params = gymnax.make("Pendulum-v1")
    with complains("adapt", "Pendulum", "actions"):
        rs.adapt(env, params, max_steps=3)
    env, params = gymnax.make("FourRooms-misc")
    with complains("adapt", "max_steps", 0):
        rs.adapt(env, params, max_steps=0)


def test_an_environment_of_no_known_family_can_be_bound_by_hand() -> None:
    env, params = gymnax.make("Catch-bsuite")
    by_hand = rs.adapt(FAMILIES["gymnax"](env, params, 9), max_steps=9)
    by_family = rs.adapt(env, params, max_steps=9)
    first, second = (e.reset(jax.random.key(0), None)[0] for e in (by_hand, by_family))
    assert (first == second).all()


def test_every_family_has_an_extra_that_a_failing_import_names(tmp_path: Path) -> None:
    declared = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    extras = declared["optional-dependencies"]
    for family in {name.partition("-")[0] for name in FAMILIES if name != "init-step"} | {"pgx"}:
        assert family in extras
        assert family in extras["envs"][0]
        assert loading.EXTRAS[family] == family
    path = tmp_path / "needs.py"
    path.write_text(
        "import robustsim as rs\n"
        "raise ModuleNotFoundError('No module named navix', name='navix')\n"
        "@rs.scenario\ndef needs() -> rs.Scenario:\n    '''Never reached.'''\n"
    )
    with complains(path, "robustsim[navix]"):
        rs.load(str(path))
