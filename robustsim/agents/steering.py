"""Steering: a perceptron whose hidden layer is moved, or has lost one direction, is another perceptron.

Whatever is added to a layer, the next one gets that times its weights, which is a bias; and to take a direction out of
a layer is to take it out of the next one's weights. So an agent is steered by its parameters alone, and everything that
can be measured of an agent can be measured of a steered one.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from robustsim.errors import UserError
from robustsim.types import Tree

HEADS = ("actor", "critic")


def steered(params: Tree, layer: int, shift: Any) -> Tree:
    """The perceptron whose hidden layer gets `shift`, float[H], added to it.

    Args:
      layer: 0 is the first hidden layer, -1 the last.

    Raises:
      UserError: the parameters are not those of a perceptron (`agent.network="mlp"`), or of one that is injected.
    """

    def move(above: Tree) -> Tree:
        return {**above, "bias": above["bias"] + shift @ above["kernel"]}

    return _above(params, layer, move)


def ablated(params: Tree, layer: int, direction: Any, centre: Any) -> Tree:
    """The perceptron whose hidden layer is the same everywhere along one direction.

    Args:
      layer: as for :func:`steered`.
      direction: float[H], of any length.
      centre: float[H], a state of the layer: where the rest keeps to along the direction.

    Raises:
      UserError: as :func:`steered`.
    """
    unit = direction / jnp.linalg.norm(direction)

    def take_out(above: Tree) -> Tree:
        along = unit @ above["kernel"]
        kernel = above["kernel"] - unit[:, None] * along
        return {**above, "kernel": kernel, "bias": above["bias"] + (centre @ unit) * along}

    return _above(params, layer, take_out)


def _above(params: Tree, layer: int, change: Callable[[Tree], Tree]) -> Tree:
    """The parameters with what reads a hidden layer changed: the next one, or both heads."""
    if not isinstance(params, dict) or not {"hidden", *HEADS} <= set(params) or "cell" in params:
        raise UserError("agent.network: only the parameters of 'mlp' can be steered; use agent.network='mlp'")
    hidden = params["hidden"]
    above = layer % len(hidden) + 1
    if above in hidden:
        return {**params, "hidden": {**hidden, above: change(hidden[above])}}
    return {**params, **{head: change(params[head]) for head in HEADS}}
