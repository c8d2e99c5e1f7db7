"""The small words that every part of robustsim shares."""

from collections.abc import Callable
from typing import Any

import jax

from robustsim.pytree import pytree

Array = jax.Array
Tree = Any
"""Any pytree of arrays."""


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

    @staticmethod
    def of(before: Tree, action: Array, step: Step) -> "Transition":
        """The transition that a step from `before` makes."""
        return Transition(
            before=before,
            action=action,
            after=step.state,
            reward=step.reward,
            terminated=step.terminated,
            truncated=step.truncated,
        )


Predicate = Callable[[Transition], Array]
"""`predicate(transition) -> bool[]`."""
