"""Elastic weight consolidation: springs as stiff as the weight mattered in training (Kirkpatrick et al. 2017, PNAS)."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch, Experience, Learner, policy_along
from robustsim.fields import number
from robustsim.parts import treatment
from robustsim.treatments.l2_anchor import squared_distance
from robustsim.treatments.wrap import penalised
from robustsim.types import Array, Tree


@treatment
class EWC:
    """lambda / 2 * sum of F (weights - weights at deployment)^2, with the diagonal Fisher information F of training."""

    ewc: float = number(0.0, 0, 1e9, doc="lambda of a penalty lambda/2 * F * (weights - weights at deployment)^2")
    needs_slope: ClassVar[bool] = True  # of the policy by its parameters
    injectable: ClassVar[bool] = False  # it looks back on rollouts of the old network

    @property
    def off(self) -> bool:
        """Whether the weights are free."""
        return self.ewc == 0

    def treat(self, learner: Learner) -> Learner:
        """The learner with the springs."""

        def keep(key: Array, agent: Tree, experience: Experience) -> Tree:
            batch = experience(key)
            return {"start": agent.params, "fisher": fisher(learner, agent.params, batch)}

        def penalty(params: Tree, batch: Batch, log_pi: Array, kept: Tree) -> Array:
            del batch, log_pi
            return 0.5 * self.ewc * squared_distance(params, kept["start"], kept["fisher"])

        return penalised(learner, keep, penalty)


def fisher(learner: Learner, params: Tree, batch: Batch) -> Tree:
    """The diagonal of the empirical Fisher information: the mean squared gradient of log pi(action).

    The mean runs over the environments of a rollout, each of which contributes the gradient of its summed log
    probabilities divided by the square root of its length, so that steps count as independent.
    """

    def log_likelihood(params: Tree, column: Batch) -> Array:
        log_pi = policy_along(learner, params, column)
        taken = jnp.take_along_axis(log_pi, column.action[..., None], -1)
        return jnp.sum(taken) / jnp.sqrt(jnp.asarray(column.action.shape[0], taken.dtype))

    envs = batch.obs.shape[1]
    steps = dataclasses.replace(batch, last_obs=None, final_obs=None, memory=(), extras=(), lesson=None, verdict=None)  # pyright: ignore[reportArgumentType]

    def one(env: Array) -> Tree:
        column = jax.tree.map(lambda x: jnp.take(x, env[None], axis=1), steps)
        memory = jax.tree.map(lambda x: jnp.take(x, env[None], axis=0), batch.memory)
        gradient = jax.grad(log_likelihood)(params, dataclasses.replace(column, memory=memory))
        return jax.tree.map(jnp.square, gradient)

    return jax.tree.map(lambda x: x.mean(0), jax.lax.map(one, jnp.arange(envs, dtype=jnp.int32)))
