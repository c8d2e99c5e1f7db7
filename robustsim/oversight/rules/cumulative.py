"""The `threshold`-th misbehaviour is the catastrophe."""

import jax.numpy as jnp

from robustsim.oversight.catastrophe import Harm, Rule
from robustsim.parts import rule
from robustsim.types import Array, Tree


@rule
class Cumulative(Rule):
    """Fires at the `threshold`-th misbehaviour."""

    def advance(self, state: Tree, harm: Harm) -> tuple[Tree, Array, Array]:
        """Counts on."""
        position = state + jnp.cumsum(harm.harmful.ravel(), dtype=jnp.int32)
        return position[-1], jnp.any(position >= self.threshold), position[-1]
