"""Functions of a single run, lifted over many and compiled: the one place where that happens.

Everything here is compiled once for a scenario, a structure of settings and a number of runs. How many runs share a
call changes no run's result.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.sim import exact
from robustsim.sim.deploy import Lane, RunState, deploy_step, running, start
from robustsim.sim.evaluate import Counts, blank_counts, evaluate
from robustsim.sim.world import make_world, where
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings
from robustsim.types import Array, Tree

FOREVER = 2**31 - 1
EMPTY = -1  # the limit of a lane without a run


class Run(NamedTuple):
    """One run: a configuration and a seed."""

    settings: Settings
    seed: int


def precision(name: str) -> AbstractContextManager[Any]:
    """The context in which a scenario's numbers have the precision it asks for."""
    return jax.enable_x64(True) if name == "float64" else nullcontext()


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


def lanes(tables: Sequence[Mapping[str, Any]]) -> Lane:
    """One lane per table of a lane's fields, on the host."""
    columns: dict[str, Any] = {
        name: np.stack([np.asarray(t[name], _kind(t[name])) for t in tables]) for name in tables[0]
    }
    return Lane(**columns)


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
    """Untrained agents, from uint32[N, 2]."""

    def one(settings: Settings, key: Array) -> Tree:
        return make_world(factory, settings).learner.init(jax.random.wrap_key_data(key))

    return over_runs(one, settings, keys)


@partial(jax.jit, static_argnames="factory")
def hand_over(factory: ScenarioFactory, settings: Settings, agents: Tree) -> Tree:
    """Agents as they enter deployment."""
    return over_runs(lambda s, a: make_world(factory, s).learner.hand_over(a), settings, agents)


@partial(jax.jit, static_argnames="factory")
def begin_phase(factory: ScenarioFactory, settings: Settings, lanes: Lane, agents: Tree) -> RunState:
    """Run states before the first step of a phase."""
    return over_runs(lambda s, lane, a: start(make_world(factory, s), lane, a), settings, lanes, agents)


@jax.jit
def refill(fresh: Array, new: RunState, old: RunState) -> RunState:
    """`new` states in the slots where bool[N] `fresh` is true, `old` ones elsewhere."""
    return where(fresh, new, old)


@partial(jax.jit, static_argnames="factory")
def advance(
    factory: ScenarioFactory, settings: Settings, lanes: Lane, states: RunState, idle: Array
) -> tuple[RunState, Array]:
    """Moves each run towards its lane's limit; returns the states, and bool[N] which runs have stopped for good.

    Args:
      idle: int32[], where runs go side by side, the call ends once those that have arrived have waited for this many
        steps in all. Runs that go in turn do not wait.
    """

    def step(settings: Settings, lane: Lane, state: RunState, go: Array) -> RunState:
        return where(go, deploy_step(make_world(factory, settings), lane, state), state)

    def going(settings: Settings, lane: Lane, state: RunState) -> Array:
        return running(make_world(factory, settings), lane, state)

    def together() -> RunState:
        def moving(states: RunState) -> Array:
            return jax.vmap(going)(settings, lanes, states)

        def more(carry: tuple[RunState, Array, Array]) -> Array:
            _, go, waited = carry
            return jnp.any(go) & (waited <= idle)

        def body(carry: tuple[RunState, Array, Array]) -> tuple[RunState, Array, Array]:
            states, go, waited = carry
            states = jax.vmap(step)(settings, lanes, states, go)
            go = moving(states)
            return states, go, waited + jnp.sum(~go & (lanes.limit != EMPTY), dtype=jnp.int32)

        return jax.lax.while_loop(more, body, (states, moving(states), jnp.int32(0)))[0]

    def alone(settings: Settings, lane: Lane, state: RunState) -> RunState:
        world = make_world(factory, settings)
        return jax.lax.while_loop(
            lambda state: running(world, lane, state), lambda state: deploy_step(world, lane, state), state
        )

    def finish(settings: Settings, lane: Lane, state: RunState) -> tuple[RunState, Array]:
        if state.exact is not None:
            known = exact.look(make_world(factory, settings), state.agent.params, state.exact, state.step)
            state = replace(state, exact=known)
        return state, ~going(settings, replace(lane, limit=jnp.int32(FOREVER)), state)

    states = together() if side_by_side(settings) else over_runs(alone, settings, lanes, states)
    return over_runs(finish, settings, lanes, states)


@partial(jax.jit, static_argnames=("factory", "episodes"))
def look(
    factory: ScenarioFactory,
    settings: Settings,
    keys: Array,
    steps: Array,
    params: Tree,
    training: Array,
    wanted: Array,
    episodes: int,
) -> Counts:
    """Evaluations the runs that are wanted, bool[N]; training: bool[N], on training levels.

    The key of an evaluation is that of the run, folded with its step and the number of episodes.
    """

    def one(settings: Settings, key: Array, step: Array, params: Tree, training: Array, wanted: Array) -> Counts:
        folded = jax.random.fold_in(jax.random.fold_in(jax.random.wrap_key_data(key), step), episodes)
        blank = blank_counts()
        return jax.lax.cond(
            wanted,
            lambda: jax.tree.map(
                lambda x, b: x.astype(b.dtype),
                evaluate(make_world(factory, settings), folded, params, training, episodes),
                blank,
            ),
            lambda: blank,
        )

    # An evaluation has episodes enough to keep a CPU busy, whatever the agent; and only a run in turn can be left out.
    lift = in_turn if jax.default_backend() == "cpu" else jax.vmap
    return lift(one)(settings, keys, steps, params, training, wanted)
