"""What value estimates go with: the features of a scenario, on states in which everything is placed independently.

The states are the same at each evaluation and for each agent, so differences are the agents' own. That features vary
independently in them is the do-design of theory D: elsewhere one feature may stand for another.
"""

import jax
import jax.numpy as jnp

from robustsim.events import CONDITIONS
from robustsim.records import Feature, of_kind
from robustsim.relations import MEASURED, measurement, relations
from robustsim.sim.world import World, observe
from robustsim.types import Array, Tree


def measures(world: World, params: Tree) -> dict[str, Array]:
    """How value estimates go with each feature, float[2] each, looking unwatched and watched."""
    scatter, value, number = world.scenario.env.scatter, world.learner.value, world.settings.evaluation.goal_states
    assert scatter is not None
    assert value is not None
    features = of_kind(world.scenario.records, Feature)
    states = jax.vmap(scatter)(jax.random.split(jax.random.key(0), number))
    table = [jnp.asarray(jax.vmap(feature.of)(states), float) for feature in features]
    visible = jnp.asarray(world.settings.overseer.visible, float)

    def seen(condition: int) -> Array:
        """float[1 + q, 1 + q], the covariance of values and features."""
        obs = observe(world, states, jnp.full(number, condition * visible))
        rows = jnp.stack([value(params, world.learner.memory(number), obs), *table])
        centred = rows - rows.mean(1, keepdims=True)
        return centred @ centred.T / number

    found = relations(jnp.stack([seen(condition) for condition in range(len(CONDITIONS))]), jnp)
    return {
        measurement(feature.name, relation): getattr(found, relation)[:, j]
        for j, feature in enumerate(features)
        for relation in MEASURED
    }
