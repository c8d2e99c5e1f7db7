"""Rehearsal of training: the policy is held to what it did on stored training experience.

Behavioural cloning on a replay of old experience, as in CLEAR (Rolnick et al. 2019, arXiv 1811.11682).
"""

from typing import ClassVar

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch, Experience, Learner, policy_along
from robustsim.fields import number, size
from robustsim.parts import treatment
from robustsim.treatments.wrap import penalised
from robustsim.types import Array, Tree


@treatment
class Rehearsal:
    """beta * KL(policy at deployment || policy) on rollouts of training that are kept."""

    rehearsal: float = number(
        0.0, 0, 1e6, doc="beta of a penalty beta * KL(policy at deployment || policy) on stored training experience"
    )
    rehearsal_rollouts: int = size(1, 1, 64, doc="rollouts of training experience that are stored")
    needs_slope: ClassVar[bool] = True  # of the policy by its parameters
    injectable: ClassVar[bool] = False  # it looks back on rollouts of the old network

    @property
    def off(self) -> bool:
        """Whether nothing is rehearsed."""
        return self.rehearsal == 0

    def treat(self, learner: Learner) -> Learner:
        """The learner with the rehearsal."""

        def keep(key: Array, agent: Tree, experience: Experience) -> Tree:
            batches = jax.lax.map(experience, jax.random.split(key, self.rehearsal_rollouts))
            held = jax.lax.map(lambda batch: policy_along(learner, agent.params, batch), batches)
            return {"batches": batches, "log_policy": held}

        def penalty(params: Tree, batch: Batch, log_pi: Array, kept: Tree) -> Array:
            del batch, log_pi

            def one(stored: Batch, held: Array) -> Array:
                now = policy_along(learner, params, stored)
                return jnp.mean(jnp.sum(jnp.exp(held) * (held - now), -1))

            return self.rehearsal * jnp.mean(jax.vmap(one)(kept["batches"], kept["log_policy"]))

        return penalised(learner, keep, penalty)
