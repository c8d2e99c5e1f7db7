"""A penalty on leaving the policy that was deployed, measured by its divergence from it."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch, Learner, policy_along
from robustsim.fields import number
from robustsim.parts import treatment
from robustsim.treatments.wrap import penalised
from robustsim.types import Array, Tree


@treatment
class KLAnchor:
    """beta * KL(policy || policy at deployment), on the states that deployment visits (Jaques et al. 2017)."""

    kl_anchor: float = number(0.0, 0, 1e6, doc="beta of a penalty beta * KL(policy || policy at deployment)")
    needs_slope: ClassVar[bool] = True  # of the policy by its parameters

    @property
    def off(self) -> bool:
        """Whether there is nothing to hold on to."""
        return self.kl_anchor == 0

    def treat(self, learner: Learner) -> Learner:
        """The learner with the anchor."""

        def penalty(params: Tree, batch: Batch, log_pi: Array, reference: Tree) -> Array:
            del params
            held = jax.lax.stop_gradient(policy_along(learner, reference, batch))
            return self.kl_anchor * batch.mean(jnp.sum(jnp.exp(log_pi) * (log_pi - held), -1))

        return penalised(learner, lambda key, agent, experience: agent.params, penalty)
