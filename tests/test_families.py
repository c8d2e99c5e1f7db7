"""Six families of foreign environments: each runs end to end, steps as its own, and never resets on its own."""

import dataclasses
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import brax.envs
import gymnax
import jax
import jax.numpy as jnp
import navix
import numpy as np
import pytest
import xminigrid
from craftax.craftax_env import make_craftax_env_from_name
from jumanji.environments import Snake
from jumanji.wrappers import AutoResetWrapper
from polars.testing import assert_frame_equal
from xminigrid.wrappers import GymAutoResetWrapper

import robustsim as rs
from robustsim.envs import adapters
from robustsim.types import Tree

LIMIT = 6
LONG = 3000  # enough for a random walk to find an end
TABLE = np.array([[-1.0], [1.0]])


class Case(NamedTuple):
    """One family: an environment that its makers would hand out, with auto-reset, and its own way to call it."""

    env: Any
    params: Any
    actions: Any  # the table, where one is needed
    reset: Callable[[Any], tuple[Any, Tree]]  # key -> obs, native state
    raw: Callable[[Any, Tree, Any], tuple[Any, Tree, Any]]  # key, state, action -> obs, state, reward; no reset
    public: Callable[[Any, Tree, Any], tuple[Any, Tree]]  # the same with auto-reset -> obs, state
    clock: Callable[[Tree], Any]  # native state -> 0 after a reset, more after a step
    odd: Callable[[rs.Transition], jax.Array]  # a misbehaviour: a predicate on the native state


def of_gymnax() -> Case:
    env, params = gymnax.make("FourRooms-misc")
    params = params.replace(max_steps_in_episode=LIMIT)
    return Case(
        env,
        params,
        None,
        lambda key: env.reset(key, params),
        lambda key, state, action: env.step_env(key, state, action, params)[:3],
        lambda key, state, action: env.step(key, state, action, params)[:2],
        lambda state: state.time,
        lambda tr: tr.after.native.pos[0] > 6,
    )


def of_craftax() -> Case:
    env = make_craftax_env_from_name("Craftax-Classic-Symbolic-v1", auto_reset=True)
    params = env.default_params.replace(max_timesteps=LIMIT)
    return Case(
        env,
        params,
        None,
        lambda key: env.reset(key, params),
        lambda key, state, action: env.step_env(key, state, action, params)[:3],
        lambda key, state, action: env.step(key, state, action, params)[:2],
        lambda state: state.timestep,
        lambda tr: tr.after.native.inventory.wood > tr.before.native.inventory.wood,
    )


def of_xminigrid() -> Case:
    env, params = xminigrid.make("MiniGrid-EmptyRandom-5x5")
    params = params.replace(max_steps=LIMIT)
    auto = GymAutoResetWrapper(env)

    def raw(key: Any, state: Any, action: Any) -> Any:
        after = env.step(params, state, action)
        return after.observation, after, after.reward

    def public(key: Any, state: Any, action: Any) -> Any:
        after = auto.step(params, state, action)
        return after.observation, after

    def reset(key: Any) -> Any:
        start = env.reset(params, key)
        return start.observation, start

    return Case(
        auto,
        params,
        None,
        reset,
        raw,
        public,
        lambda start: start.state.step_num,
        lambda tr: tr.after.native.state.agent.position[1] == 1,
    )


def of_jumanji() -> Case:
    env = Snake(5, 5, time_limit=LIMIT)
    auto = AutoResetWrapper(env)

    def raw(key: Any, state: Any, action: Any) -> Any:
        state, after = env.step(state, action)
        return after.observation, state, after.reward

    def public(key: Any, state: Any, action: Any) -> Any:
        state, after = auto.step(state, action)
        return after.observation, state

    def reset(key: Any) -> Any:
        state, start = env.reset(key)
        return start.observation, state

    def odd(tr: rs.Transition) -> Any:
        return tr.after.native.head_position.row == 0

    return Case(auto, None, None, reset, raw, public, lambda state: state.step_count, odd)


def of_navix() -> Case:
    env = navix.make("Navix-Empty-Random-5x5-v0", max_steps=LIMIT)

    def raw(key: Any, state: Any, action: Any) -> Any:
        after = env._step(state, action)
        return after.observation, after, after.reward

    def public(key: Any, state: Any, action: Any) -> Any:
        after = env.step(state, action)
        return after.observation, after

    def reset(key: Any) -> Any:
        start = env.reset(key)
        return start.observation, start

    return Case(
        env,
        None,
        None,
        reset,
        raw,
        public,
        lambda start: start.t,
        lambda tr: tr.after.native.state.entities["player"].position[0, 0] == 1,
    )


def of_brax() -> Case:
    env, auto = brax.envs.fast.Fast(), brax.envs.create("fast", episode_length=LIMIT)

    def raw(key: Any, state: Any, action: Any) -> Any:
        after = env.step(state, jnp.asarray(TABLE)[action])
        return after.obs, after, after.reward

    def public(key: Any, state: Any, action: Any) -> Any:
        after = auto.step(state, jnp.asarray(TABLE)[action])
        return after.obs, after

    def reset(key: Any) -> Any:
        start = auto.reset(key)
        return start.obs, start

    def odd(tr: rs.Transition) -> Any:
        return tr.after.native.obs[1] > 0.05

    return Case(auto, None, TABLE, reset, raw, public, lambda state: state.pipeline_state.x.pos[0], odd)


CASES = {
    "gymnax": of_gymnax,
    "craftax": of_craftax,
    "xminigrid": of_xminigrid,
    "jumanji": of_jumanji,
    "navix": of_navix,
    "brax": of_brax,
}
FAMILIES = list(CASES)


def slowly(*names: str) -> list[Any]:
    """The families, of which some take so long to compile that they are left to the slow tests."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in names else name for name in FAMILIES]


ACTIONS = [2, 1, 3, 0, 2, 1]
# Actions that end no world before the limit.
QUIET = {"gymnax": 0, "craftax": 0, "xminigrid": 1, "jumanji": [0, 1, 2, 3], "navix": 0, "brax": 1}


@functools.cache
def prepared(family: str) -> tuple[Case, rs.Environment, Callable]:
    """A case, adapted, with its compiled step: shared by the tests of one process, for compiling is what takes time."""
    case = CASES[family]()
    ours = adapted(case)
    return case, ours, jax.jit(ours.step)


def adapted(case: Case, **changes: Any) -> rs.Environment:
    return rs.adapt(case.env, case.params, **{"max_steps": LIMIT, "actions": case.actions, **changes})


def plain(tree: Tree) -> list[np.ndarray]:
    """All numbers of a state, keys as their data."""
    leaves = jax.tree.leaves(tree)
    return [np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x) for x in leaves]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_family_is_told_from_the_classes(family: str) -> None:
    assert adapters.family(CASES[family]().env) == family


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.same_keys
def test_the_shortest_episode_is_known_where_only_our_clock_truncates(family: str) -> None:
    case = CASES[family]()
    shortest = adapted(case).shortest
    assert (None if shortest is None else shortest(case.params)) == (LIMIT if family in ("gymnax", "craftax") else None)


@pytest.mark.parametrize("family", slowly("craftax"))
@pytest.mark.same_keys
def test_steps_are_the_family_s_own(family: str) -> None:
    """Up to the time limit, on the same keys."""
    case, ours, step = prepared(family)
    raw = jax.jit(case.raw)
    key = jax.random.key(3)
    obs, state = ours.reset(key, case.params)
    own_obs, native = case.reset(jax.random.split(key)[1])  # half of the key is for drawing parameters
    np.testing.assert_array_equal(obs, adapters.flat(own_obs))
    for t, action in enumerate(ACTIONS):
        key, action = jax.random.key(t), jnp.int32(action % ours.num_actions)
        after = step(key, state, action, case.params)
        own_obs, native, reward = raw(key, native, action)
        np.testing.assert_allclose(after.obs, adapters.flat(own_obs), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(after.obs, ours.observe(after.state))
        assert float(after.reward) == pytest.approx(float(reward))
        assert after.reward.dtype == jnp.float32
        state = after.state
        if bool(after.terminated):
            break
    assert bool(after.truncated) == (t == LIMIT - 1)
    if family != "brax":  # its wrapper counts beside the state
        for a, b in zip(plain(state.native), plain(native), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", slowly("craftax", "xminigrid", "brax"))
@pytest.mark.same_keys
def test_the_family_resets_at_the_limit_and_ours_does_not(family: str) -> None:
    case, ours, step = prepared(family)
    public = jax.jit(case.public)
    _, state = ours.reset(jax.random.key(0), case.params)
    _, native = case.reset(jax.random.split(jax.random.key(0))[1])
    for t in range(LIMIT):
        action = jnp.int32(np.resize(QUIET[family], LIMIT)[t])
        after = step(jax.random.key(t), state, action, case.params)
        assert not bool(after.terminated)
        assert bool(after.truncated) == (t == LIMIT - 1)
        state = after.state
        _, native = public(jax.random.key(t), native, action)
    if family == "navix":  # it resets one step late
        assert float(case.clock(native)) == LIMIT
        _, native = public(jax.random.key(LIMIT), native, action)
    assert float(case.clock(native)) == 0
    assert float(case.clock(state.native)) > 0


@pytest.mark.parametrize("family", ["gymnax", "xminigrid", "jumanji", "navix"])
@pytest.mark.same_keys
def test_the_end_of_the_world_is_not_the_end_of_the_time(family: str) -> None:
    """A random walk ends where the world does, and goes on counting afterwards: nothing was reset."""
    case = CASES[family]()
    ours = adapted(case, max_steps=LONG)

    def act(state: Any, key: Any) -> Any:
        step = ours.step(key, state, jax.random.randint(key, (), 0, ours.num_actions), case.params)
        return step.state, (step.terminated, step.truncated, case.clock(step.state.native))

    _, state = ours.reset(jax.random.key(0), case.params)
    _, (terminated, truncated, clock) = jax.lax.scan(act, state, jax.random.split(jax.random.key(1), LONG))
    first = int(np.argmax(terminated))
    assert bool(terminated[first])
    assert first < LONG - 1
    assert not bool(truncated[first])
    assert int(clock[first]) == first + 1
    assert not (np.asarray(terminated) & np.asarray(truncated)).any()
    assert bool(terminated[-1] | truncated[-1])


@pytest.mark.slow
@pytest.mark.same_keys
def test_death_in_craftax_ends_the_world() -> None:
    case, ours, step = prepared("craftax")
    _, state = ours.reset(jax.random.key(0), case.params)
    dying = dataclasses.replace(state, native=state.native.replace(player_health=jnp.int32(0)))
    after = step(jax.random.key(0), dying, jnp.int32(0), case.params)
    assert bool(after.terminated)
    assert not bool(after.truncated)


@pytest.mark.same_keys
def test_craftax_is_adapted_without_being_compiled() -> None:
    """The quick part: shapes, types and actions; what takes a compiler is in the slow tests."""
    case = of_craftax()
    ours = adapted(case)
    assert ours.observation_size == 1345
    assert ours.num_actions == 17
    _, state = jax.eval_shape(ours.reset, jax.random.key(0), case.params)
    step = jax.eval_shape(ours.step, jax.random.key(0), state, jnp.int32(0), case.params)
    assert jax.tree.structure(step.state) == jax.tree.structure(state)
    assert [x.dtype for x in jax.tree.leaves(step.state)] == [x.dtype for x in jax.tree.leaves(state)]


@pytest.mark.parametrize("family", slowly("craftax", "xminigrid", "jumanji", "navix", "brax"))
@pytest.mark.same_keys
def test_a_scenario_runs_end_to_end_and_twice_the_same(family: str, small: dict) -> None:
    case = CASES[family]()

    def build() -> rs.Scenario:
        """A predicate on the state of an environment that nobody here wrote is a misbehaviour."""
        return rs.Scenario(
            env=adapted(case),
            training_levels=case.params,
            deployment_levels=case.params,
            misbehaviour=case.odd,
            avoidable=lambda state: jnp.array(True),
            success=lambda tr: tr.reward > 0,
            agent=rs.A2C(),
            overseer=rs.Overseer(penalty=1.0),
        )

    build.__name__ = f"foreign_{family}"
    factory = rs.scenario(build)
    settings = {**small, "training.steps": 4, "deployment.budget": 8, "evaluation.episodes": 32}
    first = rs.run(factory, seeds=2, settings=settings)
    again = rs.run(factory, seeds=2, settings=settings)
    assert len(first.runs) == 2
    assert_frame_equal(first.runs, again.runs)
    assert_frame_equal(first.traces, again.traces)


@pytest.mark.same_keys
def test_every_block_of_the_page_on_environments_runs() -> None:
    """What it adapts can be reset and stepped."""
    page = (Path(__file__).parent.parent / "docs" / "environments.md").read_text()
    blocks = [b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "@rs.scenario" not in b]
    assert len(blocks) >= len(CASES)
    for block in blocks:
        names: dict[str, Any] = {}
        exec(compile(block, "environments.md", "exec"), names)
        env = names.get("env")
        if isinstance(env, rs.Environment):
            obs, _ = jax.eval_shape(env.reset, jax.random.key(0), names.get("params"))
            assert obs.shape == (env.observation_size,)
