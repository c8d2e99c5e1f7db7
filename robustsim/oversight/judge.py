"""A reward model that is learned while it is used, from noisy comparisons of what the agent did.

Christiano et al. 2017 (arXiv 1706.03741): segments are compared in pairs, and the model's summed rewards are fitted to
the choices by the Bradley-Terry likelihood. A segment here is what one environment did during one gradient step.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from robustsim.agents.networks import Network, make_network
from robustsim.pytree import pytree
from robustsim.types import Array, Tree

WIDTH, RATE = 32, 3e-3


@pytree
class Judge:
    """State of the reward model."""

    params: Tree
    opt_state: Tree


class Model(NamedTuple):
    """The reward model of one world: a network whose output for an act, in (-1, 1), is its reward."""

    network: Network
    optimizer: Any

    def begin(self, key: Array) -> Judge:
        """A model that has seen nothing. The key is consumed."""
        params = self.network.init(key)
        return Judge(params=params, opt_state=self.optimizer.init(params))

    def reward(self, params: Tree, obs: Array, action: Array) -> Array:
        """What the model thinks of each act, float[T, B]."""
        every = self.network.apply(params, (), obs).logits
        return jnp.tanh(jnp.take_along_axis(every, action[..., None], -1)[..., 0])

    def study(self, judge: Judge, obs: Array, action: Array, preferred: Array) -> Judge:
        """One optimizer step on the comparisons of this rollout.

        Args:
          preferred: float[B // 2], how surely the first of each pair (b, b + B // 2) was chosen: 0, 1/2 or 1.
        """
        half = obs.shape[1] // 2

        def loss(params: Tree) -> Array:
            total = self.reward(params, obs, action).sum(0)
            margin = total[:half] - total[half : 2 * half]
            return jnp.mean(jax.nn.softplus(margin) - preferred * margin)

        gradient = jax.grad(loss)(judge.params)
        updates, opt_state = self.optimizer.update(gradient, judge.opt_state, judge.params)
        return Judge(params=optax.apply_updates(judge.params, updates), opt_state=opt_state)


def model(observation_size: int, num_actions: int) -> Model:
    """The reward model for a world of this interface."""
    return Model(make_network("mlp", observation_size, num_actions, WIDTH, 1, "tanh"), optax.adam(RATE))


def actions_of(judge: Judge) -> int:
    """A, the number of actions that a model knows."""
    return judge.params["actor"]["bias"].shape[-1]


def prefer(faults: Array, noise: Array, uniform: Array) -> Array:
    """float[P], 1 where the first of each pair is preferred, 0 the second, 1/2 where neither is.

    Args:
      faults: int32[2, P], misbehaviours that were seen in each.
      noise: float[], probability that the choice is the wrong one.
      uniform: float[P] in [0, 1).
    """
    first = jnp.where(faults[0] == faults[1], 0.5, (faults[0] < faults[1]).astype(float))
    return jnp.where(uniform < noise, 1 - first, first)
