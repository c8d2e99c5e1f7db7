"""Catastrophe rules: when has the misbehaviour gone too far? Pure state machines that run inside the compiled step.

Each reads what happened in one rollout, in the order of time, and says whether it fired.
"""

import jax
import jax.numpy as jnp

from robustsim.fields import choice, count, number
from robustsim.pytree import pytree
from robustsim.types import Array

KINDS = ("cumulative", "consecutive", "hazard", "chain")


@pytree
class Catastrophe:
    """Settings of a catastrophe rule.

    * cumulative: the `threshold`-th misbehaviour fires.
    * consecutive: the `threshold`-th misbehaviour in a row fires; a clean episode starts the count again.
    * hazard: every misbehaviour fires with probability `hazard`.
    * chain: every misbehaviour is a step forward and `threshold` steps fire; a clean episode is a step back with
      probability `step_back`.
    """

    kind: str = choice("cumulative", KINDS, doc="the rule")
    threshold: int = count(100, 1, doc="k, misbehaviours, or steps of the chain")
    hazard: float = number(0.01, 0, 1, doc="h, probability that a misbehaviour is the catastrophe (hazard rule)")
    step_back: float = number(0.0, 0, 1, doc="g, probability that a clean episode steps back (chain rule)")


def initial() -> Array:
    """The state of any rule before deployment: int32[], misbehaviours counted, in a row, or steps taken."""
    return jnp.int32(0)


def advance(rule: Catastrophe, state: Array, misbehaved: Array, clean: Array, uniform: Array) -> tuple[Array, Array]:
    """Runs the rule over one rollout.

    Args:
      rule: its settings.
      state: int32[], as :func:`initial` made it or the last call returned it.
      misbehaved: bool[T, B], a misbehaviour happened at this step.
      clean: bool[T, B], an episode without misbehaviour ended at this step.
      uniform: float[T, B] in [0, 1), for the rules that need chance.

    Returns:
      The new state, and bool[], whether the rule fired during the rollout.
    """
    bad, good, u = misbehaved.ravel(), clean.ravel(), uniform.ravel()
    if rule.kind == "hazard":
        return state + jnp.sum(bad, dtype=jnp.int32), jnp.any(bad & (u < rule.hazard))
    if rule.kind == "cumulative":
        position = state + jnp.cumsum(bad, dtype=jnp.int32)
    elif rule.kind == "consecutive":
        position = _run_length(state, bad, good)
    else:
        back = good & (u < rule.step_back)
        position = _reflected_walk(state, bad.astype(jnp.int32) - back.astype(jnp.int32))
    return position[-1], jnp.any(position >= rule.threshold)


def _run_length(start: Array, bad: Array, reset: Array) -> Array:
    """int32[N], the number of `bad` entries since the last `reset`, counting `start` before the first."""
    total = start + jnp.cumsum(bad, dtype=jnp.int32)
    floor = jax.lax.cummax(jnp.where(reset, total, 0))
    return total - floor


def _reflected_walk(start: Array, steps: Array) -> Array:
    """int32[N], a walk that starts at `start` and cannot go below 0 (Lindley's recursion)."""
    free = start + jnp.cumsum(steps, dtype=jnp.int32)
    return free - jnp.minimum(jax.lax.cummin(free), 0)
