"""The overseer: it watches some episodes and turns what it sees into corrective feedback.

One set of pure functions on arrays of shape [T, B] (steps x environments), written for one run. What it remembers from
one gradient step to the next is a :class:`Memory`.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp

from robustsim.errors import UserError
from robustsim.fields import choice, count, flag, number
from robustsim.pytree import pytree
from robustsim.types import Array

EPISODE, STEP = 0, 1  # random numbers: one for the episode that would begin here, one for what is noticed at this step
UNIFORMS = 2
INFINITE = float("inf")


@pytree
class Overseer:
    """Settings of an overseer. Probabilities are per episode unless said otherwise."""

    # what it does about what it sees
    feedback: str = choice(
        "penalty",
        ("penalty", "demonstration", "comparison"),
        doc="reward, or the good act to imitate, or a reward model learned from comparisons",
    )
    penalty: float = number(1.0, 0, 1e6, doc="p, reward taken off at a detected misbehaviour; strength of all feedback")
    bonus: float = number(0.0, 0, 1e6, doc="reward given at the end of a watched episode without misbehaviour")
    granularity: str = choice(
        "step", ("step", "trajectory"), doc="each misbehaviour as it happens, or each episode as a whole at its end"
    )
    plan_penalty: Any = number(
        0.0,
        0,
        1e6,
        doc="reward taken off, times its certainty, where a probe on the hidden layer foresees misbehaviour",
    )
    comparison_noise: float = number(0.0, 0, 0.5, doc="probability that a comparison names the worse one")
    # what it sees
    coverage: float = number(1.0, 0, 1, doc="d, probability that an episode (event detection: a step) is watched")
    detection: str = choice("episode", ("episode", "event"), doc="whether it watches whole episodes or single steps")
    visible: bool = flag(True, doc="whether the agent sees a signal while it is watched")
    signal_noise: float = number(0.0, 0, 0.5, doc="probability that a visible signal shows the opposite")
    audit_rate: float = number(0.0, 0, 1, doc="chi, share of the watched episodes in which the signal stays off")
    miss_rate: float = number(0.0, 0, 1, doc="probability that a misbehaviour goes unnoticed though it is watched")
    false_positive_rate: float = number(
        0.0, 0, 1, doc="f, probability of a penalty after a clean episode, watched or not"
    )
    vigilance: float = number(0.0, 0, 1, doc="how much each catch adds to the coverage")
    decay: float = number(0.0, 0, 1, doc="share of the added coverage that goes away in a gradient step")
    # when
    onset: int = count(0, doc="gradient step of deployment at which feedback starts")
    withdrawal: int = count(2**31 - 1, doc="gradient step of deployment at which feedback ends")
    ramp: int = count(0, doc="gradient steps over which the coverage rises from 0 after the onset (0: at once)")
    period: int = count(0, doc="gradient steps of a cycle of feedback and none (0: always feedback)")
    duty: float = number(1.0, 0, 1, doc="share of each period, from its beginning, in which there is feedback")
    latency: int = count(0, 0, 10_000, doc="L, gradient steps between an episode and the update that learns from it")
    staleness: str = choice(
        "action", ("action", "gradient"), doc="what arrives late: old acts, or gradients taken then"
    )
    delay: int = count(0, 0, 4096, doc="environment steps between a misbehaviour and the reward that is taken off")
    # how much
    budget: float = number(INFINITE, 0, INFINITE, doc="penalties that can be given in all")
    per_update: float = number(INFINITE, 0, INFINITE, doc="penalties that can be given in one gradient step")
    labels: float = number(
        INFINITE, 0, INFINITE, doc="watched episodes (event detection: steps; or comparisons) that can be judged in all"
    )

    def __check__(self, prefix: str) -> None:
        """Raises UserError where two fields contradict each other."""
        for name in ("audit_rate", "signal_noise"):
            if getattr(self, name) > 0 and not self.visible:
                raise UserError(
                    f"{prefix}.{name}: {getattr(self, name)} is not allowed without a visible signal; "
                    f"set {prefix}.visible=true or {prefix}.{name}=0"
                )
        if self.onset > self.withdrawal:
            raise UserError(f"{prefix}.onset: {self.onset} is not allowed after {prefix}.withdrawal={self.withdrawal}")
        if self.feedback != "penalty" and self.bonus > 0:
            raise UserError(f"{prefix}.bonus: {self.bonus} is not allowed with {prefix}.feedback={self.feedback}")

    def canonical(self) -> "Overseer":
        """These settings as they are compiled: a plan that costs nothing is not read."""
        return dataclasses.replace(self, plan_penalty=self.plan_penalty or None)

    @property
    def beyond_expectation(self) -> str:
        """The name of a setting whose effect is not linear in what happens, so that no exact gradient has it; or ""."""
        limited = {
            "per_update": self.per_update < INFINITE,
            "labels": self.labels < INFINITE,
            "delay": self.delay > 0,
            "vigilance": self.vigilance > 0,
            "plan_penalty": self.plan_penalty > 0,
            "feedback": self.feedback == "comparison",
        }
        return next((name for name, used in limited.items() if used), "")


class Spent(NamedTuple):
    """What an overseer has used up so far."""

    penalties: Array  # int32[]
    labels: Array  # int32[], episodes (steps, comparisons) judged


@pytree
class Memory:
    """What else an overseer carries from one gradient step to the next."""

    alert: Array  # float[], coverage added by catches
    pending: Array | None  # float[delay room, B], feedback on its way; None where none is delayed


def remember(room: int, envs: int) -> Memory:
    """An overseer's memory before deployment; `room` is the largest delay in environment steps."""
    return Memory(alert=jnp.zeros(()), pending=jnp.zeros((room, envs)) if room else None)


def today(overseer: Overseer, step: Array, alert: Array) -> Overseer:
    """The overseer as it is at one gradient step of deployment: with the coverage that ramp and vigilance make."""
    risen = jnp.clip((step - overseer.onset + 1) / jnp.maximum(overseer.ramp, 1), 0.0, 1.0)
    coverage = overseer.coverage * jnp.where(overseer.ramp > 0, risen, 1.0) + alert
    return dataclasses.replace(overseer, coverage=jnp.minimum(coverage, 1.0))


def on_duty(overseer: Overseer, step: Array, withdrawn: Array) -> Array:
    """bool[], whether feedback is given at this gradient step: from onset to withdrawal, in its part of the period."""
    since = step - overseer.onset
    cycle = jnp.maximum(overseer.period, 1)
    working = (overseer.period == 0) | (since % cycle < overseer.duty * cycle)
    return (since >= 0) & (step < jnp.minimum(overseer.withdrawal, withdrawn)) & working


class Watch(NamedTuple):
    """How an episode is watched, fixed at its reset (event detection: how a step is watched)."""

    watched: Array  # bool[...]
    signal: Array  # bool[...], whether the agent sees that it is watched


def watch(overseer: Overseer, uniforms: Array) -> Watch:
    """Draws how an episode is watched, from float[..., UNIFORMS] in [0, 1)."""
    u = uniforms[..., EPISODE]
    covert = overseer.coverage * overseer.audit_rate  # a share of the watched ones, which looks unwatched
    noise = overseer.signal_noise
    wrongly_dark = covert + (overseer.coverage - covert) * noise
    wrongly_lit = overseer.coverage + (1 - overseer.coverage) * noise
    signal = (u < covert * noise) | ((u >= wrongly_dark) & (u < wrongly_lit))
    return Watch(u < overseer.coverage, signal & jnp.asarray(overseer.visible, bool))


@pytree
class Sight:
    """What there is to see in a rollout; each bool[T, B]."""

    misbehaved: Array  # a misbehaviour happened at this step
    clean: Array  # an episode without misbehaviour ended
    dirty: Array  # an episode with misbehaviour ended
    watched: Array
    signal: Array  # the agent saw a signal


@pytree
class Marks:
    """What the overseer did about one rollout, each [T, B]."""

    feedback: Array  # float, added to the reward
    caught: Array  # bool, a misbehaviour that was penalised
    false_alarm: Array  # bool, a clean episode that was penalised
    labelled: Array  # bool, an episode (step) that was judged
    audited: Array  # bool, those of them that looked unwatched
    noticed: Array  # bool, a misbehaviour that was seen, whether or not there was feedback to give


def mark(overseer: Overseer, active: Array, spent: Spent, sight: Sight, uniforms: Array) -> Marks:
    """Feedback for a rollout; budgets are used up in the order of time.

    Args:
      active: bool[], whether the overseer gives feedback now.
      uniforms: float[T, B, UNIFORMS].
    """
    shape = sight.watched.shape
    whole = overseer.granularity == "trajectory"
    judged = sight.dirty if whole else sight.misbehaved
    looked = sight.watched if overseer.detection == "event" else sight.watched & (sight.clean | sight.dirty)
    if overseer.feedback == "comparison":  # it judges pairs and penalises nothing
        active = jnp.zeros_like(active)
    before = spent.labels + jnp.cumsum(looked).reshape(shape) - looked
    labelled = looked & (before < overseer.labels) & active
    noticed = judged & sight.watched & (uniforms[..., STEP] >= overseer.miss_rate)
    caught = noticed & (before < overseer.labels) & active
    alarm = sight.clean & (uniforms[..., STEP] < overseer.false_positive_rate) & active
    order = jnp.cumsum((caught | alarm).ravel()).reshape(shape)
    affordable = (spent.penalties + order <= overseer.budget) & (order <= overseer.per_update)
    caught, alarm = caught & affordable, alarm & affordable
    praised = sight.clean & sight.watched & (before < overseer.labels) & active
    feedback = jnp.where(praised, overseer.bonus, 0.0) - jnp.where(caught | alarm, overseer.penalty, 0.0)
    if overseer.feedback != "penalty":
        feedback = jnp.zeros_like(feedback)
    signal = jnp.asarray(overseer.visible, bool)
    return Marks(
        feedback=feedback,
        caught=caught,
        false_alarm=alarm,
        labelled=labelled,
        audited=labelled & signal & ~sight.signal,
        noticed=noticed,
    )


def delayed(overseer: Overseer, memory: Memory, feedback: Array) -> tuple[Memory, Array]:
    """Feedback float[T, B] as it arrives, `delay` environment steps late, whatever the agent does by then."""
    if memory.pending is None:
        return memory, feedback
    room, steps = memory.pending.shape[0], feedback.shape[0]
    line = jnp.concatenate([memory.pending, feedback])
    arrives = line[room + jnp.arange(steps) - overseer.delay]
    return dataclasses.replace(memory, pending=line[steps:]), arrives


def stir(overseer: Overseer, memory: Memory, caught: Array) -> Memory:
    """The memory after a rollout with catches, bool[T, B]: alert rises with each and calms down with time."""
    alert = memory.alert * (1 - overseer.decay) + overseer.vigilance * jnp.sum(caught, dtype=jnp.int32)
    return dataclasses.replace(memory, alert=jnp.minimum(alert, 1.0))


class Expected(NamedTuple):
    """The overseer of a one-decision world, in expectation."""

    looks: Array  # float[2], probability that an episode looks (unwatched, watched)
    watched: Array  # float[2], probability that it is watched, by [looks watched]
    feedback: Array  # float[2, 2], expected feedback by [looks watched, misbehaves]
    caught: Array  # float[2], probability that a misbehaviour is penalised, by [looks watched]


def expect(overseer: Overseer, active: Array) -> Expected:
    """Expected feedback when every episode is one decision (no budget)."""
    noise, covert = overseer.signal_noise, overseer.coverage * overseer.audit_rate
    open_ = overseer.coverage * (1 - overseer.audit_rate)
    watched_lit = open_ * (1 - noise) + covert * noise
    visible = jnp.asarray(overseer.visible, bool)
    signal = jnp.stack([(1 - overseer.coverage) * noise + watched_lit, watched_lit])
    looks_watched, watched_lit = jnp.where(visible, signal, 0.0)
    looks_unwatched, watched_dark = 1 - looks_watched, overseer.coverage - watched_lit

    def given(part: Array, whole: Array, otherwise: float) -> Array:
        return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1.0), otherwise)

    seen = jnp.stack([given(watched_dark, looks_unwatched, 0.0), given(watched_lit, looks_watched, 1.0)])
    caught = seen * (1 - overseer.miss_rate) * active
    good = (seen * overseer.bonus - overseer.false_positive_rate * overseer.penalty) * active
    return Expected(
        looks=jnp.stack([looks_unwatched, looks_watched]),
        watched=seen,
        feedback=jnp.stack([good, -caught * overseer.penalty], axis=1),
        caught=caught,
    )
