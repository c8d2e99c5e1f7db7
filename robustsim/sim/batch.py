"""A rollout as a learner takes it."""

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch, Lesson
from robustsim.sim.episodes import Episodes, Rollout
from robustsim.sim.world import World, observe
from robustsim.types import Array


def as_batch(world: World, episodes: Episodes, rollout: Rollout, reward: Array, lesson: Lesson | None = None) -> Batch:
    """The batch of a rollout.

    Args:
      episodes: after the rollout.
      reward: float[T, B], what the agent gets.
    """
    moments = rollout.moments
    return Batch(
        obs=moments.obs,
        action=moments.action,
        reward=reward,
        signal=moments.signal.astype(jnp.int32),
        terminated=moments.terminated,
        truncated=moments.truncated,
        last_obs=observe(world, episodes.state, episodes.signal),
        final_obs=jax.vmap(lambda x: observe(world, x.state, x.signal))(rollout.final),
        final_slot=rollout.final_slot,
        memory=rollout.memory,
        extras=moments.extras,
        lesson=lesson,
    )
