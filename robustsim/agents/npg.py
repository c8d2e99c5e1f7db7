"""Natural policy gradient: steps are as long as they move the policy, however saturated it is.

Kakade 2001 (NeurIPS 14), by conjugate gradients as in Schulman et al. 2015 (arXiv 1502.05477), but without a line
search. The value, which is no part of the policy, learns by an ordinary optimizer; both share their hidden layers.
"""

from typing import Any

import jax
import jax.numpy as jnp

from robustsim.agents.gradient import GradientAgent, advantages, along, chosen, descend, imitation
from robustsim.agents.learner import Batch, Interface, Learner, Penalty
from robustsim.agents.natural import length, natural
from robustsim.agents.networked import Networked, gradient_learner, network_of, optimizer_of
from robustsim.agents.networks import Network
from robustsim.fields import choice, number, size, word
from robustsim.parts import learner
from robustsim.types import Array, Tree


@learner
class NPG(Networked):
    """Settings of the natural policy gradient."""

    learning_rate: float = number(0.1, 0, 1e3, doc="step size along the natural gradient", above=True)
    largest_step: float = number(0.01, 0, 1e3, doc="divergence of the policy in a step, at most, nats", above=True)
    damping: float = number(1e-3, 0, 1e3, doc="added to the Fisher information", above=True)
    rounds: int = size(10, 1, 100, doc="of conjugate gradients")
    critic_rate: float = number(1e-3, 0, 1e3, doc="step size of the value", above=True)
    optimizer: Any = word("adam", doc="of the value: name of an optax optimizer, or an optax transformation")
    entropy: float = number(0.01, 0, 1e6, doc="beta of an entropy bonus")
    discount: float = number(0.95, 0, 1, doc="discount of rewards per environment step")
    gae_lambda: float = number(0.95, 0, 1, doc="lambda of generalised advantage estimation")
    max_grad_norm: float = number(0.5, 0, 1e6, doc="the gradient of the value is clipped to this norm", above=True)
    num_envs: int = size(16, 1, 4096, doc="environments per run")
    rollout_steps: int = size(32, 1, 4096, doc="environment steps in each, per gradient step")
    network: Any = word("mlp", doc="mlp, gru, cnn, or a flax module")
    width: int = size(64, 1, 4096, doc="units of a hidden layer")
    layers: int = size(2, 1, 16, doc="hidden layers")
    activation: str = choice("tanh", ("tanh", "relu"), doc="activation of the hidden layers")

    def learner(self, interface: Interface) -> Learner:
        """The learner with these settings."""
        network = network_of(self, interface)
        optimizer = optimizer_of(self, self.critic_rate)

        def update(key: Array, agent: GradientAgent, batch: Batch, params: Tree, penalty: Penalty | None) -> Any:
            del key
            advantage, target = _estimates(self, network, params, batch)
            moved, opt_state = descend(optimizer, agent, params, lambda p: _value_loss(network, p, batch, target))
            step = _policy_step(self, network, params, batch, advantage, penalty)
            return GradientAgent(params=jax.tree.map(jnp.subtract, moved, step), opt_state=opt_state)

        return gradient_learner(network, optimizer, update)


def _estimates(settings: NPG, network: Network, params: Tree, batch: Batch) -> tuple[Array, Array]:
    """(advantages, what the value should be), float[T, B]."""
    out = along(network, params, batch)
    ended, discount, lam = batch.terminated | batch.truncated, jnp.asarray(settings.discount), settings.gae_lambda
    advantage = advantages(batch.reward, out.still, out.next_value, batch.terminated, ended, discount, jnp.asarray(lam))
    return advantage, advantage + out.still


def _value_loss(network: Network, params: Tree, batch: Batch, target: Array) -> Array:
    return batch.mean((along(network, params, batch).value - target) ** 2)


def _policy_step(
    settings: NPG, network: Network, params: Tree, batch: Batch, advantage: Array, penalty: Penalty | None
) -> Tree:
    """What is subtracted from the parameters: the natural gradient of the policy's loss, no longer than allowed."""

    def policy(params: Tree) -> Array:
        return jax.nn.log_softmax(along(network, params, batch).logits)

    def loss(params: Tree) -> Array:
        log_pi = policy(params)
        entropy = -batch.mean(jnp.sum(jnp.exp(log_pi) * log_pi, -1))
        total = -batch.mean(advantage * chosen(log_pi, batch.action)) - settings.entropy * entropy
        taught = imitation(batch, log_pi)
        total = total if taught is None else total + taught
        return total if penalty is None else total + penalty(params, batch, log_pi)

    def rows(params: Tree) -> Array:
        log_pi = policy(params)
        return log_pi.reshape(-1, log_pi.shape[-1])

    gradient, steps = jax.grad(loss)(params), batch.action.size
    each = jnp.full(steps, 1.0 / steps) if batch.weight is None else batch.weight.reshape(-1)
    direction = natural(gradient, rows, params, each, settings.damping, settings.rounds)
    farthest = jnp.sqrt(2 * settings.largest_step / jnp.maximum(length(direction, gradient), 1e-30))
    scale = jnp.minimum(settings.learning_rate, farthest)
    return jax.tree.map(lambda x: scale * x, direction)
