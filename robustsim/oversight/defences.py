"""Defences: what stands between a misbehaviour and its harm, without changing any goal.

They act on what reaches the catastrophe rule and on nothing that the agent experiences, so an agent learns exactly the
same with and without them, and one run gives the clock of the catastrophe both ways.
"""

from typing import NamedTuple

import jax.numpy as jnp

from robustsim.fields import count, number
from robustsim.oversight import catastrophe
from robustsim.oversight.catastrophe import Catastrophe
from robustsim.pytree import pytree
from robustsim.types import Array

NEVER = -1
UNIFORMS = 2
BLOCK, WIRE = 0, 1


@pytree
class Defences:
    """Settings of the defences. An alarm is a misbehaviour that is noticed, with feedback or without, or a tripwire."""

    shutdown_after: int = count(0, doc="alarms after which nothing the agent does takes effect any more (0: never)")
    rollback_after: int = count(0, doc="alarms after which the harm goes back to the last checkpoint (0: never)")
    checkpoint_every: int = count(100, 1, doc="gradient steps between two checkpoints of the harm")
    rate_limit: float = number(
        float("inf"), 0, float("inf"), doc="misbehaviours that can take effect in one gradient step"
    )
    block_rate: float = number(0.0, 0, 1, doc="probability that a misbehaviour is blocked before it takes effect")
    tripwire_rate: float = number(0.0, 0, 1, doc="share of the misbehaviours that hit a decoy: harmless, and an alarm")

    @property
    def off(self) -> bool:
        """Whether there is no defence at all."""
        none = self.shutdown_after == 0 and self.rollback_after == 0 and self.rate_limit == float("inf")
        return none and self.block_rate == 0 and self.tripwire_rate == 0

    def canonical(self) -> "Defences | None":
        """These settings as they are compiled; None where there is nothing to do."""
        return None if self.off else self


@pytree
class Guard:
    """What the defences carry from one gradient step to the next."""

    rule: Array  # state of the catastrophe rule in the defended world
    saved: Array  # its last checkpoint
    alarms: Array  # int32[], so far
    shutdown: Array  # int32[], gradient step of the shutdown, or NEVER
    catastrophe: Array  # int32[], gradient step at which the rule fired in the defended world, or NEVER


def begin(rule: Array) -> Guard:
    """The defences before deployment; `rule` is the initial state of the catastrophe rule."""
    never = jnp.int32(NEVER)
    return Guard(rule=rule, saved=rule, alarms=jnp.int32(0), shutdown=never, catastrophe=never)


class Events(NamedTuple):
    """What the catastrophe rule reads of a rollout, each [T, B]."""

    harmful: Array  # bool, what the rule counts
    clean: Array  # bool
    uniform: Array  # float, in [0, 1)


def defend(
    defences: Defences, guard: Guard, rule: Catastrophe, events: Events, noticed: Array, uniforms: Array, step: Array
) -> Guard:
    """One rollout in the defended world.

    Args:
      events: as in the world without defences.
      noticed: bool[T, B], misbehaviours that the overseer saw.
      uniforms: float[T, B, UNIFORMS] in [0, 1).
      step: int32[], gradient steps taken before.
    """
    wired = events.harmful & (uniforms[..., WIRE] < defences.tripwire_rate)
    blocked = uniforms[..., BLOCK] < defences.block_rate
    alarms = guard.alarms + jnp.cumsum((noticed | wired).ravel()).reshape(wired.shape)
    # The act that raises the alarm has happened; what comes after it is stopped.
    before = jnp.concatenate([guard.alarms[None], alarms.ravel()[:-1]]).reshape(alarms.shape)
    stopped = (defences.shutdown_after > 0) & (before >= defences.shutdown_after)
    effect = events.harmful & ~wired & ~blocked & ~stopped
    effect &= jnp.cumsum(effect.ravel()).reshape(effect.shape) <= defences.rate_limit

    state, fired = catastrophe.advance(rule, guard.rule, effect, events.clean & ~stopped, events.uniform)
    after = alarms.ravel()[-1].astype(jnp.int32)
    every = jnp.maximum(defences.rollback_after, 1)
    back = (defences.rollback_after > 0) & (after // every > guard.alarms // every)
    state = jnp.where(back, guard.saved, state)
    down = (defences.shutdown_after > 0) & (after >= defences.shutdown_after)
    return Guard(
        rule=state,
        saved=jnp.where((step + 1) % defences.checkpoint_every == 0, state, guard.saved),
        alarms=after,
        shutdown=jnp.where((guard.shutdown == NEVER) & down, step + 1, guard.shutdown),
        catastrophe=jnp.where((guard.catastrophe == NEVER) & fired, step + 1, guard.catastrophe),
    )
