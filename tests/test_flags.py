"""Flags that share words are the same flags again."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robustsim.sim.flags import pack, unpack


@given(flags=st.integers(0, 70), envs=st.integers(1, 5), seed=st.integers(0, 2**31 - 1))
def test_a_tree_comes_back_as_it_was(flags: int, envs: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    tree = {
        "flags": [jnp.asarray(chance.random(envs) < 0.5) for _ in range(flags)],
        "grid": jnp.asarray(chance.random((envs, 3)) < 0.5),  # flags of another shape stay as they are
        "place": jnp.arange(envs, dtype=jnp.int32),
        "none": None,
        "value": jnp.asarray(chance.random(envs), jnp.float32),
    }
    packed = pack(tree, (envs,))
    assert len(packed.words) == -(-flags // 31)
    again = unpack(packed)
    assert jax.tree.structure(again) == jax.tree.structure(tree)
    assert all(a.dtype == b.dtype for a, b in zip(*map(jax.tree.leaves, (again, tree)), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (again, tree)), strict=True))
    stacked = unpack(jax.tree.map(lambda x: jnp.stack([x, x]), packed))
    assert all(np.array_equal(a[1], b) for a, b in zip(*map(jax.tree.leaves, (stacked, tree)), strict=True))
