"""Keys that are split without loops give the numbers of JAX's own."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from robustsim.sim.keys import for_environments

DRAWS: dict[str, Callable[[Any], Any]] = {
    "split": lambda key: jax.random.key_data(jax.random.split(key, (3, 2))),
    "fold_in": lambda key: jax.random.key_data(jax.random.fold_in(key, 9)),
    "uniform": lambda key: jax.random.uniform(key, (7, 3)),
    "normal": lambda key: jax.random.normal(key, (5,)),
    "randint": lambda key: jax.random.randint(key, (4,), 0, 10),
    "bits": lambda key: jax.random.bits(key, (3,), "uint8"),
    "permutation": lambda key: jax.random.permutation(key, 20),
    "choice": lambda key: jax.random.choice(key, 5, (2,), replace=False),
}


@pytest.mark.same_keys
@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("seed", [0, 12345])
def test_the_numbers_are_the_same(name: str, seed: int) -> None:
    key = jax.random.key(seed)
    np.testing.assert_array_equal(DRAWS[name](key), DRAWS[name](for_environments(key)))
    np.testing.assert_array_equal(DRAWS[name](key), jax.jit(DRAWS[name])(for_environments(key)))


@pytest.mark.same_keys
def test_64_bits_are_the_same() -> None:
    with jax.enable_x64(True):
        key = jax.random.key(3)
        np.testing.assert_array_equal(jax.random.uniform(key, (5,)), jax.random.uniform(for_environments(key), (5,)))
