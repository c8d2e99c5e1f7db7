"""What the hidden layers of an agent are on states in which everything is placed independently, and a new network's."""

from functools import partial

import jax

from robustsim.errors import UserError
from robustsim.sim.goals import looking, scattered
from robustsim.sim.world import World, make_world
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings
from robustsim.types import Array, Tree


@partial(jax.jit, static_argnames="factory")
def activations(
    factory: ScenarioFactory, settings: Settings, params: Tree, condition: Array
) -> tuple[tuple[Array, ...], Array]:
    """(the hidden layers float[N, H] from the first to the last, the features float[N, q]) on N states.

    Args:
      condition: how they look, unwatched (0) or watched (1).

    Raises:
      UserError: the agent does not say which its hidden layer is.
    """
    world = make_world(factory, settings)
    states, table = scattered(world)
    return _layers(world, params, looking(world, states, condition)), table


def _layers(world: World, params: Tree, obs: Array) -> tuple[Array, ...]:
    learner, memory = world.learner, world.learner.memory(len(obs))
    if learner.layers is not None:
        return learner.layers(params, memory, obs)
    if learner.hidden is None:
        raise UserError("agent.network: this agent does not say which its hidden layer is; use 'mlp', 'gru' or 'cnn'")
    return (learner.hidden(params, memory, obs),)


@partial(jax.jit, static_argnames="factory")
def untrained(factory: ScenarioFactory, settings: Settings, key: Array) -> Tree:
    """The parameters of a new agent; the key is uint32[2]."""
    return make_world(factory, settings).learner.init(jax.random.wrap_key_data(key)).params
