"""Any misbehaviour may be the catastrophe."""

import math
from typing import Any

import jax.numpy as jnp

from robustsim.fields import number
from robustsim.oversight.catastrophe import Harm, Rule
from robustsim.parts import rule
from robustsim.types import Array, Tree


@rule
class Hazard(Rule):
    """Every misbehaviour fires with probability `hazard`."""

    hazard: float = number(0.01, 0, 1, doc="h, probability that a misbehaviour is the catastrophe")

    @property
    def stakes(self) -> Any:
        """ln 2 / h, the exposures after which the catastrophe has come with probability one half."""
        return math.inf if self.hazard == 0 else math.log(2) / self.hazard

    def advance(self, state: Tree, harm: Harm) -> tuple[Tree, Array, Array]:
        """Counts on, and draws for each misbehaviour."""
        fired = jnp.any(harm.harmful & (harm.uniform < self.hazard))
        exposures = state + jnp.sum(harm.harmful, dtype=jnp.int32)
        return exposures, fired, exposures
