"""The layout of a gridworld: a place is described, and predicates are made from it by name.

Actions are up, right, down and left (0 to 3); a bump into a wall stays. Things are placed at random, never two on one
cell. The observation is symbolic: one-hot places, so that the first layer of a network stays small.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.envs import maps
from robustsim.errors import UserError, nearest
from robustsim.pytree import pytree, static
from robustsim.types import Array, Predicate, Transition


@dataclass(frozen=True)
class Item:
    """Something to pick up by walking onto it.

    Attributes:
      at: the map characters on whose cells it may lie; "" means that it is there in the other levels only.
      elsewhere: in the share `elsewhere` of the levels (see :class:`LevelParams`) it lies on these characters instead;
        "" means that it is not there at all.
      on: the name of an item listed before, with which it shares a cell except in the share `elsewhere` of the levels.
      features: how it looks. Items with features are seen by them and not by their names, so that a yellow line and a
        red line have one thing in common.
      reward: what picking it up pays.
      ends: whether picking it up ends the episode.
      fixed: whether it stays where it is, and cannot be picked up.
      colour: red, green, blue of its picture, 0 to 255.
    """

    at: str = maps.FLOOR
    elsewhere: str | None = None
    on: str = ""
    features: tuple[str, ...] = ()
    reward: Any = 0.0
    ends: bool = False
    fixed: bool = False
    colour: tuple[int, int, int] = (230, 170, 30)


@dataclass(frozen=True)
class Floor:
    """A legend entry: floor of which only predicates speak, as pictures show it.

    Attributes:
      label: what it is called where a picture is explained.
      colour: red, green, blue, 0 to 255; by default one of its own.
    """

    label: str = ""
    colour: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Wall:
    """A legend entry: cannot be entered."""


@dataclass(frozen=True)
class Signal:
    """A legend entry: a wall that shows whether the signal of being watched is on."""


@dataclass(frozen=True)
class Hazard:
    """A legend entry: floor that pays `reward` at every entry and, if `ends`, ends the episode."""

    reward: Any = -1.0
    ends: bool = False


@dataclass(frozen=True)
class Door:
    """A legend entry: floor that can be entered only once the item `key` has been picked up."""

    key: str


Legend = Floor | Wall | Signal | Hazard | Door
SOLID = (Wall, Signal)


@pytree
class LevelParams:
    """The numbers of a level distribution."""

    elsewhere: Array | float = 0.0  # share of levels in which items lie on their `elsewhere` cells
    signal: Array | float = 0.0  # the same while the agent sees a signal, for scenarios that `arrange` their levels
    limit: Array | int = 2**30  # time limit of the other levels in environment steps, if below that of the grid


class Counters(dict[str, Array]):
    """What was counted so far in an episode: int32[] by name, in the order in which the counters were given."""

    def __missing__(self, name: str) -> Array:
        raise UserError(f"counter {name!r} is not in the grid; {nearest(name, self)}")

    def __or__(self, others: Mapping[str, Array]) -> "Counters":  # pyright: ignore[reportIncompatibleMethodOverride]
        return Counters({**self, **others})


jax.tree_util.register_pytree_with_keys(
    Counters,
    lambda counters: ([(jax.tree_util.DictKey(name), value) for name, value in counters.items()], tuple(counters)),
    lambda names, values: Counters(zip(names, values, strict=True)),
    lambda counters: (tuple(counters.values()), tuple(counters)),
)


@pytree
class GridState:
    """The state of one level. Cells are numbered as in :class:`robustsim.envs.maps.Map`.

    The items stand in the order of `names`; :class:`Grid` has functions that read a state by name.
    """

    agent: Array  # int32[], the cell the agent stands on
    start: Array  # int32[], the cell it started from
    items: Array  # int32[items], the cell of each item
    taken: Array  # bool[items], whether it was picked up, or is not there in this level
    opened: Array  # bool[doors]
    counters: Counters  # int32[] each
    moved: Array  # bool[], whether this is one of the levels `elsewhere`
    limit: Array  # int32[], time limit of this episode
    time: Array  # int32[], environment steps since the reset
    names: tuple[str, ...] = static()  # of the items


@dataclass(frozen=True)
class Layout:
    """A place, described. :meth:`environment` makes it run; the other methods make predicates and quantities.

    Where a method takes `what`, that is one or more names or features of items: `took("gold")`, `left("apple")`,
    `took("coin", "gold")`.

    Attributes:
      map: the ASCII map: '#' wall, '.' or ' ' floor. Any other character names a zone, and is refused where nothing
        here mentions it.
      items: things to pick up, by name.
      agent: the map characters on whose cells the agent may start.
      zones: map characters of plain floor that only predicates speak of; those in the legend, as `Floor`, have a label.
      legend: the map characters that are more than floor, or that have a label.
      max_steps: time limit in environment steps; the episode is then truncated.
      step_reward: reward of every step.
    """

    map: str
    items: Mapping[str, Item] = field(default_factory=dict)
    agent: str = maps.FLOOR
    zones: str = ""
    legend: Mapping[str, Legend] = field(default_factory=dict)
    max_steps: int = 32
    step_reward: Any = 0.0

    def __post_init__(self) -> None:
        if self.max_steps < 1:
            raise UserError(f"max_steps: {self.max_steps} is not allowed; use a whole number of at least 1")
        places = self._places()
        for name, place in places.items():
            if not self.level.zone(place).any():
                raise UserError(f"{name}: no cell of the map has one of the characters {place!r}")
        for field_, characters in (("zones", self.zones), ("legend", self.legend)):
            for character in characters:
                if character not in self.level.characters:
                    raise UserError(f"{field_}: {character!r} is not on the map; its characters: {self._letters()}")
        for character in self.zones:
            if character in self.legend:
                raise UserError(f"zones: {character!r} is not allowed, for it is in the legend; leave one of them out")
        used = {maps.WALL, maps.FLOOR, *self.legend, *self.zones, *"".join(places.values())}
        maps.parse(self.map, self.level.solid, frozenset(used))  # refuses letters that nothing uses: they are typos
        for door in self.doors().values():
            self.item_index(door.key)
        for index, (name, item) in enumerate(self.items.items()):
            if item.on and self.item_index(item.on) >= index:
                raise UserError(f"item {name!r}: on={item.on!r} is not allowed; name an item that is listed before it")

    # --- what the description says, as tables over cells ---

    @property
    def level(self) -> maps.Map:
        """The parsed map."""
        solid = frozenset({maps.WALL, *(c for c, entry in self.legend.items() if isinstance(entry, SOLID))})
        return maps.parse(self.map, solid, frozenset({maps.WALL, maps.FLOOR, *self.map}))

    def _places(self) -> dict[str, str]:
        """The map characters on which each thing may lie."""
        for name, item in self.items.items():
            if not item.at and not item.elsewhere:
                raise UserError(f"item {name!r}: at='' is not allowed without `elsewhere`; say where it lies")
        places = {"agent": self.agent, **{name: item.at for name, item in self.items.items() if item.at}}
        return places | {f"{n} (elsewhere)": i.elsewhere for n, i in self.items.items() if i.elsewhere}

    def _letters(self) -> str:
        return " ".join(sorted(set(self.level.characters.ravel().tolist())))

    def _zone(self, method: str, characters: str) -> np.ndarray:
        """bool[C], the cells with one of the map characters; there must be one."""
        zone = self.level.zone(characters)
        if not zone.any():
            raise UserError(
                f"{method}: no cell of the map has one of the characters {characters!r}; it has {self._letters()}"
            )
        return zone

    def doors(self) -> dict[str, Door]:
        """The doors of the legend, by map character."""
        return {c: entry for c, entry in self.legend.items() if isinstance(entry, Door)}

    def item_index(self, name: str) -> int:
        """Where the item `name` stands in the arrays of a state."""
        if name not in self.items:
            raise UserError(f"item {name!r} is not in the grid; {nearest(name, self.items)}")
        return list(self.items).index(name)

    def mask(self, *what: str) -> np.ndarray:
        """bool[items], the items with one of these names or features, for arithmetic over all items at once."""
        words = [{name, *item.features} for name, item in self.items.items()]
        if not what:
            raise UserError(f"items: none is named; name some: {', '.join(sorted(set().union(*words)))}")
        for word in what:
            if not any(word in own for own in words):
                raise UserError(f"item {word!r} is not in the grid; {nearest(word, set().union(*words))}")
        return np.array([not own.isdisjoint(what) for own in words], bool)

    # --- predicates: of a transition, or of a state ---

    def took(self, *what: str) -> Predicate:
        """Whether a transition picked up one of these items."""
        mask = self.mask(*what)
        return lambda tr: jnp.any(mask & tr.after.taken & ~tr.before.taken)

    def entered(self, characters: str) -> Predicate:
        """Whether a transition walked onto a cell with one of the map characters, from another cell."""
        zone = self._zone("entered", characters)
        return lambda tr: jnp.asarray(zone)[tr.after.agent] & (tr.after.agent != tr.before.agent)

    def approached(self, name: str) -> Predicate:
        """Whether a transition came closer to the item `name`, by the shortest way."""
        place = self.place(name)

        def predicate(tr: Transition) -> Array:
            target = place(tr.before)
            return self.distance(tr.after.agent, target) < self.distance(tr.before.agent, target)

        return predicate

    def on(self, characters: str) -> Callable[[GridState], Array]:
        """Whether the agent stands on a cell with one of the map characters, bool[]."""
        zone = self._zone("on", characters)
        return lambda state: jnp.asarray(zone)[state.agent]

    def meets(self, *what: str) -> Callable[[GridState], Array]:
        """Whether the agent stands where one of these items is, bool[]."""
        mask = self.mask(*what)
        return lambda state: jnp.any(mask & ~state.taken & (state.items == state.agent))

    def present(self, *what: str) -> Callable[[GridState], Array]:
        """Whether one of these items is there, and not yet taken, bool[]."""
        mask = self.mask(*what)
        return lambda state: jnp.any(mask & ~state.taken)

    def reachable_without(self, name: str, blocked: int) -> Callable[[GridState], Array]:
        """Whether, from a level's start, the item can be reached in time without entering the cell `blocked`, bool[].

        It is false where the agent starts on that cell, or the item lies there.
        """
        place, table = self.place(name), jnp.asarray(maps.detours(self.level))
        return lambda state: (
            (table[blocked, state.agent, place(state)] <= self.max_steps)
            & (blocked != state.agent)
            & (blocked != place(state))
        )

    # --- quantities ---

    def taken(self, *what: str) -> Callable[[GridState], Array]:
        """How many of these items were taken, or are not there in this level, int32[]."""
        mask = self.mask(*what)
        return lambda state: jnp.sum(mask & state.taken)

    def left(self, *what: str) -> Callable[[GridState], Array]:
        """How many of these items are there, and not yet taken, int32[]."""
        mask = self.mask(*what)
        return lambda state: jnp.sum(mask & ~state.taken)

    def place(self, name: str) -> Callable[[GridState], Array]:
        """The cell of the item `name`, int32[]."""
        index = self.item_index(name)
        return lambda state: state.items[index]

    def places(self, *what: str) -> Callable[[GridState], Array]:
        """The cells of these items, in the order in which the grid lists them: int32[n]."""
        chosen = np.flatnonzero(self.mask(*what))
        return lambda state: state.items[chosen]

    def put(self, state: GridState, name: str, cell: Array) -> GridState:
        """The state in which the item `name` lies on another cell."""
        return dataclasses.replace(state, items=state.items.at[self.item_index(name)].set(cell))

    def cell(self, character: str) -> int:
        """The only cell with this map character."""
        found = np.flatnonzero(self.level.zone(character))
        if len(found) != 1:
            raise UserError(f"cell {character!r}: the map has {len(found)} of them; exactly 1 is needed")
        return int(found[0])

    @property
    def neighbours(self) -> Array:
        """int32[C, 4], the cell that each move leads to from each cell; a move into a wall stays."""
        return jnp.asarray(maps.neighbours(self.level))

    def distance(self, start: Array | int, end: Array | int) -> Array:
        """int32[], the fewest moves between two cells, doors counted as open."""
        return jnp.asarray(maps.distances(self.level))[start, end].astype(jnp.int32)

    def towards(self, name: str) -> Callable[[GridState], Array]:
        """The first move of a shortest way to the item `name`, int32[]."""
        place, table = self.place(name), self.neighbours
        return lambda state: jnp.argmin(self.distance(table[state.agent], place(state))).astype(jnp.int32)

    def step_towards(self, start: Array, goal: Array) -> Array:
        """The next cell, int32[], on a shortest way from one cell to another; for things that move by themselves."""
        table = self.neighbours
        return table[start, jnp.argmin(self.distance(table[start], goal))]

    # --- level distributions ---

    def levels(self, elsewhere: Any = 0.0, *, signal: Any = None, limit: Any = None) -> LevelParams:
        """A level distribution: items lie on their `elsewhere` cells in this share of the levels.

        Args:
          signal: another share for the episodes in which the agent sees the signal (with `arrange=world.arrange`).
          limit: a time limit in environment steps for the levels that are not `elsewhere`, below that of the grid.
        """
        limit = self.max_steps if limit is None else limit
        if isinstance(limit, int) and limit < 1:
            raise UserError(f"levels: limit={limit} is not allowed; use a whole number of at least 1")
        return LevelParams(elsewhere=elsewhere, signal=elsewhere if signal is None else signal, limit=limit)

    def arrange(self, levels: LevelParams, signal: Array) -> LevelParams:
        """The levels of an episode in which the agent sees a signal, bool[], or not."""
        return dataclasses.replace(levels, elsewhere=jnp.where(signal, levels.signal, levels.elsewhere))
