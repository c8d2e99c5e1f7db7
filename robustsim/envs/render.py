"""Pictures of gridworld levels: RGB tiles and terminal drawings. NumPy, on the host."""

import numpy as np

from robustsim.envs import layout, maps
from robustsim.envs.layout import GridState, Layout

TILE = 24
COLOURS = {
    "wall": (58, 62, 71),
    "floor": (238, 236, 229),
    "zone": (221, 228, 236),
    "hazard": (214, 96, 77),
    "door": (140, 98, 57),
    "agent": (38, 103, 172),
    "signal": (252, 92, 60),
    "dark": (96, 100, 110),
}


def _disc(radius: float) -> np.ndarray:
    """bool[TILE, TILE], a filled disc."""
    axis = np.arange(TILE) - (TILE - 1) / 2
    return axis[:, None] ** 2 + axis[None, :] ** 2 <= (radius * TILE) ** 2


KINDS = {layout.Wall: "wall", layout.Hazard: "hazard", layout.Door: "door"}


def _cell_colour(entry: layout.Legend | None, character: str, signal: bool) -> tuple[int, int, int]:
    if isinstance(entry, layout.Signal):
        return COLOURS["signal" if signal else "dark"]
    bare = {maps.WALL: "wall", maps.FLOOR: "floor"}.get(character, "zone")
    return COLOURS[bare if entry is None else KINDS[type(entry)]]


def picture(grid: Layout, state: GridState, signal: bool = False) -> np.ndarray:
    """uint8[height * TILE, width * TILE, 3], the level as an image; `signal`: whether the signal is on."""
    characters = grid.level.characters
    height, width = characters.shape
    image = np.zeros((height, width, TILE, TILE, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            image[y, x] = _cell_colour(grid.legend.get(characters[y, x]), characters[y, x], signal)
            if characters[y, x] != maps.WALL:
                image[y, x, 0, :] = image[y, x, :, 0] = np.array(image[y, x, 2, 2]) * 0.92
    cells = grid.level.cells
    for item, place, taken in zip(grid.items.values(), np.asarray(state.items), np.asarray(state.taken), strict=True):
        if not taken:
            image[tuple(cells[place])][_disc(0.30)] = item.colour
    image[tuple(cells[int(state.agent)])][_disc(0.38)] = COLOURS["agent"]
    return image.transpose(0, 2, 1, 3, 4).reshape(height * TILE, width * TILE, 3)


def drawing(grid: Layout, state: GridState) -> str:
    """The level as text: 'A' is the agent, an item is the first letter of its name in lower case."""
    characters = grid.level.characters.copy()
    cells = grid.level.cells
    for name, place, taken in zip(grid.items, np.asarray(state.items), np.asarray(state.taken), strict=True):
        if not taken:
            characters[tuple(cells[place])] = name[0].lower()
    characters[tuple(cells[int(state.agent)])] = "A"
    return "\n".join("".join(row) for row in characters)
