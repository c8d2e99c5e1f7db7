"""Repairs in one gradient step: what is kept of a training, and what an agent learns from in place of its rollout."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch, log_policies
from robustsim.oversight.protocol import EPISODE, Feedback, Shift
from robustsim.oversight.repairs import REPLAYS, weights
from robustsim.sim.episodes import Rollout, sample
from robustsim.sim.world import World, where
from robustsim.treatments.past import past_of, plain, with_past
from robustsim.types import Array, Tree

CLONE, REPLAY = 1, 2  # folded into the key that an overseer has for whatever else needs chance


def remember(world: World, agent: Tree, step: Array, batch: Batch, task: Array) -> Tree:
    """The agent in training, with this rollout kept if it is one of those that may have to be undone.

    Args:
      agent: before it learns from the batch.
      task: float[T, B], the batch's rewards without the feedback of training.
    """
    past = past_of(agent)
    if past is None:
        return agent
    training, stride = world.settings.training, world.learner.gradient_steps
    since = step - training.penalty_from
    goes_on = world.training & (since >= 0) & (step < training.penalty_until)
    begun = dataclasses.replace(past, params=where(goes_on & (since < stride), agent.params, past.params))
    longer = begun.with_rollout(dataclasses.replace(batch, reward=task), batch.reward - task)
    return with_past(agent, where(goes_on, longer, past))


def instead(world: World, overseer: Any, agent: Tree, shift: Shift, feedback: Feedback, batch: Batch) -> Batch:
    """What the agent learns from in deployment: its rollout, or what a repair makes of it.

    Args:
      overseer: as it is at this gradient step.
    """
    past = past_of(agent)
    if feedback.dropped is not None and not world.learner.expected:  # the expected batch knows what is dropped
        return dataclasses.replace(batch, weight=weights(feedback.dropped))
    if overseer.feedback not in REPLAYS or past is None:
        return batch
    strength = -overseer.penalty if overseer.feedback == "reversal" else 0.0
    recorded = past.rollout(jax.random.fold_in(shift.key, REPLAY), strength)
    envs = batch.action.shape[1]
    chosen = jnp.ones(envs, bool) if world.learner.expected else shift.uniforms[0, :, EPISODE] < overseer.coverage
    return _columns(shift.active & chosen, recorded, plain(batch))


def before(world: World, agent: Tree, rollout: Rollout) -> Array | None:
    """float[T, B, A], the log-policy along a rollout that the agent had before its last rollouts of training."""
    past = past_of(agent)
    return None if past is None else _along(world, past.params, rollout)


def moved(world: World, agent: Tree, rollout: Rollout, held: Array | None) -> Array:
    """float[], KL(policy before || policy) along a rollout that the agent has not learned from, nats."""
    if held is None:
        return jnp.asarray(jnp.nan)
    now = _along(world, agent.params, rollout)
    each = jnp.where(jnp.isfinite(held), jnp.exp(held) * (held - now), 0.0)
    return jnp.mean(jnp.sum(each, -1))


def clones(key: Array, held: Array) -> Array:
    """int32[T, B], acts of the policy before, drawn from its log-probabilities. The key is consumed."""
    return sample(held, jax.random.uniform(jax.random.fold_in(key, CLONE), held.shape[:-1]))


def _along(world: World, params: Tree, rollout: Rollout) -> Array:
    moments = rollout.moments
    return log_policies(world.learner, params, rollout.memory, moments.obs, moments.ended)


def _columns(mask: Array, new: Batch, old: Batch) -> Batch:
    """The environments of one batch where bool[B] `mask` is true, and those of another elsewhere."""

    def first(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(-1, *[1] * (b.ndim - 1)), a.astype(b.dtype), b)

    def second(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(1, -1, *[1] * (b.ndim - 2)), a.astype(b.dtype), b)

    def rest(batch: Batch) -> Batch:
        return dataclasses.replace(batch, last_obs=None, memory=())  # pyright: ignore[reportArgumentType]

    mixed = jax.tree.map(second, rest(new), rest(old))
    memory = jax.tree.map(first, new.memory, old.memory)
    return dataclasses.replace(mixed, last_obs=first(new.last_obs, old.last_obs), memory=memory)
