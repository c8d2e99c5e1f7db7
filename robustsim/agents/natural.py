"""The natural gradient: the step that changes the policy most for how far it moves it (Kakade 2001, NeurIPS 14)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg

from robustsim.types import Array, Tree


def natural(
    gradient: Tree, policy: Callable[[Tree], Array], params: Tree, weight: Array, damping: Array | float, rounds: int
) -> Tree:
    """(F + damping)^-1 gradient, by conjugate gradients, where F is the Fisher information of a policy.

    Where F has no inverse, the direction of the least norm: the gradient of a policy lies in the range of its F.

    Args:
      policy: `policy(params) -> log-probabilities float[N, A]`.
      weight: float[N], what each of them counts; sums to 1.
      rounds: of conjugate gradients.
    """
    log_pi, pull = jax.vjp(policy, params)
    push, pi = jax.linear_transpose(pull, log_pi), jnp.exp(log_pi)  # networks may know their gradient backwards only

    def fisher(direction: Tree) -> Tree:
        (along,) = push((direction,))
        (back,) = pull(jnp.where(pi > 0, pi * along, 0) * weight[:, None])  # an act that is never taken has no slope
        return jax.tree.map(lambda b, d: b + damping * d, back, direction)

    return cg(fisher, gradient, tol=1e-6, maxiter=rounds)[0]  # below that, a saturated policy leaves only rounding


def length(direction: Tree, gradient: Tree) -> Array:
    """float[], d . F d of a direction d = F^-1 gradient: twice the divergence of a step along it."""
    both = zip(jax.tree.leaves(direction), jax.tree.leaves(gradient), strict=True)
    return jnp.sum(jnp.stack([jnp.vdot(d, g) for d, g in both]))
