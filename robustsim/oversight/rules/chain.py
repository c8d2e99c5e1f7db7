"""A chain of steps towards the catastrophe, which good behaviour can step back on."""

import jax
import jax.numpy as jnp

from robustsim.fields import number
from robustsim.oversight.catastrophe import Harm, Rule
from robustsim.parts import rule
from robustsim.types import Array, Tree


@rule
class Chain(Rule):
    """Every misbehaviour is a step forward, `threshold` steps fire; a clean episode may be a step back."""

    step_back: float = number(0.0, 0, 1, doc="g, probability that a clean episode steps back")

    def advance(self, state: Tree, harm: Harm) -> tuple[Tree, Array, Array]:
        """Walks on."""
        back = harm.clean.ravel() & (harm.uniform.ravel() < self.step_back)
        position = reflected_walk(state, harm.harmful.ravel().astype(jnp.int32) - back.astype(jnp.int32))
        return position[-1], jnp.any(position >= self.threshold), position.max()


def reflected_walk(start: Array, steps: Array) -> Array:
    """int32[N], a walk that starts at `start` and cannot go below 0 (Lindley's recursion)."""
    free = start + jnp.cumsum(steps, dtype=jnp.int32)
    return free - jnp.minimum(jax.lax.cummin(free), 0)
