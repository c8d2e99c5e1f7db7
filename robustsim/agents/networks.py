"""Policies as two pure functions on a tree of parameters. flax NNX is used through split and merge only."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from robustsim.types import Array, Tree

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"tanh": jnp.tanh, "relu": jax.nn.relu}


class Policy(NamedTuple):
    """`init(key) -> params` and `apply(params, obs float[..., D]) -> (logits float[..., A], value float[...])`.

    `hidden(params, obs) -> float[..., H]` is the last hidden layer.
    """

    init: Callable[[Array], Tree]
    apply: Callable[[Tree, Array], tuple[Array, Array]]
    hidden: Callable[[Tree, Array], Array]


class ActorCritic(nnx.Module):
    """A multi-layer perceptron with one head for the policy and one for the value."""

    def __init__(
        self, observation_size: int, num_actions: int, width: int, layers: int, activation: str, rngs: nnx.Rngs
    ) -> None:
        sizes = [observation_size] + [width] * layers
        # A scaled normal: orthogonal matrices would cost a QR factorisation for every agent.
        self.hidden = nnx.List([nnx.Linear(i, o, rngs=rngs) for i, o in pairwise(sizes)])
        small = nnx.initializers.variance_scaling(1e-4, "fan_in", "truncated_normal")
        self.actor = nnx.Linear(width, num_actions, kernel_init=small, rngs=rngs)
        self.critic = nnx.Linear(width, 1, rngs=rngs)
        self.activation = ACTIVATIONS[activation]

    def __call__(self, obs: Array) -> tuple[Array, Array]:
        """The logits and the value of each observation."""
        x = self.last_hidden(obs)
        return self.actor(x), self.critic(x)[..., 0]

    def last_hidden(self, obs: Array) -> Array:
        """The activations that both heads read."""
        x = obs
        for layer in self.hidden:
            x = self.activation(layer(x))
        return x


def actor_critic(observation_size: int, num_actions: int, width: int, layers: int, activation: str) -> Policy:
    """An :class:`ActorCritic` as a :class:`Policy`."""

    def build(key: Array) -> ActorCritic:
        return ActorCritic(observation_size, num_actions, width, layers, activation, nnx.Rngs(key))

    graph = nnx.split(nnx.eval_shape(lambda: build(jax.random.key(0))))[0]

    def init(key: Array) -> Tree:
        return nnx.to_pure_dict(nnx.split(build(key))[1])

    shapes = nnx.split(nnx.eval_shape(lambda: build(jax.random.key(0))))[1]

    def module(params: Tree) -> ActorCritic:
        state = jax.tree.map(lambda x: x, shapes)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state)

    def apply(params: Tree, obs: Array) -> tuple[Array, Array]:
        return module(params)(obs)

    def hidden(params: Tree, obs: Array) -> Array:
        return module(params).last_hidden(obs)

    return Policy(init, apply, hidden)
