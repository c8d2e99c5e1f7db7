"""The overseer in one gradient step: what it sees of a rollout becomes the reward that the agent gets.

Beside that reward stands the oracle reward, which is what it would have been had no tampering act any effect.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp

from robustsim.agents.learner import Lesson
from robustsim.oversight.protocol import Feedback, Shift, Sight
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


def oversee(
    world: World, overseer: Any, state: Tree, shift: Shift, params: Tree, rollout: Rollout
) -> tuple[Tree, Overseen]:
    """Feedback for one rollout, and what the overseer carries on.

    Args:
      overseer: as it is at this gradient step.
      params: of the policy that acted.
    """
    moments = rollout.moments
    true = _sight(world, overseer, params, rollout)
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
        lesson=_lesson(world, feedback, moments),
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


def _lesson(world: World, feedback: Feedback, moments: Moment) -> Lesson | None:
    """The acts to imitate: in training all of them, in deployment those that the overseer demonstrates."""
    if moments.demonstrated is None:
        return None
    taught = float(world.settings.training.signal == "demonstration")
    corrected = jnp.zeros_like(moments.reward) if feedback.lesson is None else feedback.lesson.weight
    return Lesson(action=moments.demonstrated, weight=jnp.where(world.training, taught, corrected))
