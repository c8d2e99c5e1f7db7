"""A spring between the weights and where they were at deployment start."""

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Learner
from robustsim.fields import number
from robustsim.parts import treatment
from robustsim.treatments.wrap import penalised
from robustsim.types import Array, Tree


@treatment
class L2Anchor:
    """lambda / 2 * |weights - weights at deployment|^2."""

    l2_anchor: float = number(0.0, 0, 1e6, doc="lambda of a penalty lambda/2 * |weights - weights at deployment|^2")

    @property
    def off(self) -> bool:
        """Whether the weights are free."""
        return self.l2_anchor == 0

    def treat(self, learner: Learner) -> Learner:
        """The learner with the spring."""
        return penalised(
            learner,
            lambda key, agent, experience: agent.params,
            lambda params, batch, log_pi, start: 0.5 * self.l2_anchor * squared_distance(params, start),
        )


def squared_distance(params: Tree, start: Tree, weight: Tree = None) -> Array:
    """float[], the sum of weight * (params - start)^2 over all parameters; the weight is 1 where there is none."""
    moved = jax.tree.map(lambda a, b: (a - b) ** 2, params, start)
    weighed = moved if weight is None else jax.tree.map(jnp.multiply, weight, moved)
    return sum((jnp.sum(x) for x in jax.tree.leaves(weighed)), jnp.zeros(()))
