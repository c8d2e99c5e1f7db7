"""Levels as ASCII maps: parsing, neighbours and shortest paths. NumPy and SciPy, done once when a scenario is built."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.sparse.csgraph import shortest_path

from robustsim.errors import UserError

WALL, FLOOR = "#", "."
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # rows and columns
UP, RIGHT, DOWN, LEFT = range(4)  # the actions
UNREACHABLE = np.int16(30_000)


@dataclass(frozen=True)
class Map:
    """A parsed map. Walkable cells are numbered row by row; all arrays are over these C cells.

    Attributes:
      rows: the lines of the map, padded to one width.
      solid: the characters of cells that cannot be entered.
    """

    rows: tuple[str, ...]
    solid: frozenset[str]

    @property
    def cells(self) -> np.ndarray:
        """int[C, 2], row and column of each walkable cell."""
        return np.argwhere(~np.isin(self.characters, list(self.solid)))

    @property
    def characters(self) -> np.ndarray:
        """The map as a character array [height, width]."""
        return np.array([list(row) for row in self.rows])

    def zone(self, characters: str) -> np.ndarray:
        """bool[C], the cells whose character is one of `characters`."""
        at = self.characters[tuple(self.cells.T)]
        return np.isin(at, list(characters))


def parse(text: str, solid: frozenset[str], known: frozenset[str]) -> Map:
    """Reads an ASCII map.

    Raises:
      UserError: an empty map, a character that is not `known`, or an open border.
    """
    rows = [row.rstrip() for row in text.strip("\n").splitlines()]
    if not any(rows):
        raise UserError("map: it is empty; draw walls as '#' and floor as '.'")
    width = max(map(len, rows))
    rows = [row.replace(" ", FLOOR).ljust(width, WALL) for row in rows]
    for y, x in np.ndindex(len(rows), width):
        character = rows[y][x]
        if character not in known:
            raise UserError(
                f"map: {character!r} at row {y}, column {x} is used by nothing; allowed: {' '.join(sorted(known))} "
                "(name others in `zones`, `legend`, `agent` or an item)"
            )
        on_border = y in (0, len(rows) - 1) or x in (0, width - 1)
        if on_border and character not in solid:
            raise UserError(f"map: row {y}, column {x} is open; close the border with '#'")
    return Map(tuple(rows), solid)


@lru_cache(maxsize=64)
def neighbours(level: Map) -> np.ndarray:
    """int32[C, 4], the cell that each move leads to; a move into a wall stays."""
    index = {tuple(cell): i for i, cell in enumerate(level.cells.tolist())}
    table = [[index.get((y + dy, x + dx), i) for dy, dx in MOVES] for (y, x), i in index.items()]
    return np.array(table, np.int32)


def _all_distances(reach: np.ndarray) -> np.ndarray:
    """int16[C, C], moves from each cell to each other, on bool[C, C] adjacency."""
    found = shortest_path(reach, unweighted=True)
    return np.where(np.isfinite(found), found, UNREACHABLE).astype(np.int16)


def _adjacency(level: Map) -> np.ndarray:
    table = neighbours(level)
    reach = np.zeros((len(table), len(table)), bool)
    reach[np.arange(len(table))[:, None], table] = True
    return reach


@lru_cache(maxsize=64)
def distances(level: Map) -> np.ndarray:
    """int16[C, C], the fewest moves between two cells (UNREACHABLE if there is no path). Doors count as open."""
    return _all_distances(_adjacency(level))


@lru_cache(maxsize=16)
def detours(level: Map) -> np.ndarray:
    """int16[C, C, C], indexed [blocked, start, end]: the fewest moves that never enter the cell `blocked`."""
    reach = _adjacency(level)
    return np.stack([_all_distances(reach & (np.arange(len(reach)) != blocked)) for blocked in range(len(reach))])


def room(height: int, width: int | None = None) -> str:
    """An empty room as a map, outer walls included: `height` x `width` characters."""
    width = height if width is None else width
    if height < 3 or width < 3:
        raise UserError(f"size: a room of {height} x {width} has no floor; use at least 3 x 3")
    return "\n".join([WALL * width, *[WALL + FLOOR * (width - 2) + WALL] * (height - 2), WALL * width])


def paint(text: str, character: str, rows: range, columns: range) -> str:
    """A copy of a map in which the floor cells of a rectangle carry `character`: a zone for placing items."""
    lines = [list(line) for line in text.strip("\n").splitlines()]
    for y in rows:
        for x in columns:
            if lines[y][x] == FLOOR:
                lines[y][x] = character
    return "\n".join("".join(line) for line in lines)
