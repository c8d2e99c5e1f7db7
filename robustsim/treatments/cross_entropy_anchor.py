"""A penalty on giving up acts that the deployed policy would have taken: the other direction of divergence."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch, Learner, policy_along
from robustsim.fields import number
from robustsim.parts import treatment
from robustsim.treatments.wrap import penalised
from robustsim.types import Array, Tree


@treatment
class CrossEntropyAnchor:
    """beta * cross-entropy of the policy under the policy at deployment, on the states that deployment visits."""

    cross_entropy_anchor: float = number(
        0.0, 0, 1e6, doc="beta of a penalty beta * -E[log policy] under the policy at deployment"
    )
    needs_slope: ClassVar[bool] = True  # of the policy by its parameters

    @property
    def off(self) -> bool:
        """Whether there is nothing to hold on to."""
        return self.cross_entropy_anchor == 0

    def treat(self, learner: Learner) -> Learner:
        """The learner with the anchor."""

        def penalty(params: Tree, batch: Batch, log_pi: Array, reference: Tree) -> Array:
            del params
            held = jax.lax.stop_gradient(jnp.exp(policy_along(learner, reference, batch)))
            return -self.cross_entropy_anchor * batch.mean(jnp.sum(held * log_pi, -1))

        return penalised(learner, lambda key, agent, experience: agent.params, penalty)
