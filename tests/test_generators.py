"""The level generators: connected, closed, and with the distances that breadth-first search gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complains
from hypothesis import given, settings
from hypothesis import strategies as st

import robustsim as rs
from robustsim.envs import generators, maps


def numpy_distances(walls: np.ndarray, goal: tuple[int, int]) -> np.ndarray:
    """Breadth-first search with a queue, to compare with."""
    table = np.full(walls.shape, generators.FAR)
    table[goal], queue = 0, [goal]
    while queue:
        y, x = queue.pop(0)
        for dy, dx in maps.MOVES:
            cell = (y + dy, x + dx)
            if not walls[cell] and table[cell] == generators.FAR:
                table[cell] = table[y, x] + 1
                queue.append(cell)
    return table


def closed(walls: np.ndarray) -> bool:
    return bool(walls[0].all() and walls[-1].all() and walls[:, 0].all() and walls[:, -1].all())


@given(seed=st.integers(0, 2**31), loops=st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=25)
def test_a_maze_is_closed_and_connected(seed: int, loops: float) -> None:
    walls = np.asarray(generators.maze(jax.random.key(seed), 9, 13, loops))
    assert walls.shape == (9, 13)
    assert closed(walls)
    table = numpy_distances(walls, (1, 1))
    assert (table[~walls] < generators.FAR).all()
    nodes, edges = 4 * 6, 4 * 5 + 3 * 6
    doors = int((~walls).sum()) - nodes
    if loops == 0.0:
        assert doors == nodes - 1  # a tree: exactly one way between any two places
    elif loops == 1.0:
        assert doors == edges
    np.testing.assert_array_equal(generators.distances(jnp.asarray(walls), jnp.array([1, 1])), table)


def test_every_spanning_tree_of_four_rooms_comes_up() -> None:
    keys = jax.random.split(jax.random.key(0), 400)
    walls = np.asarray(jax.vmap(lambda k: generators.rooms(k, 2, 2, 1, 0.0))(keys))
    kinds, counts = np.unique(walls.reshape(400, -1), axis=0, return_counts=True)
    assert len(kinds) == 4
    assert counts.min() > 60


def test_rooms_have_doors_of_one_cell() -> None:
    walls = np.asarray(generators.rooms(jax.random.key(3), 2, 3, 3, 0.0))
    assert walls.shape == (9, 13)
    assert int((~walls).sum()) == 6 * 9 + 5
    assert (numpy_distances(walls, (1, 1))[~walls] < generators.FAR).all()


@given(seed=st.integers(0, 2**31), density=st.sampled_from([0.0, 0.2, 0.45]))
@settings(max_examples=25)
def test_clutter_leaves_no_cell_cut_off(seed: int, density: float) -> None:
    walls = np.asarray(generators.clutter(jax.random.key(seed), 8, 8, density))
    assert closed(walls)
    free = np.argwhere(~walls)
    assert len(free) > 0
    assert (numpy_distances(walls, tuple(free[0]))[~walls] < generators.FAR).all()
    if density == 0.0:
        np.testing.assert_array_equal(walls, generators.field(8, 8))


def test_places_are_free_and_different() -> None:
    walls = generators.corridor(9)
    cells = np.asarray(jax.vmap(lambda k: generators.place(k, walls, 7))(jax.random.split(jax.random.key(0), 50)))
    assert (np.sort(cells[:, :, 1], axis=1) == np.arange(1, 8)).all()
    first = cells[:, 0, 1]
    assert len(np.unique(first)) == 7


def test_a_generated_maze_is_a_map_for_the_grid() -> None:
    drawn = generators.text(generators.maze(jax.random.key(1), 7, 7))
    grid = rs.Grid(map=drawn, items={"coin": rs.Item(reward=1.0, ends=True)})
    assert len(grid.level.cells) == 9 + 8
    env = grid.environment()
    obs, _ = env.reset(jax.random.key(0), grid.levels())
    assert obs.shape == (env.observation_size,)


@pytest.mark.parametrize(("height", "width", "named"), [(8, 9, ("height", 8)), (9, 1, ("width", 1))])
def test_a_maze_of_an_even_side_is_refused(height: int, width: int, named: tuple) -> None:
    with complains(*named):
        generators.maze(jax.random.key(0), height, width)
