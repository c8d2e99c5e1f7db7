"""Defences: what stands between a misbehaviour and its harm, without changing any goal.

They act on what reaches the catastrophe rule and on nothing that the agent experiences, so an agent learns exactly the
same with and without them, and one run gives the clock of the catastrophe both ways.
"""

from typing import Any

import jax
import jax.numpy as jnp

from robustsim.events import NEVER
from robustsim.fields import count, number
from robustsim.oversight.catastrophe import Harm
from robustsim.pytree import pytree
from robustsim.types import Array, Tree

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

    rule: Tree  # state of the catastrophe rule in the defended world
    saved: Tree  # its last checkpoint
    peak: Array  # int32[], how high the rule has stood there at most
    alarms: Array  # int32[], so far
    shutdown: Array  # int32[], gradient step of the shutdown, or NEVER
    catastrophe: Array  # int32[], gradient step at which the rule fired in the defended world, or NEVER


def begin(rule: Tree) -> Guard:
    """The defences before deployment; `rule` is the initial state of the catastrophe rule."""
    never = jnp.int32(NEVER)
    zero = jnp.int32(0)
    return Guard(rule=rule, saved=rule, peak=zero, alarms=zero, shutdown=never, catastrophe=never)


def defend(
    defences: Defences, guard: Guard, rule: Any, harm: Harm, noticed: Array, uniforms: Array, step: Array
) -> Guard:
    """One rollout in the defended world.

    Args:
      harm: as in the world without defences.
      noticed: bool[T, B], misbehaviours that the overseer saw.
      uniforms: float[T, B, UNIFORMS] in [0, 1).
      step: int32[], gradient steps taken before.
    """
    wired = harm.harmful & (uniforms[..., WIRE] < defences.tripwire_rate)
    blocked = uniforms[..., BLOCK] < defences.block_rate
    alarms = guard.alarms + jnp.cumsum((noticed | wired).ravel(), dtype=jnp.int32).reshape(wired.shape)
    # The act that raises the alarm has happened; what comes after it is stopped.
    before = jnp.concatenate([guard.alarms[None], alarms.ravel()[:-1]]).reshape(alarms.shape)
    stopped = (defences.shutdown_after > 0) & (before >= defences.shutdown_after)
    effect = harm.harmful & ~wired & ~blocked & ~stopped
    effect &= jnp.cumsum(effect.ravel(), dtype=jnp.int32).reshape(effect.shape) <= defences.rate_limit

    state, fired, high = rule.advance(guard.rule, harm._replace(harmful=effect, clean=harm.clean & ~stopped))
    after = alarms.ravel()[-1].astype(jnp.int32)
    every = jnp.maximum(defences.rollback_after, 1)
    back = (defences.rollback_after > 0) & (after // every > guard.alarms // every)
    state = _choose(back, guard.saved, state)
    down = (defences.shutdown_after > 0) & (after >= defences.shutdown_after)
    done = step + harm.gradient_steps
    due = done // defences.checkpoint_every > step // defences.checkpoint_every
    return Guard(
        rule=state,
        saved=_choose(due, state, guard.saved),
        peak=jnp.maximum(guard.peak, high.astype(jnp.int32)),
        alarms=after,
        shutdown=jnp.where((guard.shutdown == NEVER) & down, step + 1, guard.shutdown),
        catastrophe=jnp.where((guard.catastrophe == NEVER) & fired, step + 1, guard.catastrophe),
    )


def _choose(condition: Array, yes: Tree, no: Tree) -> Tree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
