"""Random keys for environments: the numbers of threefry2x32, without its loops.

An environment splits its key in every step. On a CPU each of JAX's own splits is five loops of 18 small launches, which
cost more than the step; written out they are one.
"""

import math

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl

from robustsim.types import Array

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))  # Salmon et al. 2011, table 2
PARITY = 0x1BD11BDA


def _threefry(key: Array, low: Array) -> tuple[Array, Array]:
    """The two words of counters (0, low) under a key uint32[2]."""
    words = key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(PARITY)
    x, y = jnp.zeros_like(low) + words[0], low + words[1]
    for i in range(5):
        for r in ROTATIONS[i % 2]:
            x = x + y
            y = x ^ ((y << r) | (y >> (32 - r)))
        x, y = x + words[(i + 1) % 3], y + words[(i + 2) % 3] + jnp.uint32(i + 1)
    return x, y


def _counters(shape: tuple[int, ...]) -> Array:
    return jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.stack(_threefry(key, _counters(shape)), -1)


def _bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
    x, y = _threefry(key, _counters(shape))
    if width == 64:
        return x.astype(jnp.uint64) << 32 | y.astype(jnp.uint64)
    return (x ^ y).astype(f"uint{width}")


def _fold_in(key: Array, data: Array | int) -> Array:
    return jnp.stack(_threefry(key, jnp.asarray(data).astype(jnp.uint32)))


def _seed(seed: Array) -> Array:
    return jnp.stack([jnp.uint32(0), jnp.asarray(seed).astype(jnp.uint32)])


WRITTEN_OUT = define_prng_impl(
    key_shape=(2,), seed=_seed, split=_split, random_bits=_bits, fold_in=_fold_in, name="threefry_flat", tag="flat"
)


def for_environments(keys: Array) -> Array:
    """The same keys, for an environment to split. An accelerator has a kernel of its own for JAX's."""
    if jax.default_backend() != "cpu":
        return keys
    return jax.random.wrap_key_data(jax.random.key_data(keys), impl=WRITTEN_OUT)
