"""The gridworld kit: an ASCII map and a legend become an environment.

Actions are up, right, down and left (0 to 3); a bump into a wall stays. Things are placed at random, never two on one
cell. The observation is symbolic: one-hot places, so that the first layer of a network stays small.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from robustsim.envs import maps
from robustsim.envs.protocol import Environment
from robustsim.errors import UserError, nearest
from robustsim.pytree import pytree
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
      colour: red, green, blue of its picture, 0 to 255.
    """

    at: str = maps.FLOOR
    elsewhere: str | None = None
    on: str = ""
    features: tuple[str, ...] = ()
    reward: Any = 0.0
    ends: bool = False
    colour: tuple[int, int, int] = (230, 170, 30)


@dataclass(frozen=True)
class Wall:
    """A legend entry: cannot be entered."""


@dataclass(frozen=True)
class Floor:
    """A legend entry: a named zone of ordinary floor."""


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


Legend = Wall | Floor | Signal | Hazard | Door
SOLID = (Wall, Signal)


@pytree
class LevelParams:
    """The numbers of a level distribution."""

    elsewhere: Array | float = 0.0  # share of levels in which items lie on their `elsewhere` cells
    signal: Array | float = 0.0  # the same while the agent sees a signal, for scenarios that `arrange` their levels
    limit: Array | int = 2**30  # time limit of the other levels in environment steps, if below that of the grid


@pytree
class GridState:
    """The state of one level. Cells are numbered as in :class:`robustsim.envs.maps.Map`."""

    agent: Array  # int32[], the cell the agent stands on
    start: Array  # int32[], the cell it started from
    items: Array  # int32[items], the cell of each item
    taken: Array  # bool[items]
    opened: Array  # bool[doors]
    counters: Array  # int32[counters]
    moved: Array  # bool[], whether this is one of the levels `elsewhere`
    limit: Array  # int32[], time limit of this episode
    time: Array  # int32[], environment steps since the reset


@dataclass(frozen=True)
class Grid:
    """A gridworld, described. :meth:`environment` makes it run; the other methods make predicates about it.

    A step goes in this order: the agent moves, the world moves (`dynamics`), things are picked up, hazards strike, the
    `bonus` is paid, counters count.

    Attributes:
      map: the ASCII map: '#' wall, '.' or ' ' floor, other characters as in `legend`.
      items: things to pick up, by name.
      agent: the map characters on whose cells the agent may start.
      legend: what the other characters of the map mean.
      counters: trajectory-level counters: each counts the transitions of an episode for which its predicate holds.
      max_steps: time limit in environment steps; the episode is then truncated.
      step_reward: reward of every step.
      bonus: `bonus(transition) -> float[]`, what a transition pays beyond that.
      dynamics: `dynamics(key, before, action, state) -> state`, how the world moves once the agent has moved: `before`
        is the state at the start of the step and `state` the one with the agent's new cell.
      done: `done(state) -> bool[]`, what else ends the episode, after everything was counted.
      takes: `takes(state) -> bool[items]`, what would be picked up now; by default everything is.
      shown: `shown(state) -> state`, the state that the observation is made of, where that is not the true one.
    """

    map: str
    items: Mapping[str, Item]
    agent: str = maps.FLOOR
    legend: Mapping[str, Legend] = field(default_factory=dict)
    counters: Mapping[str, Predicate] = field(default_factory=dict)
    max_steps: int = 32
    step_reward: Any = 0.0
    bonus: Callable[[Transition], Array] | None = None
    dynamics: Callable[[Array, GridState, Array, GridState], GridState] | None = None
    done: Callable[[GridState], Array] | None = None
    takes: Callable[[GridState], Any] | None = None
    shown: Callable[[GridState], GridState] | None = None

    def __post_init__(self) -> None:
        if self.max_steps < 1:
            raise UserError(f"max_steps: {self.max_steps} is not allowed; use a whole number of at least 1")
        for name, (place, allowed) in self._zones().items():
            if not allowed.any():
                raise UserError(f"{name}: no cell of the map has one of the characters {place!r}")
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
        return maps.parse(self.map, solid, frozenset({maps.WALL, maps.FLOOR, *self.legend}))

    def _zones(self) -> dict[str, tuple[str, np.ndarray]]:
        for name, item in self.items.items():
            if not item.at and not item.elsewhere:
                raise UserError(f"item {name!r}: at='' is not allowed without `elsewhere`; say where it lies")
        places = {"agent": self.agent, **{name: item.at for name, item in self.items.items() if item.at}}
        places |= {f"{n} (elsewhere)": i.elsewhere for n, i in self.items.items() if i.elsewhere}
        return {name: (place, self.level.zone(place)) for name, place in places.items()}

    def doors(self) -> dict[str, Door]:
        """The doors of the legend, by map character."""
        return {c: entry for c, entry in self.legend.items() if isinstance(entry, Door)}

    def item_index(self, name: str) -> int:
        """Where the item `name` stands in the arrays of a state."""
        if name not in self.items:
            raise UserError(f"item {name!r} is not in the grid; {nearest(name, self.items)}")
        return list(self.items).index(name)

    # --- predicates and quantities ---

    def took(self, name: str) -> Predicate:
        """Whether a transition picked up the item `name`."""
        index = self.item_index(name)
        return lambda tr: tr.after.taken[index] & ~tr.before.taken[index]

    def entered(self, characters: str) -> Predicate:
        """Whether a transition walked onto a cell with one of the map characters, from another cell."""
        zone = jnp.asarray(self.level.zone(characters))
        return lambda tr: zone[tr.after.agent] & (tr.after.agent != tr.before.agent)

    def counted(self, name: str) -> Callable[[GridState], Array]:
        """The counter `name`, int32[], as a function of the state."""
        if name not in self.counters:
            raise UserError(f"counter {name!r} is not in the grid; {nearest(name, self.counters)}")
        index = list(self.counters).index(name)
        return lambda state: state.counters[index]

    def present(self, name: str) -> Callable[[GridState], Array]:
        """Whether the item `name` is there (and not yet taken), bool[], as a function of the state."""
        index = self.item_index(name)
        return lambda state: ~state.taken[index]

    def place(self, name: str) -> Callable[[GridState], Array]:
        """The cell of the item `name`, int32[], as a function of the state."""
        index = self.item_index(name)
        return lambda state: state.items[index]

    @property
    def neighbours(self) -> Array:
        """int32[C, 4], the cell that each move leads to from each cell; a move into a wall stays."""
        return jnp.asarray(maps.neighbours(self.level))

    def distance(self, start: Array, end: Array) -> Array:
        """int32[], the fewest moves between two cells, doors counted as open."""
        return jnp.asarray(maps.distances(self.level))[start, end].astype(jnp.int32)

    def approached(self, name: str) -> Predicate:
        """Whether a transition came closer to the item `name`, by the shortest way."""
        place = self.place(name)

        def predicate(tr: Transition) -> Array:
            target = place(tr.before)
            return self.distance(tr.after.agent, target) < self.distance(tr.before.agent, target)

        return predicate

    def towards(self, name: str) -> Callable[[GridState], Array]:
        """The first move of a shortest way to the item `name`, int32[], as a function of the state."""
        place, table = self.place(name), self.neighbours
        return lambda state: jnp.argmin(self.distance(table[state.agent], place(state))).astype(jnp.int32)

    def reachable_without(self, name: str, blocked: Callable[[GridState], Array]) -> Callable[[GridState], Array]:
        """Whether, from a level's start, the item can be reached in time without entering the cell `blocked(state)`.

        It is false where the agent starts on that cell, or the item lies there.
        """
        place, table = self.place(name), jnp.asarray(maps.detours(self.level))
        return lambda state: (
            (table[blocked(state), state.agent, place(state)] <= self.max_steps)
            & (blocked(state) != state.agent)
            & (blocked(state) != place(state))
        )

    def cell(self, character: str) -> Callable[[Any], Array]:
        """The only cell with this map character, int32[], as a function of the state."""
        found = np.flatnonzero(self.level.zone(character))
        if len(found) != 1:
            raise UserError(f"cell {character!r}: the map has {len(found)} of them; exactly 1 is needed")
        return lambda state: jnp.int32(found[0])

    def step_towards(self, start: Array, goal: Array) -> Array:
        """The next cell, int32[], on a shortest way from one cell to another; for things that move by themselves."""
        table = self.neighbours
        return table[start, jnp.argmin(self.distance(table[start], goal))]

    def levels(self, elsewhere: Any = 0.0, *, signal: Any = None, limit: Any = None) -> LevelParams:
        """A level distribution: items lie on their `elsewhere` cells in this share of the levels.

        Args:
          signal: another share for the episodes in which the agent sees the signal (with `arrange=world.arrange`).
          limit: a time limit in environment steps for the levels that are not `elsewhere`, below that of the grid.
        """
        limit = self.max_steps if limit is None else limit
        return LevelParams(elsewhere=elsewhere, signal=elsewhere if signal is None else signal, limit=limit)

    def arrange(self, levels: LevelParams, signal: Array) -> LevelParams:
        """The levels of an episode in which the agent sees a signal, bool[], or not."""
        return dataclasses.replace(levels, elsewhere=jnp.where(signal, levels.signal, levels.elsewhere))

    # --- running it ---

    def environment(self) -> Environment:
        """The grid as an environment."""
        from robustsim.envs import gridrun, render

        observe = gridrun.Observe(self)
        return Environment(
            reset=gridrun.make_reset(self, observe),
            step=gridrun.make_step(self, observe),
            observe=observe,
            observation_size=observe.size,
            num_actions=len(maps.MOVES),
            max_steps=self.max_steps,
            render=lambda state, signal: render.picture(self, state, signal),
            text=lambda state: render.drawing(self, state),
        )
