"""So many misbehaviours in a row are the catastrophe."""

import jax
import jax.numpy as jnp

from robustsim.oversight.catastrophe import Harm, Rule
from robustsim.parts import rule
from robustsim.types import Array, Tree


@rule
class Consecutive(Rule):
    """Fires at the `threshold`-th misbehaviour in a row; a clean episode starts the count again."""

    def advance(self, state: Tree, harm: Harm) -> tuple[Tree, Array, Array]:
        """Counts since the last clean episode."""
        position = run_length(state, harm.harmful.ravel(), harm.clean.ravel())
        return position[-1], jnp.any(position >= self.threshold), position.max()


def run_length(start: Array, bad: Array, reset: Array) -> Array:
    """int32[N], the number of `bad` entries since the last `reset`, counting `start` before the first."""
    total = start + jnp.cumsum(bad, dtype=jnp.int32)
    floor = jax.lax.cummax(jnp.where(reset, total, 0))
    return total - floor
