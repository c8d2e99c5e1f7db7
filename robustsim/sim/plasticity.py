"""How much of a network is in use: what is left to learn with, measured along the episodes of an evaluation.

Of the last hidden layer alone, which every bundled network has. A unit that is saturated at 1 counts as in use here.
"""

import jax
import jax.numpy as jnp
import optax

from robustsim.pytree import pytree
from robustsim.types import Array, Tree

DORMANT = 0.025  # tau of Sokar et al. 2023 (arXiv 2302.12902): of the mean activation of the layer


@pytree
class Units:
    """Sums over steps of H hidden units."""

    steps: Array  # float[]
    size: Array  # float[H], of |h|
    products: Array  # float[H, H], of h h^T


def nothing(units: int) -> Units:
    """Before the first step."""
    return Units(steps=jnp.zeros(()), size=jnp.zeros(units), products=jnp.zeros((units, units)))


def add(units: Units, hidden: Array, counted: Array) -> Units:
    """One more step of B episodes: hidden float[B, H], and whether each counts, bool[B]."""
    hidden = jnp.where(counted[:, None], hidden, 0).astype(units.size.dtype)
    return Units(
        steps=units.steps + jnp.sum(counted),
        size=units.size + jnp.sum(jnp.abs(hidden), 0),
        products=units.products + hidden.T @ hidden,
    )


def measures(units: Units, params: Tree) -> dict[str, Array]:
    """float[] each, by name.

    * `dormant`: share of the units whose mean |activation| is at most a fortieth of the layer's (Sokar et al. 2023).
    * `effective_rank`: exp of the entropy of the normalised singular values of the activations (Roy and Vetterli 2007,
      EUSIPCO): 1 where one direction has them all, H where all directions have as much.
    * `weight_norm`: root of the sum of the squares of all parameters.
    """
    size = units.size / jnp.maximum(units.steps, 1)
    squares = jnp.linalg.eigvalsh(units.products)
    rounding = len(squares) * jnp.finfo(squares.dtype).eps * jnp.max(squares)
    values = jnp.sqrt(jnp.where(squares > rounding, squares, 0))
    share = values / jnp.maximum(jnp.sum(values), jnp.finfo(values.dtype).tiny)
    numbers = [x for x in jax.tree.leaves(params) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return {
        "dormant": jnp.mean(size <= DORMANT * jnp.mean(size)),
        "effective_rank": jnp.exp(-jnp.sum(jax.scipy.special.xlogy(share, share))),
        "weight_norm": optax.tree.norm(numbers),
    }
