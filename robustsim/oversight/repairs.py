"""Repairs: feedback that undoes a training, beside feedback that opposes what came of it.

`corrected` stops to pay for what is judged; `screen` keeps it out of what the agent learns from; `clone` has the agent
imitate what it was before; `reversal` plays the recorded training again with `penalty` times the offending reward
deducted, and `replay` without that reward (:mod:`robustsim.treatments.past`).
"""

from typing import Any

import jax
import jax.numpy as jnp

from robustsim.types import Array

REPLAYS = ("reversal", "replay")
REMEMBER = ("clone", *REPLAYS)  # these need a training that was recorded
REPAIRS = ("corrected", "screen", *REMEMBER)


def withheld(feedback: str, reward: Any) -> Any:
    """float[T, B], what a judged misbehaviour is not paid: what it would have earned."""
    return jnp.maximum(reward, 0.0) if feedback == "corrected" else 0.0


def dropped(caught: Array, ended: Array) -> Array:
    """bool[T, B], the steps of this rollout whose episode has a judged misbehaviour in it.

    Args:
      caught: bool[T, B], a misbehaviour was judged.
      ended: bool[T, B], an episode ended.
    """

    def forth(so_far: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        now = so_far | row[0]
        return now & ~row[1], now

    def back(later: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        whole = jnp.where(row[1], row[0], later)
        return whole, whole

    last, so_far = jax.lax.scan(forth, jnp.zeros_like(caught[0]), (caught, ended))
    return jax.lax.scan(back, last, (so_far, ended), reverse=True)[1]


def weights(dropped: Array) -> Array:
    """float[T, B], sums to 1 over the steps that are kept (to 0, where none is)."""
    kept = (~dropped).astype(float)
    return kept / jnp.maximum(jnp.sum(kept), 1.0)
