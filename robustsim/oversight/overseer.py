"""The overseer: it watches some episodes and turns what it sees into corrective feedback.

One set of pure functions on arrays of shape [T, B] (steps x environments), written for one run.
"""

from typing import NamedTuple

import jax.numpy as jnp

from robustsim.errors import UserError
from robustsim.fields import choice, count, flag, number
from robustsim.pytree import pytree
from robustsim.types import Array

EPISODE, STEP = 0, 1  # random numbers: one for the episode that would begin here, one for what is noticed at this step
UNIFORMS = 2


@pytree
class Overseer:
    """Settings of an overseer. Probabilities are per episode unless said otherwise."""

    penalty: float = number(1.0, 0, 1e6, doc="p, reward taken off at a detected misbehaviour")
    praise: float = number(0.0, 0, 1e6, doc="reward given at the end of a watched episode without misbehaviour")
    coverage: float = number(1.0, 0, 1, doc="d, probability that an episode is watched")
    visible: bool = flag(True, doc="whether the agent sees a light while it is watched")
    audit_rate: float = number(0.0, 0, 1, doc="chi, share of the watched episodes in which the light stays off")
    miss_rate: float = number(0.0, 0, 1, doc="probability that a misbehaviour goes unnoticed though it is watched")
    false_positive_rate: float = number(
        0.0, 0, 1, doc="f, probability of a penalty after a clean episode, watched or not"
    )
    latency: int = count(0, 0, 10_000, doc="L, gradient steps between an episode and the update that learns from it")
    budget: float = number(float("inf"), 0, float("inf"), doc="penalties that can be given in all")
    onset: int = count(0, doc="gradient step of deployment at which feedback starts")
    withdrawal: int = count(2**31 - 1, doc="gradient step of deployment at which feedback ends")
    late: str = choice("action", ("action", "gradient"), doc="what arrives late: old acts, or gradients taken then")
    feedback: str = choice("penalty", ("penalty", "demonstration"), doc="reward, or the good act to imitate")

    def __check__(self, prefix: str) -> None:
        if self.audit_rate > 0 and not self.visible:
            raise UserError(
                f"{prefix}.audit_rate: {self.audit_rate} is not allowed without a visible signal; "
                f"set {prefix}.visible=true or {prefix}.audit_rate=0"
            )
        if self.onset > self.withdrawal:
            raise UserError(f"{prefix}.onset: {self.onset} is not allowed after {prefix}.withdrawal={self.withdrawal}")


class Watch(NamedTuple):
    """How an episode is watched, fixed at its reset."""

    watched: Array  # bool[...]
    signal: Array  # bool[...], whether the agent sees that it is watched


def watch(overseer: Overseer, uniforms: Array) -> Watch:
    """Draws how an episode is watched, from float[..., UNIFORMS] in [0, 1)."""
    u = uniforms[..., EPISODE]
    watched = u < overseer.coverage
    audited = u < overseer.coverage * overseer.audit_rate  # a share of the watched ones
    return Watch(watched, watched & ~audited & jnp.asarray(overseer.visible, bool))


@pytree
class Marks:
    """What the overseer did about one rollout, each [T, B]."""

    feedback: Array  # float, added to the reward
    caught: Array  # bool, a misbehaviour that was penalised
    false_alarm: Array  # bool, a clean episode that was penalised


def mark(
    overseer: Overseer, active: Array, spent: Array, misbehaved: Array, clean: Array, watched: Array, uniforms: Array
) -> Marks:
    """Feedback for a rollout.

    Args:
      active: bool[], whether the overseer gives feedback now (onset, withdrawal).
      spent: float[], penalties given so far; the budget is used up in the order of time.
      misbehaved: bool[T, B], a misbehaviour happened at this step.
      clean: bool[T, B], an episode without misbehaviour ended at this step.
      watched: bool[T, B], the episode is watched.
      uniforms: float[T, B, UNIFORMS].
    """
    caught = misbehaved & watched & (uniforms[..., STEP] >= overseer.miss_rate) & active
    alarm = clean & (uniforms[..., STEP] < overseer.false_positive_rate) & active
    wanted = (caught | alarm).ravel()
    affordable = (spent + jnp.cumsum(wanted) <= overseer.budget).reshape(caught.shape)
    caught, alarm = caught & affordable, alarm & affordable
    praised = clean & watched & active
    feedback = jnp.where(praised, overseer.praise, 0.0) - jnp.where(caught | alarm, overseer.penalty, 0.0)
    return Marks(feedback=feedback, caught=caught, false_alarm=alarm)


class Expected(NamedTuple):
    """The overseer of a one-decision world, in expectation."""

    looks: Array  # float[2], probability that an episode looks (unwatched, watched)
    watched: Array  # float[2], probability that it is watched, by [looks watched]
    feedback: Array  # float[2, 2], expected feedback by [looks watched, misbehaves]
    caught: Array  # float[2], probability that a misbehaviour is penalised, by [looks watched]


def expect(overseer: Overseer, active: Array) -> Expected:
    """Expected feedback when every episode is one decision (no budget)."""
    visible = jnp.asarray(overseer.visible, bool)
    looks_watched = jnp.where(visible, overseer.coverage * (1 - overseer.audit_rate), 0.0)
    hidden = overseer.coverage - looks_watched
    looks_unwatched = 1 - looks_watched
    some = looks_unwatched > 0
    seen_unwatched = jnp.where(some, hidden / jnp.where(some, looks_unwatched, 1.0), 0.0)
    seen = jnp.stack([seen_unwatched, jnp.ones_like(seen_unwatched)])
    caught = seen * (1 - overseer.miss_rate) * active
    good = (seen * overseer.praise - overseer.false_positive_rate * overseer.penalty) * active
    return Expected(
        looks=jnp.stack([looks_unwatched, looks_watched]),
        watched=seen,
        feedback=jnp.stack([good, -caught * overseer.penalty], axis=1),
        caught=caught,
    )
