"""Environments that never reset, or that users wrote themselves: gymnax's base class, foragax, init and step."""

import dataclasses
import re
from typing import Any, NamedTuple

import foragax.registry
import gymnax
import jax
import jax.numpy as jnp
import jumanji
import numpy as np
import pgx
import pytest
from complaints import complains
from flax import struct
from gymnax.environments import environment, spaces
from polars.testing import assert_frame_equal

import robustsim as rs
from robustsim.envs import adapters
from robustsim.envs.picture import SIDE, of_image
from robustsim.types import Tree

LIMIT = 5
pytestmark = pytest.mark.same_keys


# --- gymnax's base class ---


@struct.dataclass
class Pace:
    """Parameters without a time limit; not those of gymnax."""

    stride: float = 1.0


@struct.dataclass
class Place:
    at: Any


class Walk(environment.Environment):
    """A walk to the right without an end, of today's gymnax."""

    @property
    def default_params(self) -> Any:
        return Pace()

    def reset_env(self, key: Any, params: Any) -> Any:
        return jnp.zeros(1), Place(jnp.zeros(()))

    def step_env(self, key: Any, state: Any, action: Any, params: Any) -> Any:
        after = Place(state.at + params.stride * action)
        return after.at[None], after, after.at, jnp.array(False), {}

    def action_space(self, params: Any) -> Any:
        return spaces.Discrete(2)


class Cut(Walk):
    """The same with a limit of its own making."""

    def is_truncated(self, state: Any, params: Any) -> Any:
        return state.at >= 3


class Old(Walk):
    """The same as it was written before gymnax 1.0, with a name for the end that has changed."""

    def step_env(self, key: Any, state: Any, action: Any, params: Any) -> Any:
        obs, after, reward, _, _ = super().step_env(key, state, action, params)
        return obs, after, reward, self.is_terminal(after, params), {"discount": self.discount(after, params)}

    def is_terminal(self, state: Any, params: Any) -> Any:
        return state.at >= 2


class Unfinished(Walk):
    """One that is not written yet."""

    def step_env(self, key: Any, state: Any, action: Any, params: Any) -> Any:
        raise NotImplementedError


def ends(env: rs.Environment, levels: Any = None, action: int = 1) -> tuple[list[bool], list[bool]]:
    """(terminated, truncated) along some steps, which go on after an end."""
    _, state = env.reset(jax.random.key(0), levels)
    found = []
    for t in range(LIMIT):
        step = env.step(jax.random.key(t), state, jnp.int32(action), levels)
        found.append((bool(step.terminated), bool(step.truncated)))
        state = step.state
    return [a for a, _ in found], [b for _, b in found]


def test_parameters_need_no_time_limit() -> None:
    env = rs.adapt(Walk(), max_steps=LIMIT)
    assert ends(env) == ([False] * LIMIT, [False] * 4 + [True])
    assert env.shortest is not None
    assert env.shortest(None) == LIMIT
    _, state = env.reset(jax.random.key(0), Pace(stride=2.0))
    assert float(env.step(jax.random.key(0), state, jnp.int32(1), None).reward) == 2.0
    own = rs.adapt(Cut(), max_steps=LIMIT)
    assert own.shortest is None
    assert ends(own) == ([False] * LIMIT, [False, False, True, True, True])


def test_an_end_under_its_old_name_is_found() -> None:
    theirs = Old()
    assert ends(rs.adapt(theirs, max_steps=LIMIT)) == ([False, True, True, True, True], [False] * 5)
    assert not vars(theirs)  # the environment itself is as it was


# --- init and step ---


@struct.dataclass
class Whole:
    """A state from which everything can be read."""

    observation: Any
    rewards: Any
    terminated: Any
    truncated: Any
    legal_action_mask: Any


class Single:
    """Count to 3 by steps of 1 or 2, but never beyond."""

    num_actions = 3

    def init(self, key: Any) -> Whole:
        return self._at(jnp.int32(0), 0.0)

    def step(self, state: Whole, action: Any, key: Any) -> Whole:
        jax.random.uniform(key)
        at = state.observation[0].astype(jnp.int32) + action
        return self._at(at, jnp.where(at == 3, 1.0, 0.0)).replace(truncated=at == 2)

    def _at(self, at: Any, reward: Any) -> Whole:
        legal = jnp.arange(3) + at <= 3
        return Whole(at[None].astype(float), jnp.asarray(reward)[None], at >= 3, jnp.array(False), legal)


class Emitted(NamedTuple):
    obs: Any
    reward: Any
    terminated: Any


class Two(NamedTuple):
    n: Any
    shape: tuple[int, ...] = ()


class Pair:
    """Count to 3 as well, but a step returns a pair and needs no key."""

    action_space = Two(np.array([2, 2]))

    def init(self, key: Any) -> Any:
        return jnp.int32(0), Emitted({"at": jnp.int32(0)}, 0.0, False)

    def step(self, state: Any, action: Any) -> Any:
        after = state + action.sum()
        return after, Emitted({"at": after}, after == 3, after >= 3)


@dataclasses.dataclass(frozen=True)
class AutoResetWrapper:
    """A frozen wrapper, of those that are removed."""

    env: Any

    def init(self, key: Any) -> Any:
        raise AssertionError

    def step(self, state: Any, action: Any) -> Any:
        raise AssertionError


@dataclasses.dataclass(frozen=True)
class Doubled:
    """A frozen wrapper that is kept: rewards are doubled."""

    env: Any

    @property
    def action_space(self) -> Any:
        return self.env.action_space

    def init(self, key: Any) -> Any:
        return self.env.init(key)

    def step(self, state: Any, action: Any) -> Any:
        state, seen = self.env.step(state, action)
        return state, seen._replace(reward=2 * seen.reward)


def test_a_state_that_says_everything() -> None:
    env = rs.adapt(Single(), max_steps=LIMIT)
    assert (env.num_actions, env.observation_size) == (3, 1)
    assert ends(env) == ([False, False, True, True, True], [False, True, False, False, False])
    _, state = env.reset(jax.random.key(0), None)
    assert env.mask is not None
    np.testing.assert_array_equal(env.mask(state), [True, True, True])
    after = env.step(jax.random.key(0), state, jnp.int32(2), None)
    np.testing.assert_array_equal(env.mask(after.state), [True, True, False])
    assert float(env.step(jax.random.key(0), after.state, jnp.int32(1), None).reward) == 1.0
    two = rs.adapt(Single(), max_steps=LIMIT, actions=[2, 0])
    assert two.mask is not None
    _, state = two.reset(jax.random.key(0), None)
    after = two.step(jax.random.key(0), state, jnp.int32(0), None)
    np.testing.assert_array_equal(two.mask(after.state), [False, True])


def test_a_pair_of_a_state_and_what_is_seen_of_it() -> None:
    env = rs.adapt(Doubled(AutoResetWrapper(Pair())), max_steps=LIMIT)
    assert (env.num_actions, env.mask) == (4, None)
    terminated, truncated = ends(env)  # action 1 is (0, 1)
    assert (terminated, truncated) == ([False, False, True, True, True], [False] * 5)
    _, state = env.reset(jax.random.key(0), None)
    reached = env.step(jax.random.key(0), state, jnp.int32(3), None)
    assert float(env.step(jax.random.key(0), reached.state, jnp.int32(1), None).reward) == 2.0


# --- real ones ---


class Case(NamedTuple):
    """An environment that never resets, and its own way to call it."""

    env: Any
    family: str
    reset: Any  # key -> obs, native state
    step: Any  # key, state, action -> obs, native state, reward
    odd: Any  # a misbehaviour


def of_foragax() -> Case:
    env = foragax.registry.make("ForagaxNeverEndingRelearning-v1")
    return Case(
        env,
        "foragax",
        lambda key: env.reset_env(key, env.default_params),
        lambda key, state, action: adapters_step(env, key, state, action),
        lambda tr: tr.after.native.pos[0] > tr.before.native.pos[0],
    )


def adapters_step(env: Any, key: Any, state: Any, action: Any) -> Any:
    """A step of foragax with an end of its own, which gymnax 1.0 calls by another name than foragax does."""
    env.is_terminated = env.is_terminal
    return env.step_env(key, state, action, env.default_params)[:3]


def of_pgx() -> Case:
    env = pgx.make("2048")

    def seen(state: Any) -> Any:
        return state.observation, state

    def step(key: Any, state: Any, action: Any) -> Any:
        after = env.step(state, action, key)
        return after.observation, after, after.rewards[0]

    return Case(env, "init-step", lambda key: seen(env.init(key)), step, lambda tr: tr.action == 0)


CASES = {"foragax": of_foragax, "pgx": of_pgx}


@pytest.mark.parametrize("name", CASES)
def test_steps_are_the_environment_s_own(name: str) -> None:
    case = CASES[name]()
    assert adapters.family(case.env) == case.family
    env = rs.adapt(case.env, max_steps=LIMIT)
    step, own_step = jax.jit(env.step), jax.jit(CASES[name]().step)
    _, state = env.reset(jax.random.key(3), None)
    _, native = case.reset(jax.random.split(jax.random.key(3))[1])
    for t in range(LIMIT):
        key, action = jax.random.key(t), jnp.int32(t % env.num_actions)
        after = step(key, state, action, None)
        obs, native, reward = own_step(key, native, action)
        np.testing.assert_allclose(after.obs, adapters.flat(obs), atol=1e-6)
        assert float(after.reward) == pytest.approx(float(reward))
        for a, b in zip(jax.tree.leaves(after.state.native), jax.tree.leaves(native), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
        assert bool(after.truncated) == (t == LIMIT - 1)
        state = after.state
    assert env.image == tuple(np.shape(obs))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_scenario_runs_end_to_end_and_twice_the_same(name: str, small: dict) -> None:
    case = CASES[name]()

    def build() -> rs.Scenario:
        """A predicate on the state of an environment that never resets is a misbehaviour."""
        return rs.Scenario(
            env=rs.adapt(case.env, max_steps=LIMIT),
            training_levels=None,
            deployment_levels=None,
            misbehaviour=case.odd,
            success=lambda tr: tr.reward > 0,
            agent=rs.A2C(),
            overseer=rs.Overseer(penalty=1.0),
        )

    build.__name__ = f"endless_{name}"
    factory = rs.scenario(build)
    settings = {**small, "training.steps": 4, "deployment.budget": 8, "evaluation.episodes": 32}
    first, again = (rs.run(factory, seeds=2, settings=settings) for _ in range(2))
    assert first.traces["misbehaviour_unwatched"].max() > 0  # pyright: ignore[reportOptionalOperand]
    assert_frame_equal(first.traces, again.traces)


# --- masks of jumanji ---


def test_masks_of_jumanji_are_those_of_its_observations() -> None:
    maze, sudoku = jumanji.make("Maze-v0"), jumanji.make("Sudoku-very-easy-v0")
    for theirs, table in ((maze, None), (maze, [3, 1]), (sudoku, None), (sudoku, [[0, 0, 3], [8, 2, 0], [4, 4, 4]])):
        env = rs.adapt(theirs, max_steps=LIMIT, actions=table)
        assert env.mask is not None
        _, state = env.reset(jax.random.key(0), None)
        _, start = theirs.reset(jax.random.split(jax.random.key(0))[1])
        whole = np.asarray(start.observation.action_mask)
        assert 0 < whole.sum() < whole.size
        wanted = whole.ravel() if table is None else whole[tuple(np.atleast_2d(np.transpose(table)))]
        np.testing.assert_array_equal(env.mask(state), wanted)
        obs, _ = env.reset(jax.random.key(0), None)
        assert obs.shape == (env.observation_size,)
    assert rs.adapt(jumanji.make("RubiksCube-v0"), max_steps=LIMIT).mask is None


# --- what cannot be adapted ---


class Broken(Single):
    def init(self, key: Any) -> Any:
        raise TypeError("no\nway")


class Silent(Single):
    def step(self, state: Any, action: Any) -> Any:
        return state.observation


class Idle:
    """Nothing says what can be done."""

    def init(self, key: Any) -> Tree:
        return ()

    def step(self, state: Any, action: Any) -> Tree:
        return ()


def test_whatever_their_code_raises_becomes_one_line() -> None:
    with complains("adapt", "Unfinished", "NotImplementedError"):
        rs.adapt(Unfinished(), max_steps=LIMIT)
    with complains("adapt", "Broken", "TypeError", "no"):
        rs.adapt(Broken(), max_steps=LIMIT)
    with pytest.raises(rs.UserError, match=re.escape("TypeError")) as caught:
        rs.adapt(Broken(), max_steps=LIMIT)
    assert isinstance(caught.value.__cause__, TypeError)
    with complains("adapt", "Silent", "observation", "obs"):
        rs.adapt(Silent(), max_steps=LIMIT)
    with complains("adapt", "Idle", "num_actions", "action_space"):
        rs.adapt(Idle(), max_steps=LIMIT)
    with complains("adapt", "Single", "params", 3):
        rs.adapt(Single(), 3, max_steps=LIMIT)
    with complains("adapt", "TicTacToe", "reward", (2,)):
        rs.adapt(pgx.make("tic_tac_toe"), max_steps=LIMIT)
    with complains("adapt", "Walk", "featurize", "KeyError"):
        rs.adapt(Walk(), max_steps=LIMIT, featurize=lambda obs: {}["missing"])
    with complains("adapt", "Walk", "AttributeError"):
        rs.adapt(Walk(), max_steps=LIMIT, featurize=lambda obs: (obs, obs))
    with complains("adapt", "Walk", "ValueError"):
        rs.adapt(Walk(), max_steps=LIMIT, actions=[0, [1, 1]])


def test_a_grid_that_has_no_picture_gets_one() -> None:
    """Catch: a board of 10 by 5 cells."""
    env = rs.adapt(*gymnax.make("Catch-bsuite"), max_steps=9)
    assert env.image == (10, 5, 1)
    obs, state = env.reset(jax.random.key(0), None)
    assert env.render is not None
    picture = env.render(state, False)
    side = SIDE // 10
    assert picture.shape == (10 * side, 5 * side, 3)
    lit = picture[side // 2 :: side, side // 2 :: side].sum(-1) > 3 * 128
    assert np.array_equal(lit, np.asarray(obs).reshape(10, 5) > 0)


@pytest.mark.parametrize("channels", [1, 2, 3, 9])
def test_pictures_of_channels(channels: int) -> None:
    flags = np.zeros((3, 4, channels))
    for k in range(channels):
        flags[k // 4, k % 4, k] = 1.0
    picture = of_image(flags)[:: SIDE // 4, :: SIDE // 4]
    told = {tuple(picture[k // 4, k % 4]) for k in range(channels)}
    assert len(told) == min(channels, 7)  # a colour each, until they come again
    assert tuple(picture[2, 3]) not in told  # where nothing is
    colour = np.full((2, 2, 3), 0.25)
    colour[0, 0] = (1.0, 0.5, 0.0)
    assert of_image(colour)[0, 0].tolist() == [255, 128, 0]
    assert of_image(colour * 255)[0, 0].tolist() == [255, 128, 0]
    assert np.isfinite(of_image(np.full((2, 2, 1), np.nan))).all()


def test_an_environment_of_a_line_of_numbers_gets_none() -> None:
    assert rs.adapt(*gymnax.make("CartPole-v1"), max_steps=9).render is None
