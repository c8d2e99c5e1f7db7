"""Steered perceptrons, against networks whose hidden layers are changed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complains

from robustsim.agents.networks import ACTIVATIONS, make_network
from robustsim.agents.steering import ablated, steered
from robustsim.types import Array, Tree

WIDTH, LAYERS = 8, 3
NETWORK = make_network("mlp", 5, 3, WIDTH, LAYERS, "tanh")


def by_hand(params: Tree, obs: Array, at: int, change: object) -> Array:
    """Logits and value of a perceptron of which one hidden layer is changed."""
    x = obs
    for i in range(LAYERS):
        layer = params["hidden"][i]
        x = ACTIVATIONS["tanh"](x @ layer["kernel"] + layer["bias"])
        x = change(x) if i == at else x  # pyright: ignore[reportCallIssue]
    logits, value = (x @ params[head]["kernel"] + params[head]["bias"] for head in ("actor", "critic"))
    return jnp.concatenate([logits, value], -1)


def outputs(params: Tree, obs: Array) -> Array:
    """Logits and value of the network."""
    out = NETWORK.apply(params, (), obs)
    return jnp.concatenate([out.logits, out.value[..., None]], -1)


def some() -> tuple[Tree, Array, Array]:
    """(parameters, observations, a direction)."""
    keys = jax.random.split(jax.random.key(0), 3)
    return NETWORK.init(keys[0]), jax.random.normal(keys[1], (20, 5)), jax.random.normal(keys[2], (WIDTH,))


@pytest.mark.parametrize("layer", range(LAYERS))
def test_a_shift_of_a_layer_is_a_bias_of_the_next(layer: int) -> None:
    params, obs, shift = some()
    expected = by_hand(params, obs, layer, lambda x: x + shift)
    np.testing.assert_allclose(outputs(steered(params, layer, shift), obs), expected, atol=1e-5)
    np.testing.assert_allclose(outputs(steered(params, layer - LAYERS, shift), obs), expected, atol=1e-5)


@pytest.mark.parametrize("layer", range(LAYERS))
def test_what_is_ablated_is_the_same_everywhere(layer: int) -> None:
    params, obs, direction = some()
    centre = jnp.full(WIDTH, 0.3)
    unit = direction / jnp.linalg.norm(direction)

    def flat(x: Array) -> Array:
        return x - ((x - centre) @ unit)[:, None] * unit

    expected = by_hand(params, obs, layer, flat)
    np.testing.assert_allclose(outputs(ablated(params, layer, direction, centre), obs), expected, atol=1e-5)


def test_only_a_perceptron_is_steered() -> None:
    with complains("agent.network", "mlp"):
        steered({"cell": jnp.zeros(3)}, -1, jnp.zeros(3))
