"""Sparse vectors against the dense ones that they stand for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robustsim import catalogue
from robustsim.sparse import Sparse
from robustsim.spec.loading import load


def some() -> Sparse:
    """Three vectors of length 9: two entries in 0:4, which may add up, one in 4:8, and one at 8."""
    return Sparse(
        places=jnp.asarray([[1, 1, 5, 8], [0, 3, 4, 8], [2, 0, 7, 8]], jnp.int32),
        values=jnp.asarray([[1.0, 2.0, 3.0, 0.5], [1.0, 1.0, 0.0, 0.0], [4.0, 1.0, 1.0, 1.0]]),
        ranges=((0, 4), (0, 4), (4, 8), (8, 9)),
    )


DENSE = np.array([[0, 3, 0, 0, 0, 3, 0, 0, 0.5], [1, 0, 0, 1, 0, 0, 0, 0, 0], [1, 0, 4, 0, 0, 0, 0, 1, 1]], np.float32)


def test_a_sparse_vector_is_the_dense_one() -> None:
    assert some().size == 9
    np.testing.assert_array_equal(some().dense(), DENSE)
    np.testing.assert_array_equal(some().transposed(), DENSE.T)
    np.testing.assert_array_equal(some().flat().dense(), DENSE)
    kernel = jax.random.normal(jax.random.key(0), (9, 5))
    np.testing.assert_allclose(some().across(kernel), DENSE @ kernel, atol=1e-6)


def test_an_entry_can_be_added_at_the_end() -> None:
    longer = some().and_one_more(jnp.asarray([True, False, True]))
    assert longer.size == 10
    np.testing.assert_array_equal(longer.dense(), np.hstack([DENSE, [[1], [0], [1]]]))


GRIDS = [name for name in sorted(catalogue.installed()) if load(name)(**load(name).defaults).env.sparse is not None]


@pytest.mark.same_keys
@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_shows_the_same_either_way(name: str) -> None:
    factory = load(name)
    scenario = factory(**factory.defaults)
    env, levels = scenario.env, scenario.deployment_levels
    assert env.sparse is not None
    assert env.place is not None

    def play(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        key_reset, key_steps = jax.random.split(key)
        first, state = env.reset(key_reset, levels)
        placed, _ = env.place(jax.random.uniform(key_reset, (env.draws,)), levels)

        def step(state: object, key: jax.Array) -> tuple[object, tuple[jax.Array, jax.Array]]:
            key_act, key_env = jax.random.split(key)
            after = env.step(key_env, state, jax.random.randint(key_act, (), 0, env.num_actions), levels)
            return after.state, (after.obs, env.sparse(after.state).dense())

        _, (dense, sparse) = jax.lax.scan(step, state, jax.random.split(key_steps, 30))
        return jnp.vstack([first, dense]), jnp.vstack([placed, sparse])

    dense, sparse = jax.jit(jax.vmap(play))(jax.random.split(jax.random.key(1), 8))
    np.testing.assert_array_equal(dense, sparse)
