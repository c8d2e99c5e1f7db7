"""Pictures of gridworld levels: RGB tiles and terminal drawings, and what the things in them mean. On the host."""

import re
import string
from itertools import chain

import numpy as np

from robustsim.envs import layout, maps
from robustsim.envs.layout import GridState, Layout
from robustsim.recording import Sign

Colour = tuple[int, int, int]

TILE = 24
COLOURS: dict[str, Colour] = {
    "wall": (58, 62, 71),
    "floor": (238, 236, 229),
    "hazard": (214, 96, 77),
    "door": (140, 98, 57),
    "agent": (38, 103, 172),
    "signal": (252, 92, 60),
    "dark": (96, 100, 110),
}
ZONES: tuple[Colour, ...] = ((208, 221, 236), (222, 212, 236), (214, 230, 208), (240, 222, 200), (232, 208, 214))
KINDS = {layout.Wall: "wall", layout.Hazard: "hazard", layout.Door: "door", layout.Signal: "dark"}


def _disc(radius: float) -> np.ndarray:
    """bool[TILE, TILE], a filled disc."""
    axis = np.arange(TILE) - (TILE - 1) / 2
    return axis[:, None] ** 2 + axis[None, :] ** 2 <= (radius * TILE) ** 2


def zones(grid: Layout) -> dict[str, Colour]:
    """The colour of each map character that is floor of which predicates speak; one for those of one label."""
    found: dict[str, Colour] = {}
    labels: dict[str, Colour] = {}
    for character in (*grid.zones, *(c for c, entry in grid.legend.items() if isinstance(entry, layout.Floor))):
        entry = grid.legend.get(character)
        if isinstance(entry, layout.Floor) and entry.colour:
            found[character] = entry.colour
        else:
            found[character] = labels.setdefault(_label(grid, character), ZONES[len(labels) % len(ZONES)])
    return found


def _label(grid: Layout, character: str) -> str:
    entry = grid.legend.get(character)
    return (entry.label if isinstance(entry, layout.Floor) else "") or f"zone {character}"


def legend(grid: Layout) -> tuple[Sign, ...]:
    """What the things in pictures and drawings of a grid mean, but for walls and bare floor."""
    symbols, areas = symbols_of(grid), zones(grid)
    found = [Sign(symbols[""], COLOURS["agent"], "disc", "agent")]
    for (kind, colour), names in _kinds(grid).items():
        count = f" ({len(names)} of them)" if len(names) > 1 else ""
        found.append(Sign(symbols[names[0]], colour, "disc", kind + count))
    labels: dict[tuple[str, Colour], str] = {}
    for character, colour in areas.items():
        key = _label(grid, character), colour
        labels[key] = labels.get(key, "") + character
    found += [Sign(characters, colour, "cell", label) for (label, colour), characters in labels.items()]
    for character, entry in grid.legend.items():
        if isinstance(entry, layout.Signal):
            found.append(
                Sign(character, COLOURS["signal"], "cell", "signal, lit while it shows that the agent is watched")
            )
        elif isinstance(entry, layout.Hazard):
            found.append(Sign(character, COLOURS["hazard"], "cell", "hazard"))
        elif isinstance(entry, layout.Door):
            found.append(Sign(character, COLOURS["door"], "cell", f"door, opened by {entry.key}"))
    return tuple(found)


def _kinds(grid: Layout) -> dict[tuple[str, Colour], list[str]]:
    """The names of items that look alike, by what they have in common: "key 0" and "key 1" are keys."""
    found: dict[tuple[str, Colour], list[str]] = {}
    for name, item in grid.items.items():
        found.setdefault((re.sub(r"[\s_-]*\d+$", "", name) or name, item.colour), []).append(name)
    return found


def symbols_of(grid: Layout) -> dict[str, str]:
    """The character of each item in a drawing, and of the agent (""): a letter of its name that nothing else has."""
    used = {maps.WALL, maps.FLOOR, *zones(grid), *grid.legend}
    agent = next(c for c in chain("A@", string.ascii_uppercase) if c not in used)
    found = {"": agent}
    used.add(agent)
    for (kind, _), names in _kinds(grid).items():
        letters = (c for c in chain(kind.lower(), string.ascii_lowercase, string.digits) if c.isalnum())
        symbol = next((c for c in letters if c not in used), "?")
        used.add(symbol)
        found |= dict.fromkeys(names, symbol)
    return found


def _cell_colour(grid: Layout, character: str, signal: bool) -> Colour:
    entry, areas = grid.legend.get(character), zones(grid)
    if isinstance(entry, layout.Signal) and signal:
        return COLOURS["signal"]
    if character in areas:
        return areas[character]
    if entry is not None:
        return COLOURS[KINDS[type(entry)]]
    return COLOURS["wall" if character == maps.WALL else "floor"]


def picture(grid: Layout, state: GridState, signal: bool = False) -> np.ndarray:
    """uint8[height * TILE, width * TILE, 3], the level as an image; `signal`: whether the signal is on."""
    characters = grid.level.characters
    height, width = characters.shape
    colours = {character: _cell_colour(grid, character, signal) for character in np.unique(characters)}
    image = np.zeros((height, width, TILE, TILE, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            image[y, x] = colours[characters[y, x]]
            if characters[y, x] != maps.WALL:
                image[y, x, 0, :] = image[y, x, :, 0] = np.array(image[y, x, 2, 2]) * 0.92
    cells = grid.level.cells
    for item, place, taken in zip(grid.items.values(), np.asarray(state.items), np.asarray(state.taken), strict=True):
        if not taken:
            image[tuple(cells[place])][_disc(0.30)] = item.colour
    image[tuple(cells[int(state.agent)])][_disc(0.38)] = COLOURS["agent"]
    return image.transpose(0, 2, 1, 3, 4).reshape(height * TILE, width * TILE, 3)


def drawing(grid: Layout, state: GridState) -> str:
    """The level as text, with the characters that :func:`legend` explains."""
    told, symbols = {maps.WALL, *zones(grid), *grid.legend}, symbols_of(grid)
    characters = np.where(np.isin(grid.level.characters, list(told)), grid.level.characters, maps.FLOOR)
    cells = grid.level.cells
    for name, place, taken in zip(grid.items, np.asarray(state.items), np.asarray(state.taken), strict=True):
        if not taken:
            characters[tuple(cells[place])] = symbols[name]
    characters[tuple(cells[int(state.agent)])] = symbols[""]
    return "\n".join("".join(row) for row in characters)
