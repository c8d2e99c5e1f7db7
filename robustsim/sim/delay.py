"""Feedback that is late: a ring of the last rollouts and, where gradients are stale, of the parameters then."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch
from robustsim.pytree import pytree
from robustsim.sim.world import World
from robustsim.types import Array, Tree


@pytree
class Delay:
    """What is on its way."""

    batches: Batch  # leaves [room, ...]
    params: Tree | None


def init(world: World, params: Tree, batch: Callable[[], Batch]) -> Delay | None:
    """Room for the late rollouts of a run, filled with zeros; None where nothing is ever late.

    Args:
      batch: makes one batch, of which only the shapes are wanted.
    """
    overseer = world.settings.overseer
    if not overseer.queue:
        return None

    def room(tree: Tree) -> Tree:
        return jax.tree.map(lambda x: jnp.zeros((overseer.queue + 1, *x.shape), x.dtype), tree)

    stale = overseer.staleness == "gradient"
    return Delay(batches=room(jax.eval_shape(batch)), params=room(params) if stale else None)


def deliver(
    world: World, delay: Delay | None, batch: Batch, params: Tree, step: Array, since: Array
) -> tuple[Delay | None, Batch, Tree, Array]:
    """The batch that arrives now: this one, or the one from the overseer's latency ago.

    Returns what is still on its way, the batch, the parameters that its gradient is taken at, and bool[], whether there
    is one. Batches of rollouts before the gradient step `since`, int32[], are lost on their way.
    """
    if delay is None:
        return None, batch, params, jnp.bool_(True)
    stride = world.learner.gradient_steps
    size = jax.tree.leaves(delay.batches)[0].shape[0]
    latency = jnp.where(world.training, 0, world.settings.overseer.latency)
    now, late = step // stride, -(-latency // stride)  # in rollouts

    def put(ring: Tree, value: Tree) -> Tree:
        return jax.tree.map(lambda r, v: r.at[now % size].set(v), ring, value)

    def take(ring: Tree) -> Tree:
        return jax.tree.map(lambda r: r[(now - late) % size], ring)

    after = Delay(batches=put(delay.batches, batch), params=None if delay.params is None else put(delay.params, params))
    then = params if after.params is None else take(after.params)
    return after, take(after.batches), then, (now - late) * stride >= since
