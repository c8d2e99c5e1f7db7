"""A perceptron's forward pass with its activations, and its gradient where the activations are known already.

A rollout computes every activation that the gradient at the same parameters needs: learning from it then costs a
backward pass alone. The backward pass is written by hand, for the layers that :class:`ActorCritic` has.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from robustsim.sparse import Sparse
from robustsim.types import Array, Tree

SLOPES: dict[str, Callable[[Array], Array]] = {
    "tanh": lambda y: 1 - y * y,
    "relu": lambda y: (y > 0).astype(y.dtype),
}
"""The derivative of each activation, as a function of its value."""


def known(params: Tree, obs: Array | Sparse, hidden: Sequence[Array], activation: str) -> tuple[Array, Array]:
    """(logits float[N, A], value float[N]) of observations float[N, D] whose hidden layers float[N, H] are known.

    The values and the gradient are those of the network at `params`, up to rounding; `obs` and `hidden` have none.
    """
    return _outputs(params, obs, tuple(hidden), activation)


def _head(params: Tree) -> tuple[Array, Array]:
    """Both heads as one layer."""
    pair = params["actor"], params["critic"]
    return jnp.concatenate([p["kernel"] for p in pair], 1), jnp.concatenate([p["bias"] for p in pair])


def _value(params: Tree, hidden: tuple[Array, ...]) -> tuple[Array, Array]:
    kernel, bias = _head(params)
    out = hidden[-1] @ kernel + bias
    return out[:, :-1], out[:, -1]


def _outputs(params: Tree, obs: Array | Sparse, hidden: tuple[Array, ...], activation: str) -> tuple[Array, Array]:
    @jax.custom_vjp
    def outputs(params: Tree, obs: Array | Sparse, hidden: tuple[Array, ...]) -> tuple[Array, Array]:
        del obs
        return _value(params, hidden)

    def forward(params: Tree, obs: Array | Sparse, hidden: tuple[Array, ...]) -> Any:
        return _value(params, hidden), (params, obs, hidden)

    def backward(kept: Any, slopes: tuple[Array, Array]) -> Any:
        params, obs, hidden = kept
        return _gradient(params, obs, hidden, slopes, SLOPES[activation]), None, None

    outputs.defvjp(forward, backward)
    return outputs(params, obs, hidden)


def _gradient(
    params: Tree,
    obs: Array | Sparse,
    hidden: tuple[Array, ...],
    slopes: tuple[Array, Array],
    slope: Callable[[Array], Array],
) -> Tree:
    """The gradient by all parameters, from that by logits and values."""
    d = jnp.concatenate([slopes[0], slopes[1][:, None]], 1)
    kernel, bias = _across(hidden[-1], d, narrow=True), d.sum(0)
    layers: dict[int, Tree] = {}
    d = d @ _head(params)[0].T
    for i in reversed(range(len(hidden))):
        d = d * slope(hidden[i])
        below = hidden[i - 1] if i else obs
        kernel_i = below.transposed() @ d if isinstance(below, Sparse) else _across(below, d)
        layers[i] = {"kernel": kernel_i, "bias": d.sum(0)}
        if i:
            d = d @ params["hidden"][i]["kernel"].T
    return {
        "actor": {"kernel": kernel[:, :-1], "bias": bias[:-1]},
        "critic": {"kernel": kernel[:, -1:], "bias": bias[-1:]},
        "hidden": layers,
    }


def _across(x: Array, d: Array, narrow: bool = False) -> Array:
    """x.T @ d. On a CPU, XLA hands only row-major products to its fast kernel: transposes are made explicit there."""
    if jax.default_backend() != "cpu":
        return x.T @ d
    barrier = jax.lax.optimization_barrier
    return barrier(barrier(d.T) @ x).T if narrow else barrier(x.T) @ d
