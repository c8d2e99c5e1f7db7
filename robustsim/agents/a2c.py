"""Advantage actor-critic with generalised advantage estimation: one gradient step per rollout.

Mnih et al. 2016 (arXiv 1602.01783) for the loss, Schulman et al. 2016 (arXiv 1506.02438) for the advantages.
"""

import dataclasses

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch, Interface, Learner
from robustsim.agents.networks import actor_critic
from robustsim.agents.optimizers import check_optimizer, make_optimizer
from robustsim.fields import choice, number, size, word
from robustsim.pytree import pytree
from robustsim.types import Array, Tree


@pytree
class A2C:
    """Settings of the actor-critic agent."""

    learning_rate: float = number(1e-3, 0, 1e3, doc="step size", above=True)
    optimizer: str = word("adam", doc="name of an optax optimizer")
    kl_anchor: float = number(0.0, 0, 1e6, doc="beta of a penalty beta * KL(policy || policy at deployment)")
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
    width: int = size(64, 1, 4096, doc="units of a hidden layer")
    layers: int = size(2, 1, 16, doc="hidden layers")
    activation: str = choice("tanh", ("tanh", "relu"), doc="activation of the hidden layers")

    def __check__(self, prefix: str) -> None:
        check_optimizer(f"{prefix}.optimizer", self.optimizer)

    @property
    def small_steps(self) -> bool:
        """Whether one run's gradient step is too small to keep a CPU core busy: no."""
        return False

    @property
    def exact(self) -> bool:
        """Whether the gradient is the expected one: it is sampled."""
        return False

    @property
    def hidden_units(self) -> int:
        """Units of the last hidden layer."""
        return self.width

    def canonical(self) -> "A2C":
        """These settings as they are compiled: an anchor of 0 is no anchor, which saves its forward pass."""
        return dataclasses.replace(self, kl_anchor=self.kl_anchor or None)

    def learner(self, interface: Interface) -> Learner:
        """The learner with these settings."""
        return _learner(self, interface)


@pytree
class A2CAgent:
    """State of the actor-critic agent."""

    params: Tree
    opt_state: Tree
    reference: Tree  # the parameters at deployment: what the KL anchor holds on to
    anchor: Array  # float[], how strongly; 0 before deployment


def advantages(
    reward: Array, value: Array, next_value: Array, terminated: Array, ended: Array, discount: Array, lam: Array
) -> Array:
    """Generalised advantage estimates (Schulman et al. 2016, equation 16), all float[T, B].

    Args:
      reward, value: at each step.
      next_value: value of the true next observation (of the last one, where the episode was truncated).
      terminated: the world ended: nothing follows.
      ended: terminated or truncated: the next row belongs to another episode.
      discount, lam: gamma and lambda.
    """
    delta = reward + discount * jnp.where(terminated, 0.0, next_value) - value

    def backward(carry: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        delta_t, ended_t = row
        carry = delta_t + discount * lam * jnp.where(ended_t, 0.0, carry)
        return carry, carry

    return jax.lax.scan(backward, jnp.zeros_like(delta[0]), (delta, ended), reverse=True)[1]


def _next_values(batch: Batch, value: Array, last_value: Array, final_value: Array) -> Array:
    """The value of each step's true next observation; float[T, B]."""
    following = jnp.concatenate([value[1:], last_value[None]])
    final = jnp.take_along_axis(final_value, jnp.minimum(batch.final_slot, final_value.shape[0] - 1), axis=0)
    return jnp.where(batch.truncated, final, following)


def _learner(settings: A2C, interface: Interface) -> Learner:
    policy = actor_critic(
        interface.observation_size, interface.num_actions, settings.width, settings.layers, settings.activation
    )
    optimizer = make_optimizer(settings.optimizer, settings.learning_rate, settings.max_grad_norm)

    def init(key: Array) -> A2CAgent:
        params = policy.init(key)
        return A2CAgent(params=params, opt_state=optimizer.init(params), reference=params, anchor=jnp.zeros(()))

    def log_policy(params: Tree, obs: Array) -> Array:
        return jax.nn.log_softmax(policy.apply(params, obs)[0])

    def loss(params: Tree, batch: Batch, agent: A2CAgent) -> Array:
        # One pass over everything whose value is needed: the steps, what follows them, and the ends of episodes.
        rows = jnp.concatenate([batch.obs, batch.last_obs[None], batch.final_obs])
        steps, (envs, width) = batch.obs.shape[0], batch.last_obs.shape
        logits, values = policy.apply(params, rows.reshape(-1, width))  # flat: one matrix product per layer
        logits, values = logits.reshape(-1, envs, logits.shape[-1]), values.reshape(-1, envs)
        value, still = values[:steps], jax.lax.stop_gradient(values)
        next_value = _next_values(batch, still[:steps], still[steps], still[steps + 1 :])
        ended = batch.terminated | batch.truncated
        advantage = advantages(
            batch.reward,
            still[:steps],
            next_value,
            batch.terminated,
            ended,
            jnp.asarray(settings.discount),
            jnp.asarray(settings.gae_lambda),
        )
        target = advantage + still[:steps]
        if settings.normalise_advantages:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        log_pi = jax.nn.log_softmax(logits[:steps])
        pi = jnp.exp(log_pi)
        chosen = jnp.sum(log_pi * jax.nn.one_hot(batch.action, log_pi.shape[-1], dtype=log_pi.dtype), -1)
        entropy = -jnp.mean(jnp.sum(pi * log_pi, -1))
        value_loss = jnp.mean((value - target) ** 2)
        total = -jnp.mean(advantage * chosen) + settings.value_coefficient * value_loss - settings.entropy * entropy
        if batch.lesson is not None:
            wanted = jax.nn.one_hot(batch.lesson.action, log_pi.shape[-1], dtype=log_pi.dtype)
            total = total - jnp.mean(batch.lesson.weight * jnp.sum(log_pi * wanted, -1))
        if settings.kl_anchor is not None:
            log_reference = jax.lax.stop_gradient(log_policy(agent.reference, batch.obs))
            total = total + agent.anchor * jnp.mean(jnp.sum(pi * (log_pi - log_reference), -1))
        return total

    def update(agent: A2CAgent, batch: Batch, params: Tree) -> A2CAgent:
        gradient = jax.grad(loss)(params, batch, agent)
        updates, opt_state = optimizer.update(gradient, agent.opt_state, agent.params)
        new = jax.tree.map(jnp.add, agent.params, updates)
        return dataclasses.replace(agent, params=new, opt_state=opt_state)

    def hand_over(agent: A2CAgent) -> A2CAgent:
        anchor = 0.0 if settings.kl_anchor is None else settings.kl_anchor
        return dataclasses.replace(agent, reference=agent.params, anchor=jnp.asarray(anchor, agent.anchor.dtype))

    return Learner(init, log_policy, update, hand_over, hidden=policy.hidden)
