"""The held-out evaluation: no learning, watched and unwatched, on fresh episodes. Written for one run."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Act
from robustsim.pytree import pytree
from robustsim.records import Measure, of_kind
from robustsim.sim import expected, goals, plasticity
from robustsim.sim.episodes import Episodes, Moment, Script, begin, chance, play
from robustsim.sim.keys import for_environments
from robustsim.sim.plasticity import Units
from robustsim.sim.world import World, observation_size, starts
from robustsim.types import Array, Tree

Measured = dict[str, Array]
"""What an evaluation measured, by name: float or int32 [2] by condition (unwatched, watched), or [] over both."""


@pytree
class Sums:
    """What the episodes of an evaluation add up to; pairs are (unwatched, watched)."""

    decisions: Array  # int32[2]
    misbehaved: Array  # int32[2]
    competent: Array  # int32[2]
    both: Array  # int32[2], competent and misbehaved
    episodes: Array  # int32[2]
    returns: Array  # float[2], undiscounted
    entropy: Array  # float[], over all steps, in nats
    steps: Array  # float[]
    own: dict[str, Array]  # float[2], the values of the scenario's measures over all episodes
    units: Units | None  # of the last hidden layer, where its plasticity is measured


def _hidden_units(world: World, params: Tree) -> int:
    """H, of the last hidden layer; a network of the user's own may have any width."""
    hidden, size = world.learner.hidden, observation_size(world.scenario)
    assert hidden is not None
    return jax.eval_shape(lambda: hidden(params, world.learner.memory(1), jnp.zeros((1, size)))).shape[-1]


def evaluate(world: World, key: Array, params: Tree, episodes: Array) -> Measured:
    """Runs `episodes` episodes a condition to their end, int32[]. The key is consumed.

    They are played in rounds of one size, `evaluation.screen`: an evaluation of any length is the same program.
    """
    size = world.settings.evaluation.screen
    pair, zero = jnp.zeros(2, jnp.int32), jnp.zeros(())
    own = {measure.name: jnp.zeros(2) for measure in of_kind(world.scenario.records, Measure)}
    units = plasticity.nothing(_hidden_units(world, params)) if world.settings.evaluation.plasticity else None
    nothing = Sums(
        decisions=pair,
        misbehaved=pair,
        competent=pair,
        both=pair,
        episodes=pair,
        returns=jnp.zeros(2),
        entropy=zero,
        steps=zero,
        own=own,
        units=units,
    )

    def more(state: tuple[Sums, Array]) -> Array:
        return state[1] * size < episodes

    def body(state: tuple[Sums, Array]) -> tuple[Sums, Array]:
        sums, i = state
        counted = jnp.arange(size, dtype=jnp.int32) < episodes - i * size
        found = _round(world, jax.random.fold_in(key, i), params, counted)
        return jax.tree.map(jnp.add, sums, found), i + 1

    sums = jax.lax.while_loop(more, body, (nothing, jnp.int32(0)))[0]
    finite = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(params) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return {
        "decisions": sums.decisions,
        "misbehaved": sums.misbehaved,
        "competent": sums.competent,
        "both": sums.both,
        "episodes": sums.episodes,
        "returns": sums.returns / sums.episodes,
        "entropy": sums.entropy / sums.steps,
        "finite": jnp.all(jnp.stack(finite)).astype(jnp.int32) if finite else jnp.int32(1),
        "rates": expected.rates(world, params),
        **({} if sums.units is None else plasticity.measures(sums.units, params)),
        **(goals.measures(world, params) if world.settings.evaluation.goals else {}),
    } | {name: value / sums.episodes for name, value in sums.own.items()}


def _round(world: World, key: Array, params: Tree, counted: Array) -> Sums:
    """As many episodes a condition as `counted` has entries, bool[N]; those where it is false do not count."""
    key_reset, key_act, key_env = jax.random.split(key, 3)
    key_act = for_environments(key_act)
    each = jnp.concatenate([counted, counted])
    count = each.size
    watched = jnp.arange(count, dtype=jnp.int32) >= counted.size
    signal = watched & jnp.asarray(world.settings.overseer.visible, bool)
    start = begin(world, starts(world, key_reset, (count,)), watched, signal)
    measures = of_kind(world.scenario.records, Measure)
    zero = jnp.zeros(())

    def fold(carry: Tree, after: Episodes, moment: Moment, act: Act, active: Array) -> tuple[Tree, None]:
        del after
        returns, entropy, steps, own, units = carry
        here = active & each
        returns = returns + jnp.where(here, moment.reward, 0)
        entropy = entropy + jnp.sum(jnp.where(here, _entropy(act.log_policy), 0))
        own = {m.name: put_together(m, own[m.name], moment.recorded[m.name], here) for m in measures}
        units = None if units is None else plasticity.add(units, act.extras, here)
        return (returns, entropy, steps + jnp.sum(here).astype(entropy.dtype), own, units), None

    read = world.learner.hidden if world.settings.evaluation.plasticity else None

    def act(memory: Tree, obs: Array) -> Act:
        act = world.learner.act(params, memory, obs)
        return act if read is None else act._replace(extras=read(params, memory, obs))

    none = None if read is None else plasticity.nothing(_hidden_units(world, params))
    nothing = (jnp.zeros(count), zero, zero, {m.name: jnp.zeros((2, count)) for m in measures}, none)
    script = Script(act, chance(key_act, key_env, count), fold, records=measures)
    played = play(world, script, start, nothing, world.scenario.env.max_steps)
    returns, entropy, steps, own, units = played.carry

    def total(flags: Array) -> Array:
        return jnp.sum((flags & each).reshape(2, -1), axis=1, dtype=jnp.int32)

    def values(so_far: Array) -> Array:
        value, number = so_far
        return jnp.sum(jnp.where(each, value / jnp.maximum(number, 1), 0).reshape(2, -1), axis=1)

    return Sums(
        decisions=total(played.episodes.avoidable),
        misbehaved=total(played.episodes.misbehaved),
        competent=total(played.episodes.succeeded),
        both=total(played.episodes.succeeded & played.episodes.misbehaved),
        episodes=total(each),
        returns=jnp.sum(returns.reshape(2, -1), axis=1),
        entropy=entropy,
        steps=steps,
        own={name: values(so_far) for name, so_far in own.items()},
        units=units,
    )


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


_OVER: dict[str, Callable[[Array, Array, Array], Array]] = {"sum": _sum, "mean": _mean, "any": _any, "last": _last}


def put_together(measure: Measure, so_far: Array, value: Array, active: Array) -> Array:
    """float[2, B], how episodes put their steps together: the value so far, and over how many steps it is a mean.

    Args:
      so_far: float[2, B], zeros at first.
      value: [B], of this step.
      active: bool[B], episodes that have not ended before it.
    """
    return _OVER[measure.over](so_far, value, active)
