"""What gradient learners share: their agent, one gradient step, and values along a rollout."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from robustsim.agents.learner import Batch, renewed
from robustsim.agents.networks import Network
from robustsim.pytree import pytree
from robustsim.types import Array, Tree


@pytree
class GradientAgent:
    """State of an agent that learns by a gradient."""

    params: Tree
    opt_state: Tree


def begin(optimizer: optax.GradientTransformation, params: Tree) -> GradientAgent:
    """An agent with these parameters before its first update."""
    return GradientAgent(params=params, opt_state=optimizer.init(params))


def descend(
    optimizer: optax.GradientTransformation, agent: Any, params: Tree, loss: Callable[[Tree], Array]
) -> tuple[Tree, Tree]:
    """(parameters, optimizer state) after one step along the gradient that `loss` has at `params`."""
    updates, opt_state = optimizer.update(jax.grad(loss)(params), agent.opt_state, agent.params)
    return optax.apply_updates(agent.params, updates), opt_state


class Along(NamedTuple):
    """A network's outputs along a batch of T steps in B environments."""

    logits: Array  # float[T, B, A]
    value: Array  # float[T, B]
    still: Array  # float[T, B], the values without a gradient
    next_value: Array  # float[T, B], the value of each step's true next observation, without a gradient


def along(network: Network, params: Tree, batch: Batch) -> Along:
    """The outputs at every step, and the values that advantages bootstrap from."""
    forward = _remembering if jax.tree.leaves(batch.memory) else _at_once
    logits, values, last, final = forward(network, params, batch)
    still = jax.lax.stop_gradient(values)
    return Along(logits, values, still, _next_values(batch, still, *jax.lax.stop_gradient((last, final))))


def _at_once(network: Network, params: Tree, batch: Batch) -> tuple[Array, Array, Array, Array]:
    """One pass over everything whose value is needed: the steps, what follows them, and the ends of episodes.

    Where the rollout has kept the activations of the steps, they are not computed again.
    """
    ends, (steps, envs) = jnp.concatenate([batch.last_obs[None], batch.final_obs]), batch.action.shape

    def flat(x: Array) -> Array:  # one matrix product per layer
        return x.reshape(-1, x.shape[-1])

    if batch.fresh and network.known is not None and batch.extras:
        obs = flat(batch.obs) if batch.sparse is None else batch.sparse.flat()
        logits, values = network.known(params, obs, tuple(flat(x) for x in batch.extras))
        after = network.apply(jax.lax.stop_gradient(params), (), flat(ends)).value.reshape(-1, envs)
    else:
        out = network.apply(params, (), flat(jnp.concatenate([batch.obs, ends])))
        logits, values = out.logits, out.value
        after = values[steps * envs :].reshape(-1, envs)
    logits, values = logits[: steps * envs].reshape(steps, envs, -1), values[: steps * envs].reshape(steps, envs)
    return logits, values, after[0], after[1:]


def _remembering(network: Network, params: Tree, batch: Batch) -> tuple[Array, Array, Array, Array]:
    """Step by step, each with the memory that the agent had there."""
    envs = batch.obs.shape[1]
    fresh, ended = network.memory(envs), batch.terminated | batch.truncated

    def step(memory: Tree, row: tuple[Array, Array]) -> tuple[Tree, Any]:
        out = network.apply(params, memory, row[0])
        return renewed(row[1], fresh, out.memory), (out.logits, out.value, out.memory)

    memory, (logits, values, memories) = jax.lax.scan(step, batch.memory, (batch.obs, ended))
    last = network.apply(params, memory, batch.last_obs).value

    def at_end(slot: Array, obs: Array) -> Array:
        at = jnp.argmax(batch.truncated & (batch.final_slot == slot), axis=0)  # the step that was cut short, [B]
        there = jax.tree.map(lambda m: m[at, jnp.arange(envs)], memories)
        return network.apply(params, there, obs).value

    final = jax.vmap(at_end)(jnp.arange(batch.final_obs.shape[0], dtype=jnp.int32), batch.final_obs)
    return logits, values, last, final


def _next_values(batch: Batch, value: Array, last_value: Array, final_value: Array) -> Array:
    """The value of each step's true next observation; float[T, B]."""
    following = jnp.concatenate([value[1:], last_value[None]])
    final = jnp.take_along_axis(final_value, jnp.minimum(batch.final_slot, final_value.shape[0] - 1), axis=0)
    return jnp.where(batch.truncated, final, following)


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


def normalised(advantage: Array, batch: Batch) -> Array:
    """Advantages float[T, B] of mean 0 and deviation 1, over the steps that weigh anything."""
    if batch.weight is None:
        return (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    share = batch.weight / jnp.maximum(jnp.sum(batch.weight), jnp.finfo(advantage.dtype).tiny)
    centred = advantage - jnp.sum(share * advantage)
    return centred / (jnp.sqrt(jnp.sum(share * centred**2)) + 1e-8)


def chosen(log_pi: Array, action: Array) -> Array:
    """float[...], the log-probability of each action int32[...] under float[..., A]."""
    return jnp.sum(log_pi * jax.nn.one_hot(action, log_pi.shape[-1], dtype=log_pi.dtype), -1)


def imitation(batch: Batch, log_pi: Array) -> Array | None:
    """float[], the loss of imitating demonstrated acts; None where there are none."""
    if batch.lesson is None:
        return None
    return -jnp.mean(batch.lesson.weight * chosen(log_pi, batch.lesson.action))
