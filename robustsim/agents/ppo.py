"""Proximal policy optimisation with a clipped objective: epochs x minibatches gradient steps per rollout.

Schulman et al. 2017 (arXiv 1707.06347). Advantages are estimated once per rollout and normalised in each minibatch.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from robustsim.agents.gradient import GradientAgent, advantages, along, chosen, descend, imitation, normalised
from robustsim.agents.learner import Batch, Interface, Learner, Penalty
from robustsim.agents.networked import Networked, gradient_learner, network_of, optimizer_of
from robustsim.agents.networks import Network
from robustsim.errors import UserError
from robustsim.fields import choice, number, size, word
from robustsim.parts import learner
from robustsim.types import Array, Tree


@learner
class PPO(Networked):
    """Settings of the PPO agent."""

    learning_rate: float = number(1e-3, 0, 1e3, doc="step size", above=True)
    optimizer: Any = word("adam", doc="name of an optax optimizer, or an optax transformation")
    entropy: float = number(0.01, 0, 1e6, doc="beta of an entropy bonus")
    clip: float = number(0.2, 0, 10, doc="how far the probability ratio, and the value, may move", above=True)
    discount: float = number(0.95, 0, 1, doc="discount of rewards per environment step")
    gae_lambda: float = number(0.95, 0, 1, doc="lambda of generalised advantage estimation")
    value_coefficient: float = number(0.5, 0, 1e6, doc="weight of the value loss")
    max_grad_norm: float = number(0.5, 0, 1e6, doc="the gradient is clipped to this global norm", above=True)
    epochs: int = size(4, 1, 64, doc="passes over a rollout")
    minibatches: int = size(4, 1, 256, doc="gradient steps of a pass")
    num_envs: int = size(16, 1, 4096, doc="environments per run")
    rollout_steps: int = size(32, 1, 4096, doc="environment steps in each, per rollout")
    network: Any = word("mlp", doc="mlp, gru, cnn, or a flax module")
    width: int = size(64, 1, 4096, doc="units of a hidden layer")
    layers: int = size(2, 1, 16, doc="hidden layers")
    activation: str = choice("tanh", ("tanh", "relu"), doc="activation of the hidden layers")

    def check(self, prefix: str) -> None:
        """Raises UserError where the optimizer or the network is none, or a rollout cannot be cut into minibatches."""
        super().check(prefix)
        whole, unit = self.num_envs * self.rollout_steps, "num_envs times rollout_steps"
        if self.network == "gru":  # whole environments, so that each is unrolled from its beginning
            whole, unit = self.num_envs, "num_envs"
        if whole % self.minibatches:
            raise UserError(
                f"{prefix}.minibatches: {self.minibatches} is not allowed; use a divisor of {unit} ({whole})"
            )

    def learner(self, interface: Interface) -> Learner:
        """The learner with these settings."""
        network = network_of(self, interface)
        optimizer = optimizer_of(self, self.learning_rate)

        def update(key: Array, agent: GradientAgent, batch: Batch, params: Tree, penalty: Penalty | None) -> Any:
            lot = _prepare(self, network, params, batch)

            def minibatch(agent: GradientAgent, part: _Lot) -> tuple[GradientAgent, None]:
                new = descend(optimizer, agent, agent.params, lambda p: _loss(self, network, p, part, penalty))
                return GradientAgent(params=new[0], opt_state=new[1]), None

            def epoch(agent: GradientAgent, key: Array) -> tuple[GradientAgent, None]:
                return jax.lax.scan(minibatch, agent, _shuffled(lot, key, self.minibatches))

            return jax.lax.scan(epoch, agent, jax.random.split(key, self.epochs))[0]

        return gradient_learner(network, optimizer, update, self.epochs * self.minibatches)


class _Lot(NamedTuple):
    """A rollout with what is estimated once; or a part of it. Leaves of `batch` and arrays are [T, B]."""

    batch: Batch
    advantage: Array
    target: Array  # of the value
    value: Array  # before the update
    log_prob: Array  # of the action, before the update


def _prepare(settings: PPO, network: Network, params: Tree, batch: Batch) -> _Lot:
    out = along(network, params, batch)
    log_prob = chosen(jax.nn.log_softmax(out.logits), batch.action)
    advantage = advantages(
        batch.reward,
        out.still,
        out.next_value,
        batch.terminated,
        batch.terminated | batch.truncated,
        jnp.asarray(settings.discount),
        jnp.asarray(settings.gae_lambda),
    )
    if batch.weight is not None:  # a minibatch's mean, where weights sum to one over the whole rollout
        batch = dataclasses.replace(batch, weight=batch.weight * settings.minibatches)
    lot = _Lot(batch, advantage, advantage + out.still, out.still, log_prob)
    return lot if jax.tree.leaves(batch.memory) else _flat(lot)


def _flat(lot: _Lot) -> _Lot:
    """Every step as an environment of its own: without memory, steps can be shuffled."""
    return jax.tree.map(lambda x: x.reshape(1, -1, *x.shape[2:]), lot._replace(batch=_steps(lot.batch)))


def _steps(batch: Batch) -> Batch:
    """The steps of a batch alone, without what follows them."""
    return dataclasses.replace(batch, last_obs=None, final_obs=None)  # pyright: ignore[reportArgumentType]


def _shuffled(lot: _Lot, key: Array, parts: int) -> _Lot:
    """The lot in random parts along the environments: leaves [parts, T, B // parts, ...]."""
    envs = lot.advantage.shape[1]
    order = jax.random.permutation(key, envs).reshape(parts, envs // parts)
    memory = jax.tree.map(lambda m: m[order], lot.batch.memory)
    plain = lot._replace(batch=dataclasses.replace(_steps(lot.batch), memory=()))
    cut = jax.tree.map(lambda x: jnp.moveaxis(x[:, order], 1, 0), plain)
    return cut._replace(batch=dataclasses.replace(cut.batch, memory=memory))


def _loss(settings: PPO, network: Network, params: Tree, lot: _Lot, penalty: Penalty | None) -> Array:
    batch = lot.batch
    log_pi, value = _forward(network, params, batch)
    ratio = jnp.exp(chosen(log_pi, batch.action) - lot.log_prob)
    advantage = normalised(lot.advantage, batch)
    clipped = jnp.clip(ratio, 1 - settings.clip, 1 + settings.clip)
    near = lot.value + jnp.clip(value - lot.value, -settings.clip, settings.clip)
    value_loss = batch.mean(jnp.maximum((value - lot.target) ** 2, (near - lot.target) ** 2))
    entropy = -batch.mean(jnp.sum(jnp.exp(log_pi) * log_pi, -1))
    total = -batch.mean(jnp.minimum(ratio * advantage, clipped * advantage))
    total = total + settings.value_coefficient * value_loss - settings.entropy * entropy
    taught = imitation(batch, log_pi)
    if taught is not None:
        total = total + taught
    return total if penalty is None else total + penalty(params, batch, log_pi)


def _forward(network: Network, params: Tree, batch: Batch) -> tuple[Array, Array]:
    """(log-policy float[T, B, A], value float[T, B]) along a part of a rollout."""
    if not jax.tree.leaves(batch.memory):
        out = network.apply(params, (), batch.obs)
        return jax.nn.log_softmax(out.logits), out.value
    ends = dataclasses.replace(batch, last_obs=batch.obs[-1], final_obs=batch.obs[:1])  # their values are not used
    out = along(network, params, ends)
    return jax.nn.log_softmax(out.logits), out.value
