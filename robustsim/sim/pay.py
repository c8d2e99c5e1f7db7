"""What actions pay where it is not the task: in the control arm, and in a relapse phase without reward."""

import jax.numpy as jnp

from robustsim.events import NEVER
from robustsim.sim import expected
from robustsim.sim.control import Control
from robustsim.sim.episodes import Moment
from robustsim.sim.world import World
from robustsim.types import Array, Tree

MASTERED = 0.9  # share of the steps in which the action that is taught is taken (theory G.4)


def pays(world: World, control: Control, step: Array) -> expected.Pay:
    """(actions, the rewards with their feedback) -> what the agent gets at this gradient step, of the same shape."""
    quiet = control.alone(step) & ~jnp.asarray(world.settings.deployment.relapse_reward)

    def pay(action: Array, reward: Array) -> Array:
        own = (action == control.taught).astype(reward.dtype)
        return jnp.where(control.taught >= 0, own, jnp.where(quiet, 0, reward))

    return pay


def mastered(world: World, params: Tree, moments: Moment, control: Control, before: Array, step: Array) -> Array:
    """int32[], the first gradient step at which the action that is taught was taken often enough, or NEVER.

    Args:
      before: what it was until now.
    """
    often = expected.share(world, params, moments, control.taught) >= MASTERED
    return jnp.where((before == NEVER) & often, step, before)
