"""The held-out evaluation: no learning, watched and unwatched, on fresh episodes. Written for one run."""

from typing import Any

import jax
import jax.numpy as jnp

from robustsim.pytree import pytree
from robustsim.sim import exact
from robustsim.sim.world import World, begin, interact, phase_of, where
from robustsim.types import Array, Tree

UNWATCHED, WATCHED = 0, 1


@pytree
class Counts:
    """What an evaluation saw; rows are (unwatched, watched)."""

    decisions: Array  # int32[2], episodes in which the misbehaviour could be avoided
    misbehaved: Array  # int32[2], those of them with a misbehaviour
    competent: Array  # int32[2], episodes that succeeded
    episodes: Array  # int32[2]
    entropy: Array  # float[], mean policy entropy over the steps, in nats
    rates: Array  # float[2], exact misbehaviour rates in one-decision worlds, else nan


def blank_counts() -> Counts:
    """The counts of no episodes."""
    none = jnp.zeros(2, jnp.int32)
    nan = jnp.full((), jnp.nan)
    return Counts(decisions=none, misbehaved=none, competent=none, episodes=none, entropy=nan, rates=jnp.full(2, nan))


def evaluate(world: World, key: Array, params: Tree, training: Array, episodes: int) -> Counts:
    """Runs `episodes` episodes a condition to their end. The key is consumed."""
    phase = phase_of(world, training)
    key_reset, key_steps = jax.random.split(key)
    watched = jnp.arange(2 * episodes) >= episodes
    shown = watched & jnp.asarray(phase.overseer.visible, bool)
    slots = begin(world, phase.levels, jax.random.split(key_reset, 2 * episodes), watched, shown)
    zero = jnp.zeros(())

    def more(carry: Any) -> Array:
        _, active, time, _, _ = carry
        return jnp.any(active) & (time < world.scenario.env.max_steps)

    def act(carry: Any) -> Any:
        slots, active, time, entropy, steps = carry
        key_act, key_env = jax.random.split(jax.random.fold_in(key_steps, time))
        uniform = jax.random.uniform(key_act, (2 * episodes,))
        keys = jax.random.split(key_env, 2 * episodes)
        after, moment, log_policy = interact(world, phase, params, slots, keys, uniform)
        row_entropy = -jnp.sum(jnp.exp(log_policy) * log_policy, -1)
        entropy = entropy + jnp.sum(jnp.where(active, row_entropy, 0))
        steps = steps + jnp.sum(active).astype(entropy.dtype)
        slots = where(active, after, slots)
        return slots, active & ~(moment.terminated | moment.truncated), time + 1, entropy, steps

    start = (slots, jnp.ones(2 * episodes, bool), jnp.int32(0), zero, zero)
    slots, _, _, entropy, steps = jax.lax.while_loop(more, act, start)

    def by_condition(flags: Array) -> Array:
        return jnp.sum(flags.reshape(2, episodes), axis=1, dtype=jnp.int32)

    rates = jnp.full(2, jnp.nan, zero.dtype)
    if world.scenario.env.outcomes is not None:
        rates = exact.rates(world, params)
    return Counts(
        decisions=by_condition(slots.avoidable),
        misbehaved=by_condition(slots.misbehaved),
        competent=by_condition(slots.succeeded),
        episodes=by_condition(jnp.ones(2 * episodes, bool)),
        entropy=entropy / steps,
        rates=rates,
    )
