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
import jumanji
import navix
import numpy as np
import pytest
import xminigrid
from craftax.craftax_env import make_craftax_env_from_name
from gymnax.wrappers import LogWrapper
from jumanji.environments import Snake
from jumanji.wrappers import AutoResetWrapper, VmapWrapper
from polars.testing import assert_frame_equal
from xminigrid.wrappers import GymAutoResetWrapper

import robustsim as rs
from robustsim.envs import adapters
from robustsim.errors import UserError
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
SLOWLY = [pytest.param(name, marks=pytest.mark.slow) if name == "craftax" else name for name in FAMILIES]  # to compile
ACTIONS = [2, 1, 3, 0, 2, 1]
# Actions that end no world before the limit.
QUIET = {"gymnax": 0, "craftax": 0, "xminigrid": 1, "jumanji": [0, 1, 2, 3], "navix": 0, "brax": 1}
SNAKE = Snake(5, 5)


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


@pytest.mark.parametrize("family", SLOWLY)
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


@pytest.mark.parametrize("family", SLOWLY)
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
def test_death_in_craftax_ends_the_world() -> None:
    case, ours, step = prepared("craftax")
    _, state = ours.reset(jax.random.key(0), case.params)
    dying = dataclasses.replace(state, native=state.native.replace(player_health=jnp.int32(0)))
    after = step(jax.random.key(0), dying, jnp.int32(0), case.params)
    assert bool(after.terminated)
    assert not bool(after.truncated)


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


@pytest.mark.parametrize("family", SLOWLY)
def test_a_scenario_runs_end_to_end_and_twice_the_same(family: str, small: dict) -> None:
    case = CASES[family]()

    def build() -> rs.Scenario:
        """A predicate on the state of an environment that nobody here wrote is a misbehaviour."""
        return rs.Scenario(
            env=adapted(case),
            train=case.params,
            deployment=case.params,
            misbehaviour=case.odd,
            avoidable=lambda state: jnp.array(True),
            success=lambda tr: tr.reward > 0,
            agent=rs.A2C(),
            overseer=rs.Overseer(penalty=1.0),
        )

    build.__name__ = f"foreign_{family}"
    factory = rs.scenario(build)
    settings = {**small, "instil.steps": 4, "deployment.budget": 8, "probe.episodes": 32}
    first = rs.run(factory, seeds=2, settings=settings)
    again = rs.run(factory, seeds=2, settings=settings)
    assert len(first.runs) == 2
    assert_frame_equal(first.runs, again.runs)
    assert_frame_equal(first.traces, again.traces)


# --- what the adapters make of the odd cases ---


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
    with pytest.raises(UserError, match="static fields cannot differ between episodes"):
        bad.reset(jax.random.key(0), 0.0)
    with pytest.raises(UserError, match="another structure than params"):
        rs.adapt(env, params, max_steps=9).reset(jax.random.key(0), 0.5)


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
    case = of_xminigrid()
    _, state = adapted(case).reset(jax.random.key(0), None)
    assert state.params is None
    _, state = adapted(case).reset(jax.random.key(0), case.params)
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
    case = of_xminigrid()
    _, state = adapted(case).reset(jax.random.key(0), None)
    drawn = adapted(case)
    assert drawn.render is not None
    picture = drawn.render(state, True)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    own = adapted(case, render=lambda native: np.zeros((2, 2, 3), np.uint8))
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
    with pytest.raises(UserError, match=r"Fast has no discrete actions; give it some: actions= float32\[n, 1\]"):
        rs.adapt(fast, max_steps=5)
    with pytest.raises(UserError, match=r"actions has the shape \(2,\); Fast needs float32\[n, 1\]"):
        rs.adapt(fast, max_steps=5, actions=[0.0, 1.0])
    with pytest.raises(UserError, match="VmapWrapper steps a whole batch"):
        rs.adapt(brax.envs.create("fast", batch_size=3), max_steps=5, actions=TABLE)
    with pytest.raises(UserError, match="HomemadeAutoReset resets on its own"):
        rs.adapt(HomemadeAutoReset(fast), max_steps=5, actions=TABLE)
    with pytest.raises(UserError, match="VmapWrapper steps a whole batch"):
        rs.adapt(VmapWrapper(SNAKE), max_steps=5)
    with pytest.raises(UserError, match=r"MMST has 46,656 combinations of actions, more than 1,000"):
        rs.adapt(jumanji.make("MMST-v0"), max_steps=5)
    with pytest.raises(UserError, match=r"the reward has the shape \(2,\) and must be one number"):
        rs.adapt(jumanji.make("LevelBasedForaging-v0"), max_steps=5)
    with pytest.raises(UserError, match="actions has entries outside of what Snake takes: 0 up to, not including, 4"):
        rs.adapt(SNAKE, max_steps=5, actions=[0, 4])
    with pytest.raises(UserError, match="params=3 is not allowed: jumanji configures"):
        rs.adapt(SNAKE, 3, max_steps=5)
    with pytest.raises(UserError, match="draw is not allowed: jumanji has no parameters to draw; use reset_key"):
        rs.adapt(SNAKE, max_steps=5, draw=lambda key, levels: None)
    env, params = gymnax.make("CartPole-v1")
    with pytest.raises(UserError, match="LogWrapper wraps an environment and would be passed by"):
        rs.adapt(LogWrapper(env), params, max_steps=5)


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
