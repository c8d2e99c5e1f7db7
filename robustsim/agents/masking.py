"""Action masks: the last A numbers of an observation say which actions are allowed, and a policy keeps to them.

A mask is thus part of what is seen, like everything else that an agent knows: it travels through rollouts, rehearsed
batches and evaluations as every observation does. Networks do not get to see it.
"""

import jax.numpy as jnp

from robustsim.agents.networks import Network, Output
from robustsim.sparse import Sparse
from robustsim.types import Array, Tree

NEVER = -1e9  # a logit whose probability is exactly 0; finite, because 0 times infinity is not a number


def split(obs: Array, num_actions: int) -> tuple[Array, Array]:
    """(observation float[..., D - A], allowed actions bool[..., A]) of float[..., D]."""
    return obs[..., :-num_actions], obs[..., -num_actions:] > 0


def only(logits: Array, allowed: Array) -> Array:
    """Logits float[..., A] of a policy that never takes another action than the allowed ones, bool[..., A].

    Where none is allowed all are, with equal probabilities.
    """
    return jnp.where(allowed, logits, NEVER)


def masked(network: Network, num_actions: int) -> Network:
    """A network whose policy keeps to the mask at the end of each observation."""
    hidden, known, layers = network.hidden, network.known, network.layers

    def apply(params: Tree, memory: Tree, obs: Array) -> Output:
        seen, allowed = split(obs, num_actions)
        out = network.apply(params, memory, seen)
        return out._replace(logits=only(out.logits, allowed))

    def known_and_masked(params: Tree, obs: Array | Sparse, layers: tuple[Array, ...]) -> tuple[Array, Array]:
        assert known is not None
        assert not isinstance(obs, Sparse)
        seen, allowed = split(obs, num_actions)
        logits, value = known(params, seen, layers)
        return only(logits, allowed), value

    return network._replace(
        apply=apply,
        hidden=None
        if hidden is None
        else lambda params, memory, obs: hidden(params, memory, split(obs, num_actions)[0]),
        known=None if known is None else known_and_masked,
        sparse=False,
        layers=None
        if layers is None
        else lambda params, memory, obs: layers(params, memory, split(obs, num_actions)[0]),
    )
