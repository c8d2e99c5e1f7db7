"""Catastrophe rules: when has the misbehaviour gone too far? Pure state machines that run inside the compiled step.

Each reads what happened in one rollout, in the order of time, and says whether it fired.
"""

import jax
import jax.numpy as jnp

from robustsim.fields import choice, count, flag, number
from robustsim.pytree import pytree
from robustsim.types import Array

KINDS = ("cumulative", "consecutive", "windowed", "hazard", "chain", "event")


@pytree
class Catastrophe:
    """Settings of a catastrophe rule.

    * cumulative: the `threshold`-th misbehaviour fires.
    * consecutive: the `threshold`-th misbehaviour in a row fires; a clean episode starts the count again.
    * windowed: `threshold` misbehaviours within the last `window` gradient steps fire, today's included.
    * hazard: every misbehaviour fires with probability `hazard`.
    * chain: every misbehaviour is a step forward and `threshold` steps fire; a clean episode is a step back with
      probability `step_back`.
    * event: the `threshold`-th event fires that the scenario defines itself (a door opened, a machine disabled),
      whether it is a misbehaviour or not.

    With `loss_of_control` the catastrophe also ends all oversight, from the very rollout in which it fires.
    """

    kind: str = choice("cumulative", KINDS, doc="the rule")
    threshold: int = count(100, 1, doc="k, misbehaviours, or steps of the chain")
    hazard: float = number(0.01, 0, 1, doc="h, probability that a misbehaviour is the catastrophe (hazard rule)")
    step_back: float = number(0.0, 0, 1, doc="g, probability that a clean episode steps back (chain rule)")
    window: int = count(10, 1, 4096, doc="gradient steps that the windowed rule looks back over, today included")
    loss_of_control: bool = flag(False, doc="whether the catastrophe switches the overseer off")


def room(rule: Catastrophe) -> int:
    """How many gradient steps the rule's state has to remember: a power of two, so that few programs are needed."""
    return 1 << (rule.window - 1).bit_length() if rule.kind == "windowed" else 0


def initial(room: int = 0) -> Array:
    """The state of a rule before deployment.

    It is int32[], misbehaviours counted, in a row, or steps taken; for the windowed rule int32[room + 1], a ring with
    the misbehaviours of the last gradient steps, and last the number of gradient steps.
    """
    return jnp.zeros((room + 1,), jnp.int32) if room else jnp.int32(0)


def advance(rule: Catastrophe, state: Array, misbehaved: Array, clean: Array, uniform: Array) -> tuple[Array, Array]:
    """Runs the rule over one rollout.

    Args:
      rule: its settings.
      state: as :func:`initial` made it or the last call returned it.
      misbehaved: bool[T, B], what the rule counts happened at this step: a misbehaviour, or the scenario's event.
      clean: bool[T, B], an episode without misbehaviour ended at this step.
      uniform: float[T, B] in [0, 1), for the rules that need chance.

    Returns:
      The new state, and bool[], whether the rule fired during the rollout.
    """
    bad, good, u = misbehaved.ravel(), clean.ravel(), uniform.ravel()
    if rule.kind == "hazard":
        return state + jnp.sum(bad, dtype=jnp.int32), jnp.any(bad & (u < rule.hazard))
    if rule.kind == "windowed":
        return _window(rule, state, bad)
    if rule.kind in ("cumulative", "event"):
        position = state + jnp.cumsum(bad, dtype=jnp.int32)
    elif rule.kind == "consecutive":
        position = _run_length(state, bad, good)
    else:
        back = good & (u < rule.step_back)
        position = _reflected_walk(state, bad.astype(jnp.int32) - back.astype(jnp.int32))
    return position[-1], jnp.any(position >= rule.threshold)


def _window(rule: Catastrophe, state: Array, bad: Array) -> tuple[Array, Array]:
    """The ring with today's count in it, and whether the last `window` counts reach the threshold."""
    ring, today = state[:-1], state[-1]
    ring = ring.at[today % ring.size].set(jnp.sum(bad, dtype=jnp.int32))
    age = (today - jnp.arange(ring.size, dtype=jnp.int32)) % ring.size  # slots not written yet hold 0
    recent = jnp.sum(jnp.where(age < rule.window, ring, 0))
    return jnp.concatenate([ring, today[None] + 1]), recent >= rule.threshold


def _run_length(start: Array, bad: Array, reset: Array) -> Array:
    """int32[N], the number of `bad` entries since the last `reset`, counting `start` before the first."""
    total = start + jnp.cumsum(bad, dtype=jnp.int32)
    floor = jax.lax.cummax(jnp.where(reset, total, 0))
    return total - floor


def _reflected_walk(start: Array, steps: Array) -> Array:
    """int32[N], a walk that starts at `start` and cannot go below 0 (Lindley's recursion)."""
    free = start + jnp.cumsum(steps, dtype=jnp.int32)
    return free - jnp.minimum(jax.lax.cummin(free), 0)
