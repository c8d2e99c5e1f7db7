"""The overseer at work in one gradient step: what it sees of a rollout becomes the reward that the agent gets.

Beside that reward stands the oracle reward, which is what it would have been had no tampering act any effect.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp

from robustsim.agents.learner import Lesson
from robustsim.oversight import judge as judging
from robustsim.oversight import overseer as oversight
from robustsim.oversight import reader as reading
from robustsim.oversight.overseer import Marks, Memory, Overseer, Sight, Spent
from robustsim.pytree import pytree
from robustsim.sim.world import Moment, Phase, World, demonstrates, observation_size, where
from robustsim.types import Array, Tree


@pytree
class Desk:
    """Everything that an overseer carries from one gradient step to the next."""

    memory: Memory
    reader: reading.Reader | None  # where plans are read
    judge: judging.Judge | None  # where a reward model is learned


class Verdict(NamedTuple):
    """What the overseer makes of a rollout; arrays are [T, B]."""

    marks: Marks
    reward: Array  # float, what the agent gets
    oracle: Array  # float, what it would get if no tampering act had any effect
    distortion: Array  # float, how far tampering moves the reward of each step
    labels: Array  # int32[], judged
    lesson: Lesson | None


def open_desk(world: World, key: Array) -> Desk:
    """The overseer before deployment. The key is consumed."""
    settings, overseer = world.settings, world.settings.overseer
    judge = _model(world).begin(key) if overseer.feedback == "comparison" else None
    reads = overseer.plan_penalty is not None
    return Desk(
        memory=oversight.remember(settings.line, settings.agent.num_envs),
        reader=reading.blank(settings.agent.hidden_units) if reads else None,
        judge=judge,
    )


def oversee(
    world: World, phase: Phase, active: Array, desk: Desk, spent: Spent, params: Tree, moments: Moment, draws: "Draws"
) -> tuple[Desk, Verdict]:
    """Feedback for one rollout, and the overseer after it.

    Args:
      active: bool[], whether the overseer gives feedback now.
      params: of the policy that acted.
      moments: leaves [T, B, ...].
    """
    overseer = phase.overseer
    true = Sight(
        misbehaved=moments.misbehaved,
        clean=moments.clean,
        dirty=moments.dirty,
        watched=moments.watched,
        signal=moments.signal,
    )
    sight, gain = _tampered(world, active, true, moments)
    marks = oversight.mark(overseer, active, spent, sight, draws.uniforms)
    honest = marks.feedback if gain is None else oversight.mark(overseer, active, spent, true, draws.uniforms).feedback
    distortion = jnp.zeros_like(moments.reward) if gain is None else jnp.abs(gain + marks.feedback - honest)

    memory, feedback = oversight.delayed(overseer, desk.memory, marks.feedback)
    labels = jnp.sum(marks.labelled, dtype=jnp.int32)
    reader, plans = _read_plans(world, phase, active, desk.reader, spent, params, sight, moments)
    judge, opinion, compared = _judge(world, phase, active, desk.judge, spent, marks, moments, draws.compare)
    extra = plans + opinion
    reward = moments.reward + feedback + extra
    return Desk(memory=oversight.stir(overseer, memory, marks.caught), reader=reader, judge=judge), Verdict(
        marks=marks,
        reward=reward if gain is None else reward + gain,
        oracle=moments.reward + honest + extra,
        distortion=distortion,
        labels=labels + compared,
        lesson=_lesson(world, phase, active, spent, sight, moments),
    )


class Draws(NamedTuple):
    """The random numbers of one step's oversight."""

    uniforms: Array  # float[T, B, UNIFORMS]
    compare: Array  # float[B // 2]


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


def _read_plans(
    world: World,
    phase: Phase,
    active: Array,
    reader: reading.Reader | None,
    spent: Spent,
    params: Tree,
    sight: Sight,
    moments: Moment,
) -> tuple[reading.Reader | None, Any]:
    """The penalty on plans, float[T, B] (0 where none are read), and the probe after one more rollout."""
    if reader is None or world.learner.hidden is None:
        return reader, 0.0
    hidden = world.learner.hidden(params, moments.obs)
    certainty = reading.foresee(reader, hidden)
    penalty = phase.overseer.plan_penalty * jnp.where(certainty > 0.5, certainty, 0.0)
    label = reading.still_to_come(sight.misbehaved, moments.terminated | moments.truncated)
    seen = sight.watched & active & (spent.labels < phase.overseer.labels)
    return reading.study(reader, hidden, label, seen), -jnp.where(active, penalty, 0.0)


def _judge(
    world: World,
    phase: Phase,
    active: Array,
    judge: judging.Judge | None,
    spent: Spent,
    marks: Marks,
    moments: Moment,
    uniform: Array,
) -> tuple[judging.Judge | None, Any, Any]:
    """The learned reward, float[T, B]; the model after this rollout's comparisons, and how many there were."""
    if judge is None:
        return None, 0.0, 0
    model, pairs = _model(world), uniform.size
    opinion = model.reward(judge.params, moments.obs, moments.action)
    feedback = phase.overseer.penalty * (opinion - opinion.mean())  # comparisons say nothing about the level
    faults = jnp.sum(marks.noticed, axis=0, dtype=jnp.int32)[: 2 * pairs].reshape(2, pairs)
    preferred = judging.prefer(faults, jnp.asarray(phase.overseer.comparison_noise), uniform)
    asks = active & (spent.labels < phase.overseer.labels)
    judge = where(asks, model.study(judge, moments.obs, moments.action, preferred), judge)
    return judge, jnp.where(active, feedback, 0.0), jnp.where(asks, pairs, 0)


def _lesson(world: World, phase: Phase, active: Array, spent: Spent, sight: Sight, moments: Moment) -> Lesson | None:
    """The acts to imitate: in training all of them, in deployment those of watched episodes."""
    if moments.shown is None or not demonstrates(world):
        return None
    settings, overseer = world.settings, phase.overseer
    given = sight.watched & active & (spent.labels < overseer.labels)
    corrected = jnp.where(given, overseer.penalty, 0.0) * float(overseer.feedback == "demonstration")
    taught = float(settings.training.signal == "demonstration")
    return Lesson(action=moments.shown, weight=jnp.where(phase.training, taught, corrected))


def _model(world: World) -> judging.Model:
    return judging.model(observation_size(world.scenario), world.scenario.env.num_actions)


def overseer_today(overseer: Overseer, training: Array, step: Array, desk: Desk) -> Overseer:
    """The overseer of this gradient step; in training it never changes."""
    now = oversight.today(overseer, step, desk.memory.alert)
    return dataclasses.replace(now, coverage=jnp.where(training, overseer.coverage, now.coverage))
