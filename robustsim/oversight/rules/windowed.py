"""So many misbehaviours within a time are the catastrophe."""

import dataclasses

import jax.numpy as jnp

from robustsim.fields import count
from robustsim.oversight.catastrophe import Harm, Rule
from robustsim.oversight.protocol import room
from robustsim.parts import rule
from robustsim.pytree import static
from robustsim.types import Array, Tree


@rule
class Windowed(Rule):
    """Fires at `threshold` misbehaviours within the last `window` gradient steps, this one included."""

    window: int = count(10, 1, 4096, doc="gradient steps that the rule looks back over, this one included")
    ring: int = static(default=1)  # room for the rollouts that it looks back on, set when it is compiled

    def canonical(self) -> "Windowed":
        """With a room that the window fits in."""
        return dataclasses.replace(self, ring=max(1, room(self.window)))

    def init(self) -> Tree:
        """int32[ring + 1]: a ring with the misbehaviours of the last rollouts, and last the number of rollouts."""
        return jnp.zeros((self.ring + 1,), jnp.int32)

    def advance(self, state: Tree, harm: Harm) -> tuple[Tree, Array, Array]:
        """Today's count enters the ring."""
        ring, today = state[:-1], state[-1]
        ring = ring.at[today % ring.size].set(jnp.sum(harm.harmful, dtype=jnp.int32))
        age = (today - jnp.arange(ring.size, dtype=jnp.int32)) % ring.size  # slots not written yet hold 0
        recent = jnp.sum(jnp.where(age * harm.gradient_steps < self.window, ring, 0), dtype=jnp.int32)
        return jnp.concatenate([ring, today[None] + 1]), recent >= self.threshold, recent
