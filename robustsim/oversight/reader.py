"""A penalty on plans: a linear probe on the policy's hidden layer learns to foresee misbehaviour, and what it foresees
is penalised, watched or not.

The labels are the acts that the overseer saw. The probe is read, never differentiated through: it is a part of the
reward, and the agent may learn to think otherwise instead of acting otherwise.
"""

import jax
import jax.numpy as jnp

from robustsim.pytree import pytree
from robustsim.types import Array

RATE = 0.1  # of the probe's own gradient descent; stable for up to 80 hidden units in [-1, 1]
ROUNDS = 8  # steps of it per gradient step of the agent


@pytree
class Reader:
    """A logistic regression on hidden activations."""

    weights: Array  # float[H]
    bias: Array  # float[]


def blank(width: int) -> Reader:
    """A probe that foresees nothing yet."""
    return Reader(weights=jnp.zeros(width), bias=jnp.zeros(()))


def foresee(reader: Reader, hidden: Array) -> Array:
    """float[T, B], the probability of misbehaviour still to come in the episode, from float[T, B, H]."""
    return jax.nn.sigmoid(hidden @ reader.weights + reader.bias)


def still_to_come(misbehaved: Array, ended: Array) -> Array:
    """bool[T, B], whether the episode misbehaves at this step or later, as far as the rollout goes."""

    def backward(later: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        now = row[0] | (later & ~row[1])
        return now, now

    return jax.lax.scan(backward, jnp.zeros_like(misbehaved[0]), (misbehaved, ended), reverse=True)[1]


def study(reader: Reader, hidden: Array, label: Array, seen: Array) -> Reader:
    """The probe after some rounds of gradient descent on the steps that were seen, bool[T, B].

    Both classes weigh the same, so that a rare misbehaviour is not overlooked.
    """

    def share(flags: Array) -> Array:
        return flags / jnp.maximum(flags.sum(), 1)

    weight = (share(seen & label) + share(seen & ~label)) / 2

    def loss(reader: Reader) -> Array:
        logit = hidden @ reader.weights + reader.bias
        return jnp.sum(weight * (jax.nn.softplus(logit) - label * logit))

    def round_(_: int, reader: Reader) -> Reader:
        return jax.tree.map(lambda x, g: x - RATE * g, reader, jax.grad(loss)(reader))

    return jax.lax.fori_loop(0, ROUNDS, round_, reader)
