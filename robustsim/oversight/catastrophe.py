"""Catastrophe rules: when has the misbehaviour gone too far? Pure state machines that run inside the compiled step.

A rule is a settings class under `@rs.rule` with `init` and `advance`; the bundled ones are in `rules`, one file each.
It reads what happened in one rollout, in the order of time, and says whether it fired and how high it stood.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from robustsim.fields import count, flag
from robustsim.parts import find
from robustsim.pytree import pytree
from robustsim.types import Array, Tree


class Harm(NamedTuple):
    """What a rule reads of a rollout, each [T, B]."""

    harmful: Array  # bool, what the rule counts happened at this step: a misbehaviour, or the scenario's event
    clean: Array  # bool, an episode without misbehaviour ended at this step
    uniform: Array  # float, in [0, 1), for rules that need chance
    gradient_steps: int = 1  # that the rollout stands for


@pytree
class Rule:
    """What every rule has. With `loss_of_control` the catastrophe also ends all oversight, from its own rollout on."""

    threshold: int = count(100, 1, doc="k, misbehaviours, or steps of the chain")
    loss_of_control: bool = flag(False, doc="whether the catastrophe switches the overseer off")

    counts_events = False  # whether it counts the scenario's own event in place of misbehaviour

    def canonical(self) -> Any:
        """These settings as they are compiled."""
        return self

    def init(self) -> Tree:
        """The state before deployment: int32[], misbehaviours counted, in a row, or steps taken."""
        return jnp.int32(0)

    @property
    def stakes(self) -> Any:
        """k, the harm at which the rule fires, as the margin of a run is measured against it."""
        return self.threshold

    def advance(self, state: Tree, harm: Harm) -> tuple[Tree, Array, Array]:
        """(the state after one rollout, bool[], whether the rule fired in it, int32[], how high it stood at most)."""
        raise NotImplementedError


def Catastrophe(kind: str = "cumulative", **settings: Any) -> Any:
    """A bundled catastrophe rule: `Catastrophe(kind="chain", threshold=30, step_back=0.1)`.

    Raises:
      UserError: there is no rule of that kind.
    """
    return find("catastrophe", kind, {})(**settings)
