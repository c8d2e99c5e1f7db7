"""Level generators: mazes, rooms, open fields and corridors as wall arrays, and distances in them.

All are pure, jitted functions with fixed shapes, so one `vmap` makes thousands of levels. In a wall array,
bool[height, width], True is wall, and the border is closed. :func:`text` converts one into an ASCII map for a
:class:`robustsim.envs.gridworld.Grid`.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.envs.maps import FLOOR, MOVES, WALL
from robustsim.errors import UserError
from robustsim.types import Array

FAR = 2**20  # the distance of unreachable cells


def maze(key: Array, height: int, width: int, loops: float = 0.0) -> Array:
    """bool[height, width], a maze with corridors of one cell. The key is consumed.

    A random spanning tree (Kruskal 1956) over the cells with odd coordinates gives exactly one path between any two
    cells. Each remaining wall between two of them is then opened with probability `loops`.

    Raises:
      UserError: a side that is even or below 3.
    """
    for name, side in (("height", height), ("width", width)):
        if side < 3 or side % 2 == 0:
            raise UserError(f"{name}: {side} is not allowed in a maze; use an odd number of at least 3")
    return rooms(key, height // 2, width // 2, 1, loops)


@partial(jax.jit, static_argnums=(1, 2, 3))
def rooms(key: Array, rows: int, columns: int, side: int, loops: float | Array = 0.0) -> Array:
    """bool[rows * (side + 1) + 1, columns * (side + 1) + 1], square rooms joined by doors of one cell.

    The doors form a random spanning tree over the rooms; each other wall between two rooms gets a door with
    probability `loops`. The key is consumed.
    """
    pitch = side + 1
    grid = np.arange(rows * columns).reshape(rows, columns)
    pairs = np.concatenate(
        [
            np.stack([grid[:, :-1].ravel(), grid[:, 1:].ravel()], 1),
            np.stack([grid[:-1].ravel(), grid[1:].ravel()], 1),
        ]
    )
    solid = [np.arange(count * pitch + 1) % pitch == 0 for count in (rows, columns)]
    walls = solid[0][:, None] | solid[1]
    if not len(pairs):
        return jnp.asarray(walls)
    key_order, key_extra, key_door = jax.random.split(key, 3)
    order = jax.random.permutation(key_order, len(pairs))
    extra = jax.random.bernoulli(key_extra, loops, (len(pairs),))
    offset = jax.random.randint(key_door, (len(pairs),), 0, side)

    def join(labels: Array, index: Array) -> tuple[Array, Array]:
        a, b = labels[jnp.asarray(pairs)[index]]
        return jnp.where(labels == b, a, labels), a != b

    _, tree = jax.lax.scan(join, jnp.arange(rows * columns), order)
    opened = extra.at[order].max(tree)
    first, second = np.stack(np.unravel_index(pairs.T, grid.shape), -1)  # each int[E, 2]
    beside = first[:, 0] == second[:, 0]  # a wall between two rooms of one row is vertical
    top, left = first[:, 0] * pitch + 1, first[:, 1] * pitch + 1
    y = jnp.where(beside, top + offset, top + side)
    x = jnp.where(beside, left + side, left + offset)
    return jnp.asarray(walls).at[y, x].min(~opened)


def field(height: int, width: int) -> Array:
    """bool[height, width], an open field."""
    inside = np.ones((height, width), bool)
    inside[1:-1, 1:-1] = False
    return jnp.asarray(inside)


def corridor(length: int) -> Array:
    """bool[3, length], one row of floor."""
    return field(3, length)


@partial(jax.jit, static_argnums=(1, 2))
def clutter(key: Array, height: int, width: int, density: float | Array) -> Array:
    """bool[height, width], a field in which each cell is a wall with probability `density`.

    Cells that are not connected to the largest region are filled, so that all floor is connected. The key is consumed.
    """
    walls = field(height, width) | jax.random.bernoulli(key, density, (height, width))
    # Regions: every open cell takes the largest number among its neighbours until nothing changes.
    numbers = jnp.where(walls, 0, 1 + jnp.arange(height * width).reshape(height, width))

    labels = _settled(lambda known: jnp.where(walls, 0, jnp.maximum(known, _around(known).max(0))), numbers)
    sizes = jnp.zeros(height * width + 1, jnp.int32).at[labels.ravel()].add(1).at[0].set(0)
    return labels != jnp.argmax(sizes)


@jax.jit
def distances(walls: Array, goal: Array) -> Array:
    """int32[height, width], the fewest moves to the cell `goal`, int[2]; FAR for walls and unreachable cells."""
    start = jnp.full(walls.shape, FAR, jnp.int32).at[goal[0], goal[1]].set(0)

    return _settled(lambda known: jnp.where(walls, FAR, jnp.minimum(known, _around(known).min(0) + 1)), start)


def _around(values: Array) -> Array:
    """[4, height, width], the values of each cell's neighbours."""
    return jnp.stack([jnp.roll(values, move, (0, 1)) for move in MOVES])


def _settled(update: Callable[[Array], Array], start: Array) -> Array:
    """What `update`, applied again and again, no longer changes."""

    def again(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        new = update(carry[0])
        return new, jnp.any(new != carry[0])

    return jax.lax.while_loop(lambda carry: carry[1], again, (start, jnp.bool_(True)))[0]


@partial(jax.jit, static_argnums=2)
def place(key: Array, walls: Array, count: int) -> Array:
    """int32[count, 2], that many different free cells, each choice equally likely. The key is consumed."""
    noise = jnp.where(walls, -1.0, jax.random.uniform(key, walls.shape)).ravel()
    _, chosen = jax.lax.top_k(noise, count)
    return jnp.stack(jnp.unravel_index(chosen, walls.shape), -1).astype(jnp.int32)


@lru_cache(maxsize=64)
def maze_map(number: int, height: int, width: int, loops: float = 0.0) -> str:
    """The ASCII map of one maze, for scenario factories, which run during tracing."""
    with jax.ensure_compile_time_eval():
        return text(maze(jax.random.key(number), height, width, loops))


def text(walls: Array) -> str:
    """A wall array as an ASCII map."""
    return "\n".join("".join(WALL if solid else FLOOR for solid in row) for row in np.asarray(walls))
