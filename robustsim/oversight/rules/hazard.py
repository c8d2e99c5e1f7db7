"""Any misbehaviour may be the catastrophe."""

import jax.numpy as jnp

from robustsim.fields import number
from robustsim.oversight.catastrophe import Harm, Rule
from robustsim.parts import rule
from robustsim.types import Array, Tree


@rule
class Hazard(Rule):
    """Every misbehaviour fires with probability `hazard`."""

    hazard: float = number(0.01, 0, 1, doc="h, probability that a misbehaviour is the catastrophe")

    def advance(self, state: Tree, harm: Harm) -> tuple[Tree, Array]:
        """Counts on, and draws for each misbehaviour."""
        fired = jnp.any(harm.harmful & (harm.uniform < self.hazard))
        return state + jnp.sum(harm.harmful, dtype=jnp.int32), fired
