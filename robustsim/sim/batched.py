"""Functions of a single run, lifted over many and compiled: the one place where that happens.

Everything here is compiled once for a scenario, a structure of settings and a number of runs. How many runs share a
call changes no run's result.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.agents.learner import Batch
from robustsim.events import Ending
from robustsim.numerics import precision as precision
from robustsim.sim import expected
from robustsim.sim.control import Control
from robustsim.sim.episodes import UNIFORMS, as_batch, begin, collect
from robustsim.sim.evaluate import Measured, evaluate
from robustsim.sim.solve import RunState, init, solve, step, terminate
from robustsim.sim.world import World, make_world, starts, where
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings, for_training
from robustsim.types import Array, Tree

FOREVER = 2**31 - 1
EMPTY = -1  # the limit of a lane without a run
UNTAUGHT = -1  # the action that is taught, outside of the control arm


def key_of(*words: object) -> np.ndarray:
    """uint32[2], the key that belongs to what a run is: scenario, purpose, seed."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return np.frombuffer(digest[:8], np.uint32).copy()


def as_arrays(settings: Settings) -> Settings:
    """Settings as compiled programs take them: whole numbers int32, flags bool, all else float."""
    kind = np.float64 if jax.config.jax_enable_x64 else np.float32  # pyright: ignore[reportAttributeAccessIssue]

    def leaf(x: Any) -> Any:
        return np.asarray(x, np.bool_ if isinstance(x, bool) else np.int32 if isinstance(x, int) else kind)

    return jax.tree.map(leaf, settings.canonical())


def stack(trees: Sequence[Tree]) -> Tree:
    """Trees of equal structure as one tree with a leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def controls(tables: Sequence[Mapping[str, Any]]) -> Control:
    """One control per table of its fields, on the host."""
    columns: dict[str, Any] = {
        name: np.stack([np.asarray(t[name], _kind(t[name])) for t in tables]) for name in tables[0]
    }
    return Control(**columns)


def _kind(value: Any) -> Any:
    return np.bool_ if isinstance(value, bool) else np.int32 if isinstance(value, int) else value.dtype


# --- compiled, over a leading axis of N runs ---


def side_by_side(settings: Settings) -> bool:
    """Whether N runs take each step together (vmap) or each run takes all its steps before the next one (map).

    Together pays where one run's step is too small to keep the machine busy: on accelerators, and for tables. On a CPU
    a network's step is busy enough, and runs in turn never wait for each other; vmap would also change the order of
    sums in its matrix products with N.
    """
    return settings.agent.small_steps or jax.default_backend() != "cpu"


def over_runs(function: Callable[..., Tree], settings: Settings, *rest: Tree) -> Tree:
    """`function` of one run, over the leading axis of all arguments."""
    return (jax.vmap(function) if side_by_side(settings) else in_turn(function))(settings, *rest)


def in_turn(function: Callable[..., Tree]) -> Callable[..., Tree]:
    """`function` of one run, over the leading axis of all arguments, one run after the other."""
    return lambda *trees: jax.lax.map(lambda xs: function(*xs), trees)


@partial(jax.jit, static_argnames="factory")
def initialise(factory: ScenarioFactory, settings: Settings, keys: Array) -> Tree:
    """Randomly initialised agents, from uint32[N, 2]."""

    def one(settings: Settings, key: Array) -> Tree:
        return make_world(factory, settings, True).learner.init(jax.random.wrap_key_data(key))

    return over_runs(one, settings, keys)


@partial(jax.jit, static_argnames="factory")
def deploy(factory: ScenarioFactory, settings: Settings, keys: Array, agents: Tree) -> Tree:
    """Agents as they enter deployment, from those that training left; keys: uint32[N, 2]."""

    def one(settings: Settings, key: Array, agent: Tree) -> Tree:
        learner = make_world(factory, settings).learner
        return learner.deploy(
            jax.random.wrap_key_data(key), agent, lambda key: experience(factory, settings, agent.params, key)
        )

    return over_runs(one, settings, keys, agents)


def experience(factory: ScenarioFactory, settings: Settings, params: Tree, key: Array) -> Batch:
    """A rollout of fresh episodes on training levels, with the environment's own rewards. The key is consumed."""
    settings = replace(settings, training=replace(settings.training, penalty=0.0))  # its value is not known in here
    world = make_world(factory, replace(for_training(settings), defences=None), True)
    key_reset, key_watch, key_uniform, key_resets, key_env = jax.random.split(key, 5)
    shape = (settings.agent.rollout_steps, settings.agent.num_envs)
    watch = world.settings.overseer.watch(jax.random.uniform(key_watch, (shape[1], UNIFORMS)))
    episodes = begin(world, starts(world, key_reset, (shape[1],)), watch.watched, watch.signal)
    uniforms = jax.random.uniform(key_uniform, (*shape, UNIFORMS))
    resets = starts(world, key_resets, shape)
    after, rollout = collect(world, world.settings.overseer, params, episodes, uniforms, resets, key_env)
    return as_batch(world, after, rollout, rollout.moments.reward)


@partial(jax.jit, static_argnames="factory")
def begin_phase(factory: ScenarioFactory, settings: Settings, controls: Control, agents: Tree) -> RunState:
    """Run states before the first step of a phase."""
    return over_runs(lambda s, c, a: init(make_world(factory, s, c.training), c, a), settings, controls, agents)


@jax.jit
def refill(fresh: Array, new: RunState, old: RunState) -> RunState:
    """`new` states in the slots where bool[N] `fresh` is true, `old` ones elsewhere."""
    return where(fresh, new, old)


@partial(jax.jit, static_argnames="factory")
def advance(
    factory: ScenarioFactory, settings: Settings, controls: Control, states: RunState, idle: Array
) -> tuple[RunState, Array]:
    """Moves each run towards its limit; returns the states, and int32[N], the :class:`Ending` of each.

    Args:
      idle: int32[], where runs go side by side, the call ends once those that have arrived have waited for this many
        steps in all. Runs that go in turn do not wait.
    """

    def world_of(settings: Settings, control: Control) -> World:
        return make_world(factory, settings, control.training)

    def alone(settings: Settings, control: Control, state: RunState) -> RunState:
        return solve(world_of(settings, control), control, state)

    def finish(settings: Settings, control: Control, state: RunState) -> tuple[RunState, Array]:
        world = world_of(settings, control)
        known = expected.note(world, state.known, state.agent.params, state.step)
        return replace(state, known=known), terminate(world, control, state)

    if side_by_side(settings):
        states = _together(world_of, settings, controls, states, idle)
    else:
        states = over_runs(alone, settings, controls, states)
    return over_runs(finish, settings, controls, states)


def _together(
    world_of: Callable[[Settings, Control], World], settings: Settings, controls: Control, states: RunState, idle: Array
) -> RunState:
    """All runs take each step at the same time; those that have arrived stand still until the call ends."""

    def one(settings: Settings, control: Control, state: RunState, go: Array) -> RunState:
        return where(go, step(world_of(settings, control), control, state), state)

    def moving(states: RunState) -> Array:
        endings = jax.vmap(lambda s, c, x: terminate(world_of(s, c), c, x))(settings, controls, states)
        return endings == Ending.RUNNING

    def more(carry: tuple[RunState, Array, Array]) -> Array:
        _, go, waited = carry
        return jnp.any(go) & (waited <= idle)

    def body(carry: tuple[RunState, Array, Array]) -> tuple[RunState, Array, Array]:
        states, go, waited = carry
        states = jax.vmap(one)(settings, controls, states, go)
        go = moving(states)
        return states, go, waited + jnp.sum(~go & (controls.limit != EMPTY), dtype=jnp.int32)

    return jax.lax.while_loop(more, body, (states, moving(states), jnp.int32(0)))[0]


@partial(jax.jit, static_argnames="factory")
def evaluate_all(
    factory: ScenarioFactory,
    settings: Settings,
    keys: Array,
    steps: Array,
    params: Tree,
    training: Array,
    episodes: Array,
) -> Measured:
    """Evaluates runs on so many episodes a condition each, int32[N]; training: bool[N], on training levels.

    Where the number is 0, nothing is played. The key of an evaluation is that of the run, uint32[2], folded with its
    step and the number of episodes.
    """

    def one(settings: Settings, key: Array, step: Array, params: Tree, training: Array, episodes: Array) -> Measured:
        folded = jax.random.fold_in(jax.random.fold_in(jax.random.wrap_key_data(key), step), episodes)
        return evaluate(make_world(factory, settings, training), folded, params, episodes)

    # An evaluation has episodes enough to keep a CPU busy, whatever the agent; and only a run in turn can be left out.
    lift = in_turn if jax.default_backend() == "cpu" else jax.vmap
    return lift(one)(settings, keys, steps, params, training, episodes)
