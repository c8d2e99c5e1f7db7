"""What comes of a state: the agent plays on from it, several times.

Features of outcomes are then expectations over the plays, for a single outcome of a random policy would be a noisy
reading of them, and what is read imperfectly leaks into what goes with it (theory D, the second trap).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Act
from robustsim.records import Measure, of_kind
from robustsim.sim.episodes import Episodes, Moment, Played, Script, begin, chance, play
from robustsim.sim.evaluate import put_together
from robustsim.sim.goals import features_of, looking, scattered
from robustsim.sim.world import World, make_world, starts, where
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings
from robustsim.types import Array, Tree

SUCCESS, MISBEHAVIOUR, STEPS = "success", "misbehaviour", "steps"
Fold = Callable[[Tree, Episodes, Moment, Act, Array], tuple[Tree, Tree]]


class Prospects(NamedTuple):
    """Of N states.

    Attributes:
      features: float[N, q], of the states themselves.
      outcomes: float[plays, N] each, what came of them: success, misbehaviour, steps, and the scenario's measures.
      returns: float[plays, N], discounted, of the reward as the environment gave it.
      value: float[N], what the agent expects; None where it estimates nothing.
    """

    features: Array
    outcomes: dict[str, Array]
    returns: Array
    value: Array | None


@partial(jax.jit, static_argnames=("factory", "plays", "visited"))
def prospects(
    factory: ScenarioFactory, settings: Settings, key: Array, params: Tree, plays: int, visited: bool
) -> Prospects:
    """What an agent expects of states that look unwatched, and what comes of them when it plays on.

    Args:
      key: uint32[2].
      plays: of each state.
      visited: whether the agent came to them itself, in deployment; else everything is placed independently in them.
    """
    world = make_world(factory, settings)
    key_states, key_plays = jax.random.split(jax.random.wrap_key_data(key))
    states = visited_states(world, key_states, params) if visited else scattered(world)[0]
    value, expected = world.learner.value, None
    if value is not None:
        memory = world.learner.memory(world.settings.evaluation.goal_states)
        expected = value(params, memory, looking(world, states, 0))
    keys = jax.random.split(key_plays, plays)
    outcomes, returns = jax.lax.map(lambda key: _played_on(world, key, params, states), keys)
    return Prospects(features_of(world, states), outcomes, returns, expected)


def visited_states(world: World, key: Array, params: Tree) -> Tree:
    """N states of deployment, each drawn from those of one episode before its last action; the key is consumed."""
    key_play, key_draw = jax.random.split(key)
    draws = jax.random.uniform(key_draw, (world.scenario.env.max_steps, world.settings.evaluation.goal_states))

    def fold(carry: Tree, after: Episodes, moment: Moment, act: Act, active: Array) -> tuple[Tree, None]:
        """Of the n states so far each is kept with a probability of 1 / n (Vitter 1985, algorithm R)."""
        del act
        state, step = carry
        keep = active & ~moment.ended & (draws[step] * (step + 2) < 1)
        return (where(keep, after.state, state), step + 1), None

    return _played(world, key_play, params, None, fold, lambda start: (start.state, jnp.int32(0))).carry[0]


def _played_on(world: World, key: Array, params: Tree, states: Tree) -> tuple[dict[str, Array], Array]:
    """(what came of N states, float[N] each, the discounted returns float[N]) in one play; the key is consumed."""
    count, discount = world.settings.evaluation.goal_states, getattr(world.settings.agent, "discount", 1.0)
    measures = of_kind(world.scenario.records, Measure)

    def fold(carry: Tree, after: Episodes, moment: Moment, act: Act, active: Array) -> tuple[Tree, None]:
        del after, act
        weight, returns, steps, own = carry
        returns = returns + jnp.where(active, weight * moment.reward, 0)
        own = {m.name: put_together(m, own[m.name], moment.recorded[m.name], active) for m in measures}
        return (weight * discount, returns, steps + active, own), None

    none = jnp.zeros(count)
    nothing = (jnp.ones(count), none, none, {m.name: jnp.zeros((2, count)) for m in measures})
    played = _played(world, key, params, states, fold, lambda start: nothing)
    _, returns, steps, own = played.carry
    return {name: total / jnp.maximum(number, 1) for name, (total, number) in own.items()} | {
        SUCCESS: played.episodes.succeeded.astype(returns.dtype),
        MISBEHAVIOUR: played.episodes.misbehaved.astype(returns.dtype),
        STEPS: steps,
    }, returns


def _played(
    world: World, key: Array, params: Tree, states: Tree | None, fold: Fold, carry: Callable[[Episodes], Tree]
) -> Played:
    """N episodes that look unwatched, from N states or (None) from their beginning; the key is consumed."""
    key_reset, key_act, key_env = jax.random.split(key, 3)
    count = world.settings.evaluation.goal_states
    nobody = jnp.zeros(count, bool)
    start = begin(world, starts(world, key_reset, (count,)), nobody, nobody)
    if states is not None:
        avoidable = jnp.broadcast_to(jax.vmap(world.scenario.avoidable)(states), (count,))
        start = replace(start, state=states, avoidable=avoidable)

    records = of_kind(world.scenario.records, Measure)
    drawn = chance(key_act, key_env, count)
    script = Script(lambda memory, obs: world.learner.act(params, memory, obs), drawn, fold, records=records)
    return play(world, script, start, carry(start), world.scenario.env.max_steps)
