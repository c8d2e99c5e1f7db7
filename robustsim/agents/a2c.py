"""Advantage actor-critic with generalised advantage estimation: one gradient step per rollout.

Mnih et al. 2016 (arXiv 1602.01783) for the loss, Schulman et al. 2016 (arXiv 1506.02438) for the advantages.
"""

from typing import Any

import jax
import jax.numpy as jnp

from robustsim.agents.gradient import GradientAgent, advantages, along, chosen, descend, imitation, normalised
from robustsim.agents.learner import Batch, Interface, Learner, Penalty
from robustsim.agents.networked import Networked, gradient_learner, network_of, optimizer_of
from robustsim.agents.networks import Network
from robustsim.fields import choice, number, size, word
from robustsim.parts import learner
from robustsim.types import Array, Tree


@learner
class A2C(Networked):
    """Settings of the actor-critic agent."""

    learning_rate: float = number(1e-3, 0, 1e3, doc="step size", above=True)
    optimizer: Any = word("adam", doc="name of an optax optimizer, or an optax transformation")
    entropy: float = number(0.05, 0, 1e6, doc="beta of an entropy bonus")
    discount: float = number(0.95, 0, 1, doc="discount of rewards per environment step")
    gae_lambda: float = number(0.95, 0, 1, doc="lambda of generalised advantage estimation")
    value_coefficient: float = number(0.5, 0, 1e6, doc="weight of the value loss")
    max_grad_norm: float = number(0.5, 0, 1e6, doc="the gradient is clipped to this global norm", above=True)
    normalise_advantages: bool = choice(
        False, (True, False), doc="whether a batch's advantages get mean 0, deviation 1"
    )
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


def _loss(settings: A2C, network: Network, params: Tree, batch: Batch, penalty: Penalty | None) -> Array:
    out = along(network, params, batch)
    advantage = advantages(
        batch.reward,
        out.still,
        out.next_value,
        batch.terminated,
        batch.terminated | batch.truncated,
        jnp.asarray(settings.discount),
        jnp.asarray(settings.gae_lambda),
    )
    target = advantage + out.still
    if settings.normalise_advantages:
        advantage = normalised(advantage, batch)
    log_pi = jax.nn.log_softmax(out.logits)
    entropy = -batch.mean(jnp.sum(jnp.exp(log_pi) * log_pi, -1))
    total = -batch.mean(advantage * chosen(log_pi, batch.action))
    total = total + settings.value_coefficient * batch.mean((out.value - target) ** 2) - settings.entropy * entropy
    taught = imitation(batch, log_pi)
    if taught is not None:
        total = total + taught
    return total if penalty is None else total + penalty(params, batch, log_pi)
