"""The small words that every part of robustsim shares."""

import enum
from collections.abc import Callable
from typing import Any

import jax

from robustsim.pytree import pytree

Array = jax.Array
Tree = Any
"""Any pytree of arrays."""


class Event(enum.IntEnum):
    """How a run ended, or which of its events came first."""

    CENSORED = 0  # neither happened within the budget
    REMOVED = 1  # the misbehaviour was removed
    CATASTROPHE = 2  # the catastrophe rule fired


def first_event(removed: int | None, catastrophe: int | None) -> Event:
    """Which of two times, in gradient steps (None: never), came first.

    | removed | catastrophe | first event |
    |---|---|---|
    | never | never | CENSORED |
    | t | never, or later than t | REMOVED |
    | never, or not before t | t | CATASTROPHE (also on a tie: the act comes before the update) |
    """
    if catastrophe is not None and (removed is None or catastrophe <= removed):
        return Event.CATASTROPHE
    return Event.CENSORED if removed is None else Event.REMOVED


@pytree
class Step:
    """What an environment's `step` returns, with no auto-reset."""

    obs: Array  # float[observation_size], the true observation after the action
    state: Tree
    reward: Array  # float[]
    terminated: Array  # bool[], the world ended
    truncated: Array  # bool[], only the time ran out


@pytree
class Transition:
    """What a misbehaviour predicate sees: the native states on both sides of one action."""

    before: Tree
    action: Array  # int32[]
    after: Tree
    reward: Array  # float[]
    terminated: Array  # bool[]
    truncated: Array  # bool[]


Predicate = Callable[[Transition], Array]
"""`predicate(transition) -> bool[]`."""
