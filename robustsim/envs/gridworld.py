"""The gridworld kit: an ASCII map and a legend become an environment.

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
from robustsim.envs.protocol import Environment
from robustsim.errors import UserError, nearest
from robustsim.pytree import pytree
from robustsim.types import Array, Predicate, Step, Transition


@dataclass(frozen=True)
class Item:
    """Something to pick up by walking onto it.

    Attributes:
      at: the map characters on whose cells it may lie.
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
class Light:
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


Legend = Wall | Floor | Light | Hazard | Door
SOLID = (Wall, Light)


@pytree
class LevelParams:
    """The numbers of a level distribution."""

    elsewhere: Array | float = 0.0  # share of levels in which items lie on their `elsewhere` cells


@pytree
class GridState:
    """The state of one level. Cells are numbered as in :class:`robustsim.envs.maps.Map`."""

    agent: Array  # int32[], the cell the agent stands on
    start: Array  # int32[], the cell it started from
    items: Array  # int32[items], the cell of each item
    taken: Array  # bool[items]
    opened: Array  # bool[doors]
    counters: Array  # int32[counters]
    time: Array  # int32[], environment steps since the reset


@dataclass(frozen=True)
class Grid:
    """A gridworld, described. :meth:`environment` makes it run; the other methods make predicates about it.

    Attributes:
      map: the ASCII map: '#' wall, '.' or ' ' floor, other characters as in `legend`.
      items: things to pick up, by name.
      agent: the map characters on whose cells the agent may start.
      legend: what the other characters of the map mean.
      counters: trajectory-level counters: each counts the transitions of an episode for which its predicate holds.
      max_steps: time limit in environment steps; the episode is then truncated.
      step_reward: reward of every step.
      bonus: `bonus(transition) -> float[]`, what a transition pays beyond that.
    """

    map: str
    items: Mapping[str, Item]
    agent: str = maps.FLOOR
    legend: Mapping[str, Legend] = field(default_factory=dict)
    counters: Mapping[str, Predicate] = field(default_factory=dict)
    max_steps: int = 32
    step_reward: Any = 0.0
    bonus: Callable[[Transition], Array] | None = None

    def __post_init__(self) -> None:
        if self.max_steps < 1:
            raise UserError(f"max_steps: {self.max_steps} is not allowed; use a whole number of at least 1")
        for name, (place, allowed) in self._zones().items():
            if not allowed.any():
                raise UserError(f"{name}: no cell of the map has one of the characters {place!r}")
        for door in self._doors().values():
            self._item(door.key)
        for index, (name, item) in enumerate(self.items.items()):
            if item.on and self._item(item.on) >= index:
                raise UserError(f"item {name!r}: on={item.on!r} is not allowed; name an item that is listed before it")

    # --- what the description says, as tables over cells ---

    @property
    def level(self) -> maps.Map:
        """The parsed map."""
        solid = frozenset({maps.WALL, *(c for c, entry in self.legend.items() if isinstance(entry, SOLID))})
        return maps.parse(self.map, solid, frozenset({maps.WALL, maps.FLOOR, *self.legend}))

    def _zones(self) -> dict[str, tuple[str, np.ndarray]]:
        places = {"agent": self.agent, **{name: item.at for name, item in self.items.items()}}
        places |= {f"{n} (elsewhere)": i.elsewhere for n, i in self.items.items() if i.elsewhere}
        return {name: (place, self.level.zone(place)) for name, place in places.items()}

    def _doors(self) -> dict[str, Door]:
        return {c: entry for c, entry in self.legend.items() if isinstance(entry, Door)}

    def _item(self, name: str) -> int:
        if name not in self.items:
            raise UserError(f"item {name!r} is not in the grid; {nearest(name, self.items)}")
        return list(self.items).index(name)

    # --- predicates and quantities ---

    def took(self, name: str) -> Predicate:
        """Whether a transition picked up the item `name`."""
        index = self._item(name)
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
        index = self._item(name)
        return lambda state: ~state.taken[index]

    def place(self, name: str) -> Callable[[GridState], Array]:
        """The cell of the item `name`, int32[], as a function of the state."""
        index = self._item(name)
        return lambda state: state.items[index]

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
        place, table = self.place(name), jnp.asarray(maps.neighbours(self.level))
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

    def cell(self, character: str) -> Callable[[GridState], Array]:
        """The only cell with this map character, int32[], as a function of the state."""
        found = np.flatnonzero(self.level.zone(character))
        if len(found) != 1:
            raise UserError(f"cell {character!r}: the map has {len(found)} of them; exactly 1 is needed")
        return lambda state: jnp.int32(found[0])

    def levels(self, elsewhere: Any = 0.0) -> LevelParams:
        """A level distribution: items lie on their `elsewhere` cells in this share of the levels."""
        return LevelParams(elsewhere=elsewhere)

    # --- running it ---

    def environment(self) -> Environment:
        """The grid as an environment."""
        from robustsim.envs import render  # drawing is needed on the host only

        return Environment(
            reset=_make_reset(self),
            step=_make_step(self),
            observe=_Observe(self),
            observation_size=_Observe(self).size,
            num_actions=len(maps.MOVES),
            max_steps=self.max_steps,
            render=lambda state, lit: render.picture(self, state, lit),
            text=lambda state: render.drawing(self, state),
        )


def _draw_cell(uniform: Array, zone: np.ndarray, occupied: list[Array]) -> Array:
    """A uniform draw from the free cells of one zone: int32[].

    Args:
      uniform: float[] in [0, 1).
      zone: bool[C], the allowed cells.
      occupied: the cells that are taken already, int32[] each; C for none.
    """
    members = np.flatnonzero(zone).astype(np.int32)
    rank_of = np.full(zone.size + 1, zone.size, np.int32)
    rank_of[members] = np.arange(members.size)
    ranks = [jnp.asarray(rank_of)[cell] for cell in occupied]
    free = len(members) - sum(((r < zone.size).astype(jnp.int32) for r in ranks), jnp.int32(0))
    wanted = jnp.minimum((uniform * free).astype(jnp.int32), free - 1)
    # The wanted-th free cell has rank wanted + (occupied ranks up to it): a fixed point, reached in len(ranks) rounds.
    rank = wanted
    for _ in ranks:
        rank = wanted + sum((r <= rank).astype(jnp.int32) for r in ranks)
    return jnp.asarray(members)[rank]


def _make_reset(grid: Grid) -> Callable[..., tuple[Array, GridState]]:
    level, observe = grid.level, _Observe(grid)
    doors, items = len(grid._doors()), list(grid.items.values())

    def reset(key: Array, params: LevelParams) -> tuple[Array, GridState]:
        uniform = jax.random.uniform(key, (len(items) + 2,))
        moved = uniform[0] < params.elsewhere
        places: list[Array] = []
        occupied: list[Array] = []  # the same, with items that share a cell counted once
        for item, u in zip(items, uniform[2:], strict=True):
            cell = _draw_cell(u, level.zone(item.at), occupied)
            if item.elsewhere:
                cell = jnp.where(moved, _draw_cell(u, level.zone(item.elsewhere), occupied), cell)
            apart = jnp.bool_(True)
            if item.on:
                apart = moved & (item.elsewhere is not None)
                cell = jnp.where(apart, cell, places[grid._item(item.on)])
            places.append(cell)
            occupied.append(jnp.where(apart, cell, len(level.cells)))
        agent = _draw_cell(uniform[1], level.zone(grid.agent), occupied)
        state = GridState(
            agent=agent,
            start=agent,
            items=jnp.stack(places) if items else jnp.zeros((0,), jnp.int32),
            taken=moved & np.array([item.elsewhere == "" for item in items], bool),
            opened=jnp.zeros((doors,), bool),
            counters=jnp.zeros((len(grid.counters),), jnp.int32),
            time=jnp.int32(0),
        )
        return observe(state), state

    return reset


def _make_step(grid: Grid) -> Callable[..., Step]:
    level, observe = grid.level, _Observe(grid)
    table = jnp.asarray(maps.neighbours(level))
    item_rewards = jnp.stack([jnp.asarray(i.reward, float) for i in grid.items.values()] or [jnp.zeros(())])
    item_ends = np.array([i.ends for i in grid.items.values()] or [False])
    hazards = [(level.zone(c), entry) for c, entry in grid.legend.items() if isinstance(entry, Hazard)]
    doors = [(level.zone(c), grid._item(door.key)) for c, door in grid._doors().items()]

    def step(key: Array, state: GridState, action: Array, params: LevelParams) -> Step:
        del key, params
        target = table[state.agent, action]
        opened = state.opened
        for index, (zone, key_item) in enumerate(doors):
            at_door = jnp.asarray(zone)[target] & (target != state.agent)
            opened = opened.at[index].set(opened[index] | (at_door & state.taken[key_item]))
            target = jnp.where(at_door & ~opened[index], state.agent, target)
        picked = (state.items == target) & ~state.taken
        reward = jnp.asarray(grid.step_reward, float) + jnp.sum(jnp.where(picked, item_rewards[: picked.size], 0.0))
        terminated = jnp.any(picked & item_ends[: picked.size])
        for zone, hazard in hazards:
            hit = jnp.asarray(zone)[target] & (target != state.agent)
            reward = reward + jnp.where(hit, jnp.asarray(hazard.reward, float), 0.0)
            terminated = terminated | (hit & hazard.ends)
        time = state.time + 1
        after = GridState(
            agent=target,
            start=state.start,
            items=state.items,
            taken=state.taken | picked,
            opened=opened,
            counters=state.counters,
            time=time,
        )
        truncated = ~terminated & (time >= grid.max_steps)
        tr = Transition(
            before=state, action=action, after=after, reward=reward, terminated=terminated, truncated=truncated
        )
        if grid.bonus is not None:
            reward = reward + grid.bonus(tr)
        if grid.counters:
            hits = jnp.stack([predicate(tr) for predicate in grid.counters.values()]).astype(jnp.int32)
            after = dataclasses.replace(after, counters=state.counters + hits)
        return Step(obs=observe(after), state=after, reward=reward, terminated=terminated, truncated=truncated)

    return step


class _Observe:
    """The symbolic observation: one-hot agent, one-hot of each item still there (where items have features: for each
    feature, how many items on each cell have it), what was taken, what is open, what was counted (at most 4 of each)."""

    def __init__(self, grid: Grid) -> None:
        self.cells = len(grid.level.cells)
        self.kept = np.array([not item.ends for item in grid.items.values()], bool)
        looks = sorted({feature for item in grid.items.values() for feature in item.features})
        self.looks = np.array([[f in item.features for f in looks] for item in grid.items.values()], float)
        self.shown = len(looks) or len(grid.items)
        self.counted = len(grid.counters)
        self.size = self.cells * (1 + self.shown) + int(self.kept.sum()) + len(grid._doors()) + self.counted

    def __call__(self, state: GridState) -> Array:
        places = jnp.concatenate([state.agent[None], jnp.where(state.taken, -1, state.items)])
        one_hot = (places[:, None] == jnp.arange(self.cells, dtype=jnp.int32)).astype(float)
        if self.looks.size:
            one_hot = jnp.concatenate([one_hot[:1], jnp.asarray(self.looks, one_hot.dtype).T @ one_hot[1:]])
        parts = [one_hot.ravel(), state.taken[np.flatnonzero(self.kept)].astype(float), state.opened.astype(float)]
        if self.counted:
            parts.append(jnp.minimum(state.counters, 4) / 4)
        return jnp.concatenate(parts)
