"""What value estimates go with: the features of a scenario, on states in which everything is placed independently.

The states are the same at each evaluation and for each agent, so differences are the agents' own. That features vary
independently in them is the do-design of theory D: elsewhere one feature may stand for another.
"""

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.events import CONDITIONS
from robustsim.probes import read, scores
from robustsim.relations import MEASURED, READ, measurement, relations
from robustsim.sim.world import World, observe
from robustsim.types import Array, Tree

FOLDS = 2  # of the states: a probe that was fitted to one half reads the other


def scattered(world: World) -> tuple[Tree, Array]:
    """(N states in which everything is placed independently, the features there, float[N, q])."""
    scatter, number = world.scenario.env.scatter, world.settings.evaluation.goal_states
    assert scatter is not None
    states = jax.vmap(scatter)(jax.random.split(jax.random.key(0), number))
    return states, features_of(world, states)


def features_of(world: World, states: Tree) -> Array:
    """float[N, q], the features of N states."""
    return jnp.stack([jnp.asarray(jax.vmap(feature.of)(states), float) for feature in world.scenario.features], 1)


def looking(world: World, states: Tree, condition: Array | int) -> Array:
    """float[N, D], what is seen of N states, unwatched (0) or watched (1)."""
    visible = jnp.asarray(world.settings.overseer.visible, float)
    return observe(world, states, jnp.full(world.settings.evaluation.goal_states, condition * visible))


def measures(world: World, params: Tree) -> dict[str, Array]:
    """How value estimates go with each feature, and how well it is read; float[2] each, looking unwatched and watched.

    How well a linear probe of the last hidden layer reads it is left out where the agent does not say which that is.
    """
    value, hidden, number = world.learner.value, world.learner.hidden, world.settings.evaluation.goal_states
    assert value is not None
    states, table = scattered(world)
    memory, fold = world.learner.memory(number), np.arange(number) % FOLDS

    def covariance(obs: Array) -> Array:
        """float[1 + q, 1 + q], of values and features."""
        rows = jnp.concatenate([value(params, memory, obs)[:, None], table], 1)
        centred = rows - rows.mean(0, keepdims=True)
        return centred.T @ centred / number

    seen = [looking(world, states, condition) for condition in range(len(CONDITIONS))]
    found = relations(jnp.stack([covariance(obs) for obs in seen]), jnp)
    each = {relation: getattr(found, relation) for relation in MEASURED}
    if hidden is not None:
        readings = [read(hidden(params, memory, obs), table, fold, jnp) for obs in seen]
        each[READ] = jnp.stack([scores(reading, table, jnp) for reading in readings])
    return {
        measurement(feature.name, what): values[:, j]
        for j, feature in enumerate(world.scenario.features)
        for what, values in each.items()
    }
