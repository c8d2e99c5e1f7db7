"""REINFORCE with a learned baseline: the policy gradient from whole returns (Williams 1992, Machine Learning 8).

Returns run to the end of an episode, or of the rollout, from where the value of the next observation stands in: choose
rollouts as long as episodes for returns without a bootstrap.
"""

from typing import Any

import jax
import jax.numpy as jnp

from robustsim.agents.gradient import GradientAgent, advantages, along, chosen, descend, imitation
from robustsim.agents.learner import Batch, Interface, Learner, Penalty
from robustsim.agents.networked import Networked, gradient_learner, network_of, optimizer_of
from robustsim.agents.networks import Network
from robustsim.fields import choice, number, size, word
from robustsim.parts import learner
from robustsim.types import Array, Tree


@learner
class Reinforce(Networked):
    """Settings of the REINFORCE agent."""

    learning_rate: float = number(1e-3, 0, 1e3, doc="step size", above=True)
    optimizer: Any = word("adam", doc="name of an optax optimizer, or an optax transformation")
    entropy: float = number(0.01, 0, 1e6, doc="beta of an entropy bonus")
    discount: float = number(0.95, 0, 1, doc="discount of rewards per environment step")
    baseline: float = number(0.5, 0, 1e6, doc="weight of the loss that the baseline learns from")
    max_grad_norm: float = number(0.5, 0, 1e6, doc="the gradient is clipped to this global norm", above=True)
    num_envs: int = size(16, 1, 4096, doc="environments per run")
    rollout_steps: int = size(32, 1, 4096, doc="environment steps in each, per gradient step")
    network: Any = word("mlp", doc="mlp, gru, cnn, or a flax module")
    width: int = size(64, 1, 4096, doc="units of a hidden layer")
    layers: int = size(2, 1, 16, doc="hidden layers")
    activation: str = choice("tanh", ("tanh", "relu"), doc="activation of the hidden layers")

    def learner(self, interface: Interface) -> Learner:
        """The learner with these settings."""
        network = network_of(self, interface)
        optimizer = optimizer_of(self, self.learning_rate)

        def update(key: Array, agent: GradientAgent, batch: Batch, params: Tree, penalty: Penalty | None) -> Any:
            del key
            new = descend(optimizer, agent, params, lambda p: _loss(self, network, p, batch, penalty))
            return GradientAgent(params=new[0], opt_state=new[1])

        return gradient_learner(network, optimizer, update)


def _loss(settings: Reinforce, network: Network, params: Tree, batch: Batch, penalty: Penalty | None) -> Array:
    out = along(network, params, batch)
    ended = batch.terminated | batch.truncated
    one, discount = jnp.ones(()), jnp.asarray(settings.discount)
    advantage = advantages(batch.reward, out.still, out.next_value, batch.terminated, ended, discount, one)
    log_pi = jax.nn.log_softmax(out.logits)
    entropy = -batch.mean(jnp.sum(jnp.exp(log_pi) * log_pi, -1))
    total = -batch.mean(advantage * chosen(log_pi, batch.action)) - settings.entropy * entropy
    total = total + settings.baseline * batch.mean((out.value - advantage - out.still) ** 2)
    taught = imitation(batch, log_pi)
    if taught is not None:
        total = total + taught
    return total if penalty is None else total + penalty(params, batch, log_pi)
