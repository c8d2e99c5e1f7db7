"""The part of `check` for environments from elsewhere: a step as a program, and what happens in random play."""

import math
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from robustsim.agents.learner import Act
from robustsim.agents.masking import only, split
from robustsim.errors import UserError, first_line
from robustsim.records import Measure
from robustsim.sim import episodes as episodes_of
from robustsim.sim.batched import as_arrays, key_of
from robustsim.sim.episodes import Episodes, Moment
from robustsim.sim.world import make_world, starts
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings, env_values
from robustsim.types import Array, Tree

EPISODES = 64
STEPS = 256  # at most, of each episode
LARGE = 20.0  # observations beyond this slow learning down


class Report(NamedTuple):
    """What `robustsim check` has to say."""

    problems: list[str]
    notes: list[str]
    facts: dict[str, Any]


def audit(factory: ScenarioFactory, settings: Settings) -> Report:
    """Looks at the traced program of one step for what it should not do, then plays at random.

    Raises:
      UserError: a function fails where many episodes run side by side.
    """
    problems, notes = _programs(factory, settings)
    scenario = factory(**env_values(settings))
    steps = min(STEPS, scenario.env.max_steps)
    args = (as_arrays(settings), np.asarray(key_of(factory.name, "audit", 0)))
    begun = time.perf_counter()
    try:
        program = play.lower(factory, *args, EPISODES, steps).compile()
    except Exception as error:  # whatever a user's function raises becomes one line
        raise UserError(
            f"scenario {factory.name!r}: fails where episodes run side by side (jax.vmap): {first_line(error)}"
        ) from error
    compiled = time.perf_counter()
    jax.block_until_ready(program(*args))
    warm = time.perf_counter()
    played = jax.device_get(program(*args))
    done = time.perf_counter()
    facts = {
        "random play: seconds to compile": f"{compiled - begun:.1f}",
        "random play: microseconds per step": f"{(done - warm) / (EPISODES * steps) * 1e6:.1f}",
        "random play: episodes that the world ends": f"{played['ended'] / EPISODES:.3f}",
        "random play: mean length of an episode": f"{played['length']:.1f}" + (" or more" if _open(played) else ""),
    }
    for name, count in played["events"].items():
        facts[f"random play: steps with {name}"] = f"{int(count)}"
        if not count and name in ("event", "tampers"):  # `check` itself judges the other two
            notes.append(f"{name}: never holds in {EPISODES} random episodes; is it out of reach?")
    if not jax.device_get(_observes(factory, args[0])):
        problems.append("env.step: its observation is not the one that env.observe makes of its state")
    problems += _endings(played, steps, scenario.env.max_steps)
    if not played["finite"]:
        problems.append("env: a reward or an observation is infinite or not a number in random play")
    elif played["largest"] > LARGE:
        notes.append(
            f"env: observations reach {played['largest']:.0f}; networks learn better from about 1: use featurize"
        )
    return Report(problems, notes, facts)


def _open(played: dict[str, Any]) -> bool:
    return bool(played["ended"] + played["cut"] < EPISODES)


def _endings(played: dict[str, Any], steps: int, max_steps: int) -> list[str]:
    problems = []
    if steps == max_steps and _open(played):
        problems.append(f"env.step: an episode goes on after max_steps={max_steps}; set truncated there")
    if played["both"]:
        problems.append("env.step: terminated and truncated are both set in one step; truncated is for time alone")
    return problems


@partial(jax.jit, static_argnames=("factory", "episodes", "steps"))
def play(factory: ScenarioFactory, settings: Settings, key: Array, episodes: int, steps: int) -> dict[str, Any]:
    """Random episodes in deployment, of up to `steps` steps each; the key is uint32[2].

    Returns how many episodes the world `ended` and how many only the time `cut`, the steps with `both` flags, int32[];
    the mean `length`, the `largest` absolute observation, float[]; whether all numbers were `finite`, bool[]; and of
    each predicate the steps in which it held, `events`, int32[].
    """
    world = make_world(factory, settings)
    key_reset, key_steps = jax.random.split(jax.random.wrap_key_data(key))
    nobody = jnp.zeros(episodes, bool)
    start = episodes_of.begin(world, starts(world, key_reset, (episodes,)), nobody, nobody)
    env = world.scenario.env
    log_policy = jnp.full((episodes, env.num_actions), -math.log(env.num_actions))
    names = [n for n in ("misbehaviour", "success", "event", "tampers") if getattr(world.scenario, n) is not None]

    def at_random(memory: Tree, obs: Any) -> Act:
        if env.mask is None:
            return Act(log_policy, memory)
        return Act(jax.nn.log_softmax(only(log_policy, split(obs, env.num_actions)[1])), memory)

    def draw(time: Array) -> tuple[Array, Array]:
        key_act, key_env = jax.random.split(jax.random.fold_in(key_steps, time))
        return jax.random.split(key_env, episodes), jax.random.uniform(key_act, (episodes,))

    def fold(seen: dict[str, Any], after: Episodes, moment: Moment, act: Act, active: Array) -> tuple[Tree, None]:
        del act

        def count(flags: Array) -> Array:
            return jnp.sum(flags & active, dtype=jnp.int32)

        sizes = jnp.where(active[:, None], jnp.abs(jax.vmap(world.scenario.env.observe)(after.state)), 0)
        finite = jnp.all(jnp.isfinite(sizes)) & jnp.all(jnp.isfinite(moment.reward) | ~active)
        return {
            "ended": seen["ended"] + count(moment.terminated),
            "cut": seen["cut"] + count(moment.truncated & ~moment.terminated),
            "both": seen["both"] + count(moment.truncated & moment.terminated),
            "length": seen["length"] + jnp.mean(active),
            "largest": jnp.maximum(seen["largest"], jnp.max(sizes, initial=0.0)),
            "finite": seen["finite"] & finite,
            "events": {name: seen["events"][name] + count(moment.recorded[name]) for name in names},
        }, None

    obs, none = jax.vmap(world.scenario.env.observe)(start.state), jnp.zeros((), jnp.int32)
    nothing = {
        **dict.fromkeys(("ended", "cut", "both"), none),
        "length": jnp.zeros(()),
        "largest": jnp.max(jnp.abs(obs), initial=0.0).astype(float),
        "finite": jnp.all(jnp.isfinite(obs)),
        "events": dict.fromkeys(names, none),
    }
    events = [Measure(name=name, of=getattr(world.scenario, name)) for name in names]
    script = episodes_of.Script(at_random, draw, fold, records=events)
    return episodes_of.play(world, script, start, nothing, steps).carry


@partial(jax.jit, static_argnames="factory")
def _observes(factory: ScenarioFactory, settings: Settings) -> Array:
    """bool[], whether `step` and `observe` agree about one step of some episodes, for every action."""
    scenario = factory(**env_values(settings))
    env, levels = scenario.env, scenario.deployment_levels

    def agree(key: Array, action: Array) -> Array:
        key_reset, key_step = jax.random.split(key)
        step = env.step(key_step, env.reset(key_reset, levels)[1], action, levels)
        return jnp.all(step.obs == env.observe(step.state))

    keys = jax.random.split(jax.random.key(0), EPISODES)
    return jnp.all(jax.vmap(agree)(keys, jnp.arange(EPISODES, dtype=jnp.int32) % env.num_actions))


# --- the program of a step, as JAX traced it ---


def _programs(factory: ScenarioFactory, settings: Settings) -> tuple[list[str], list[str]]:
    def step() -> Any:
        scenario = factory(**env_values(settings))
        env, key = scenario.env, jax.random.key(0)
        _, state = env.reset(key, scenario.deployment_levels)
        return env.step(key, state, jnp.int32(0), scenario.deployment_levels)

    # A new function each time, for JAX remembers what it has traced.
    first, again = (jax.make_jaxpr(lambda: step())() for _ in range(2))
    operations = list(_walk(first.jaxpr))
    called = {name for name, _ in operations if "callback" in name or name == "debug_print"}
    problems = [f"env: it calls back to the host ({n}), which is slow and may differ" for n in sorted(called - DEBUG)]
    notes = [f"env: it prints or calls back for debugging ({n}), which is slow" for n in sorted(called & DEBUG)]
    if operations != list(_walk(again.jaxpr)) or not _same_numbers(first.consts, again.consts):
        problems.append(
            "env: traced twice it gave two programs; it may draw random numbers from NumPy, or remember earlier calls"
        )
    return problems, notes


DEBUG = frozenset({"debug_callback", "debug_print"})


def _walk(jaxpr: Any) -> Iterator[tuple[str, str]]:
    """Every operation of a program and of the programs in it, with the numbers that are written into it."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name, str([x.val for x in equation.invars if isinstance(x, Literal)])
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program):
            if _is_program(inner):
                yield from _walk(getattr(inner, "jaxpr", inner))


def _is_program(x: Any) -> bool:
    return isinstance(x, Jaxpr | ClosedJaxpr)


def _same_numbers(a: Any, b: Any) -> bool:
    def plain(x: Any) -> Any:
        return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x

    return len(a) == len(b) and all(
        np.array_equal(np.asarray(plain(x)), np.asarray(plain(y))) for x, y in zip(a, b, strict=True)
    )
