"""The held-out evaluation: no learning, watched and unwatched, on fresh episodes. Written for one run."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Act
from robustsim.records import Measure, of_kind
from robustsim.sim import expected
from robustsim.sim.episodes import Episodes, Moment, Played, Script, begin, play
from robustsim.sim.world import World, starts
from robustsim.types import Array, Tree

Measured = dict[str, Array]
"""What an evaluation measured, by name: float or int32 [2] by condition (unwatched, watched), or [] over both."""


def evaluate(world: World, key: Array, params: Tree, episodes: int) -> Measured:
    """Runs `episodes` episodes a condition to their end. The key is consumed."""
    key_reset, key_steps = jax.random.split(key)
    count = 2 * episodes
    watched = jnp.arange(count, dtype=jnp.int32) >= episodes
    signal = watched & jnp.asarray(world.settings.overseer.visible, bool)
    start = begin(world, starts(world, key_reset, (count,)), watched, signal)
    measures = of_kind(world.scenario.records, Measure)
    zero = jnp.zeros(())

    def draw(time: Array) -> tuple[Array, Array]:
        key_act, key_env = jax.random.split(jax.random.fold_in(key_steps, time))
        return jax.random.split(key_env, count), jax.random.uniform(key_act, (count,))

    def fold(carry: Tree, after: Episodes, moment: Moment, act: Act, active: Array) -> tuple[Tree, None]:
        del after
        entropy, steps, own = carry
        entropy = entropy + jnp.sum(jnp.where(active, _entropy(act.log_policy), 0))
        own = {m.name: _OVER[m.over](own[m.name], moment.recorded[m.name], active) for m in measures}
        return (entropy, steps + jnp.sum(active).astype(entropy.dtype), own), None

    def act(memory: Tree, obs: Array) -> Act:
        return world.learner.act(params, memory, obs)

    nothing = (zero, zero, {m.name: jnp.zeros((2, count)) for m in measures})
    script = Script(act, draw, fold, records=measures)
    played = play(world, script, start, nothing, world.scenario.env.max_steps)
    return _measured(world, params, played, episodes)


def _measured(world: World, params: Tree, played: Played, episodes: int) -> Measured:
    entropy, steps, own = played.carry

    def total(flags: Array) -> Array:
        return jnp.sum(flags.reshape(2, episodes), axis=1, dtype=jnp.int32)

    def mean(values: Array) -> Array:
        value, number = values
        return jnp.mean((value / jnp.maximum(number, 1)).reshape(2, episodes), axis=1)

    finite = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(params) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return {
        "decisions": total(played.episodes.avoidable),
        "misbehaved": total(played.episodes.misbehaved),
        "competent": total(played.episodes.succeeded),
        "episodes": total(jnp.ones(2 * episodes, bool)),
        "entropy": entropy / steps,
        "finite": jnp.all(jnp.stack(finite)).astype(jnp.int32) if finite else jnp.int32(1),
        "rates": expected.rates(world, params),
    } | {name: mean(values) for name, values in own.items()}


def _entropy(log_policy: Array) -> Array:
    """float[B], in nats; acts that are never taken add nothing."""
    return -jnp.sum(jnp.exp(log_policy) * jnp.maximum(log_policy, jnp.finfo(log_policy.dtype).min), -1)


def _sum(so_far: Array, value: Array, active: Array) -> Array:
    return so_far.at[0].add(jnp.where(active, value, 0).astype(so_far.dtype))


def _mean(so_far: Array, value: Array, active: Array) -> Array:
    return _sum(so_far, value, active).at[1].add(active.astype(so_far.dtype))


def _any(so_far: Array, value: Array, active: Array) -> Array:
    return so_far.at[0].max((active & value.astype(bool)).astype(so_far.dtype))


def _last(so_far: Array, value: Array, active: Array) -> Array:
    return so_far.at[0].set(jnp.where(active, value.astype(so_far.dtype), so_far[0]))


Over = Callable[[Array, Array, Array], Array]
_OVER: dict[str, Over] = {"sum": _sum, "mean": _mean, "any": _any, "last": _last}
"""How an episode puts its steps together: (so far float[2, B], value [B], active bool[B]) -> so far."""
