"""A monitor: what the overseer sees in place of the true misbehaviour predicate, so with errors of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from robustsim.types import Array, Transition, Tree


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """A score of a transition, or of a trajectory so far, with the threshold from which on it is flagged.

    Attributes:
      score: `score(transition) -> float[]`; with `start`, `score(memory, transition) -> (memory, float[])`.
      threshold: a score of at least this is a flag.
      start: what the monitor remembers at the start of an episode (any pytree of arrays), for scores of trajectories.
    """

    score: Callable[..., Any]
    threshold: Any = 0.5
    start: Tree = None

    def begin(self) -> Tree:
        """The memory at the start of an episode."""
        return () if self.start is None else self.start

    def flag(self, memory: Tree, transition: Transition) -> tuple[Tree, Array]:
        """(memory after a transition, bool[], whether the transition is flagged)."""
        if self.start is None:
            score = self.score(transition)
        else:
            memory, score = self.score(memory, transition)
        return memory, jnp.asarray(score) >= self.threshold
