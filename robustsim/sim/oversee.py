"""The overseer in one gradient step: what it sees of a rollout becomes the reward that the agent gets.

Beside that reward stands the oracle reward, which is what it would have been had no tampering act any effect.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp

from robustsim.agents.learner import Lesson
from robustsim.oversight.protocol import Feedback, Shift, Sight
from robustsim.sim import repair
from robustsim.sim.believe import Beliefs, beliefs
from robustsim.sim.episodes import Moment, Rollout
from robustsim.sim.world import World
from robustsim.types import Array, Tree


class Overseen(NamedTuple):
    """A rollout with its rewards, as counters read it; arrays are [T, B]."""

    moments: Moment
    feedback: Feedback
    reward: Array  # float, what the agent gets
    oracle: Array  # float, what it would get if no tampering act had any effect
    distortion: Array  # float, how far tampering moves the reward of each step
    lesson: Lesson | None
    unknowing: Array  # int32[], gradient steps in which the overseer was there and waited for a proof
    knows: Array  # bool[], whether it had the proof, or waits for none
    beliefs: Beliefs
    moved: Array  # float[], how far the policy is from that before its last rollouts of training, nats; nan: not kept


def oversee(
    world: World, overseer: Any, state: Tree, shift: Shift, agent: Tree, rollout: Rollout
) -> tuple[Tree, Overseen]:
    """Feedback for one rollout, and what the overseer carries on.

    Args:
      overseer: as it is at this gradient step.
      agent: the one that acted.
    """
    moments, held, knows = rollout.moments, repair.before(world, agent, rollout), overseer.knows(state)
    true = _sight(world, overseer, agent.params, rollout)
    if overseer.feedback == "clone" and held is not None:
        true = dataclasses.replace(true, demonstrated=repair.clones(shift.key, held))
    sight, gain = _tampered(world, shift.active, true, moments)
    after, feedback = overseer.respond(state, shift, sight)
    due, distortion = feedback.due, jnp.zeros_like(moments.reward)
    if gain is not None:
        due = overseer.respond(state, shift, true)[1].due
        distortion = jnp.abs(gain + feedback.due - due)
    reward = moments.reward + feedback.arrives + feedback.opinion
    return after, Overseen(
        moments=moments,
        feedback=feedback,
        reward=reward if gain is None else reward + gain,
        oracle=moments.reward + due + feedback.opinion,
        distortion=distortion,
        lesson=_lesson(world, feedback, true),
        unknowing=jnp.where(shift.present & ~knows, world.learner.gradient_steps, 0),
        knows=knows,
        beliefs=beliefs(agent),
        moved=repair.moved(world, agent, rollout, held),
    )


def _sight(world: World, overseer: Any, params: Tree, rollout: Rollout) -> Sight:
    """What there is to see. A monitor, where the scenario has one, stands between the overseer and the truth."""
    moments, hidden = rollout.moments, None
    if overseer.reads_plans and world.learner.hidden is not None:
        hidden = world.learner.hidden(params, rollout.memory, moments.obs)
    seen = moments if moments.flagged is None else _through_monitor(moments)
    return Sight(
        misbehaved=seen.misbehaved,
        clean=seen.clean,
        dirty=seen.dirty,
        watched=moments.watched,
        signal=moments.signal,
        ended=moments.ended,
        obs=moments.obs,
        action=moments.action,
        demonstrated=moments.demonstrated,
        hidden=hidden,
        reward=moments.reward,
    )


def _through_monitor(moments: Moment) -> Moment:
    assert moments.flagged is not None
    assert moments.suspect is not None
    return dataclasses.replace(
        moments,
        misbehaved=moments.flagged,
        clean=moments.ended & ~moments.suspect,
        dirty=moments.ended & moments.suspect,
    )


def _tampered(world: World, active: Array, true: Sight, moments: Moment) -> tuple[Sight, Array | None]:
    """What the overseer sees after tampering, and the reward float[T, B] that tampering adds (None: no tampering)."""
    tampering = world.settings.tampering
    if moments.tampers is None or moments.tampered is None:
        return true, None
    none = jnp.zeros_like(moments.reward)
    if tampering.kind == "reward":
        return true, jnp.where(moments.tampers, tampering.gain, 0.0)
    if tampering.kind == "overseer":
        return dataclasses.replace(true, watched=true.watched & ~moments.tampered), none
    approved = true.misbehaved & true.watched & moments.tampered & active
    blind = dataclasses.replace(
        true, misbehaved=true.misbehaved & ~moments.tampered, dirty=true.dirty & ~moments.tampered
    )
    return blind, jnp.where(approved, tampering.gain, 0.0)


def _lesson(world: World, feedback: Feedback, sight: Sight) -> Lesson | None:
    """The acts to imitate: in training all of them, in deployment those that the overseer demonstrates."""
    if sight.demonstrated is None:
        return None
    taught = float(world.settings.training.signal == "demonstration")
    corrected = jnp.zeros(sight.action.shape) if feedback.lesson is None else feedback.lesson.weight
    return Lesson(action=sight.demonstrated, weight=jnp.where(world.training, taught, corrected))
