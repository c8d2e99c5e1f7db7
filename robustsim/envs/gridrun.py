"""Making a described grid run: resets, steps and observations as pure functions of one level."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.envs import maps
from robustsim.envs.layout import Counters, GridState, Hazard, Layout, LevelParams
from robustsim.sparse import Sparse
from robustsim.types import Array, Predicate, Step, Transition

COUNTED = 8  # what an observation shows of a counter, at most


class Rules(NamedTuple):
    """What :meth:`Grid.environment` was given. In `takes` each condition stands with its items, bool[items]."""

    dynamics: Callable[[Array, GridState, Array, GridState], GridState] | None
    takes: Mapping[str, tuple[np.ndarray, Callable[[GridState], Array]]]
    bonus: Callable[[Transition], Array] | None
    counters: Mapping[str, Predicate]
    done: Callable[[GridState], Array] | None
    shown: Callable[[GridState], GridState] | None
    scattered: Callable[[Array, GridState], GridState] | None = None


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


def draws(grid: Layout) -> int:
    """How many uniform numbers a reset takes."""
    return len(grid.items) + 2


def make_place(grid: Layout, rules: Rules, observe: "Observe") -> Callable[..., tuple[Array, GridState]]:
    """`place(uniform float[draws], levels) -> (obs, state)`: draws where everything lies."""
    level, items = grid.level, list(grid.items.values())
    absent = np.array([[not item.at, item.elsewhere == ""] for item in items], bool).reshape(-1, 2)

    def place(uniform: Array, params: LevelParams) -> tuple[Array, GridState]:
        moved = uniform[0] < params.elsewhere
        places: list[Array] = []
        occupied: list[Array] = []  # the same, with items that share a cell counted once
        for item, u in zip(items, uniform[2:], strict=True):
            cell = _draw_cell(u, level.zone(item.at or item.elsewhere or ""), occupied)
            if item.at and item.elsewhere:
                cell = jnp.where(moved, _draw_cell(u, level.zone(item.elsewhere), occupied), cell)
            apart = jnp.bool_(True)
            if item.on:
                apart = moved & (item.elsewhere is not None)
                cell = jnp.where(apart, cell, places[grid.item_index(item.on)])
            places.append(cell)
            occupied.append(jnp.where(apart, cell, len(level.cells)))
        agent = _draw_cell(uniform[1], level.zone(grid.agent), occupied)
        taken = jnp.where(moved, absent[:, 1], absent[:, 0])
        limit = jnp.where(moved, grid.max_steps, jnp.minimum(params.limit, grid.max_steps)).astype(jnp.int32)
        state = _begin(grid, rules, agent, places, taken, moved, limit)
        return observe(state), state

    return place


def _begin(
    grid: Layout, rules: Rules, agent: Array, places: list[Array], taken: Array, moved: Array, limit: Array
) -> GridState:
    """The state in which an episode begins, with everything in its place."""
    return GridState(
        agent=agent,
        start=agent,
        items=jnp.stack(places) if places else jnp.zeros((0,), jnp.int32),
        taken=taken,
        opened=jnp.zeros((len(grid.doors()),), bool),
        counters=Counters({name: jnp.int32(0) for name in rules.counters}),
        moved=moved,
        limit=limit,
        time=jnp.int32(0),
        names=tuple(grid.items),
    )


def make_scatter(grid: Layout, rules: Rules) -> Callable[[Array], GridState]:
    """`scatter(key) -> state`: each item anywhere where it may lie, or not there; the agent anywhere.

    Of all that can be picked up each is there in half of the states, independently. Counters are 0 unless the rules
    say otherwise.
    """
    level, items = grid.level, list(grid.items.values())
    loose = np.array([not item.fixed for item in items], bool)

    def scatter(key: Array) -> GridState:
        key_cells, key_there, key_doors, key_rest = jax.random.split(key, 4)
        uniform = jax.random.uniform(key_cells, (len(items) + 2,))
        places: list[Array] = []
        for item, u in zip(items, uniform, strict=False):
            zone = level.zone((item.at + (item.elsewhere or "")) or maps.FLOOR)
            places.append(_draw_cell(u, zone, places))
        agent = _draw_cell(uniform[-2], np.ones(len(level.cells), bool), [])
        taken = jnp.asarray(loose) & jax.random.bernoulli(key_there, 0.5, (len(items),))
        state = _begin(grid, rules, agent, places, taken, uniform[-1] < 0.5, jnp.int32(grid.max_steps))
        opened = jax.random.bernoulli(key_doors, 0.5, state.opened.shape)
        state = dataclasses.replace(state, opened=opened)
        return state if rules.scattered is None else rules.scattered(key_rest, state)

    return scatter


def make_step(grid: Layout, rules: Rules, observe: "Observe") -> Callable[..., Step]:
    """`step(key, state, action, levels) -> Step`, in the order that :meth:`Grid.environment` describes."""
    level = grid.level
    table = jnp.asarray(maps.neighbours(level))
    item_rewards = jnp.stack([jnp.asarray(i.reward, float) for i in grid.items.values()] or [jnp.zeros(())])
    item_ends = np.array([i.ends for i in grid.items.values()] or [False])
    loose = np.array([not i.fixed for i in grid.items.values()], bool)
    hazards = [(level.zone(c), entry) for c, entry in grid.legend.items() if isinstance(entry, Hazard)]
    doors = [(level.zone(c), grid.item_index(door.key)) for c, door in grid.doors().items()]

    def move(state: GridState, action: Array) -> GridState:
        target, opened = table[state.agent, action], state.opened
        for index, (zone, key_item) in enumerate(doors):
            at_door = jnp.asarray(zone)[target] & (target != state.agent)
            opened = opened.at[index].set(opened[index] | (at_door & state.taken[key_item]))
            target = jnp.where(at_door & ~opened[index], state.agent, target)
        return dataclasses.replace(state, agent=target, opened=opened, time=state.time + 1)

    def allowed(state: GridState) -> Array | np.ndarray:
        """bool[items], what can be picked up in this state."""
        can = loose
        for those, condition in rules.takes.values():
            can = can & (~those | condition(state))
        return can

    def step(key: Array, state: GridState, action: Array, params: LevelParams) -> Step:
        del params  # an episode keeps the level that it began with
        after = move(state, action)
        if rules.dynamics is not None:
            after = rules.dynamics(key, state, action, after)
        picked = (after.items == after.agent) & ~after.taken & allowed(after)
        reward = jnp.asarray(grid.step_reward, float) + jnp.sum(jnp.where(picked, item_rewards[: picked.size], 0.0))
        terminated = jnp.any(picked & item_ends[: picked.size])
        for zone, hazard in hazards:
            hit = jnp.asarray(zone)[after.agent] & (after.agent != state.agent)
            reward = reward + jnp.where(hit, jnp.asarray(hazard.reward, float), 0.0)
            terminated = terminated | (hit & hazard.ends)
        after = dataclasses.replace(after, taken=after.taken | picked)
        truncated = ~terminated & (after.time >= state.limit)
        tr = Transition(
            before=state, action=action, after=after, reward=reward, terminated=terminated, truncated=truncated
        )
        if rules.bonus is not None:
            reward = reward + rules.bonus(tr)
        counted = {
            name: state.counters[name] + jnp.asarray(holds(tr), jnp.int32) for name, holds in rules.counters.items()
        }
        after = dataclasses.replace(after, counters=Counters(counted))
        if rules.done is not None:
            terminated = terminated | rules.done(after)
            truncated = truncated & ~terminated
        return Step(obs=observe(after), state=after, reward=reward, terminated=terminated, truncated=truncated)

    return step


class Observe:
    """The symbolic observation: one-hot agent, one-hot of each item still there (where items have features: for each
    feature, how many items on each cell have it), which of the others were taken, which doors are open, and what was
    counted (up to COUNTED)."""

    def __init__(self, grid: Layout, rules: Rules) -> None:
        self.cells, self.shown_as, self.counted = len(grid.level.cells), rules.shown, list(rules.counters)
        self.kept = np.array([not item.ends and not item.features for item in grid.items.values()], bool)
        looks = sorted({feature for item in grid.items.values() for feature in item.features})
        self.looks = np.array([[f in item.features for f in looks] for item in grid.items.values()], float)
        self.shown = len(looks) or len(grid.items)
        self.size = self.cells * (1 + self.shown) + int(self.kept.sum()) + len(grid.doors()) + len(self.counted)

    def sparse(self, state: GridState) -> Sparse:
        """The same, by its entries that may differ from 0."""
        if self.shown_as is not None:
            state = self.shown_as(state)
        here, cells = (~state.taken).astype(float), self.cells
        # (index of the item, index of the block of cells that shows it), in the order of the blocks
        if self.looks.size:
            pairs = [(i, f) for f, column in enumerate(self.looks.T) for i in np.flatnonzero(column)]
        else:
            pairs = [(i, i) for i in range(self.shown)]
        flags = [*state.taken[np.flatnonzero(self.kept)].astype(float), *state.opened.astype(float)]
        flags += [jnp.minimum(state.counters[name], COUNTED) / COUNTED for name in self.counted]
        blocks, first = [0, *(1 + block for _, block in pairs)], cells * (1 + self.shown)
        places = [state.agent, *(cells * (1 + block) + state.items[item] for item, block in pairs)]
        values = [jnp.ones_like(here, shape=()), *(here[item] for item, _ in pairs), *flags]
        return Sparse(
            places=jnp.stack([*places, *(jnp.int32(first + i) for i in range(len(flags)))]),
            values=jnp.stack(values),
            ranges=(
                *((cells * b, cells * (b + 1)) for b in blocks),
                *((first + i, first + i + 1) for i in range(len(flags))),
            ),
        )

    def __call__(self, state: GridState) -> Array:
        if self.shown_as is not None:
            state = self.shown_as(state)
        places = jnp.concatenate([state.agent[None], jnp.where(state.taken, -1, state.items)])
        one_hot = (places[:, None] == jnp.arange(self.cells, dtype=jnp.int32)).astype(float)
        if self.looks.size:
            one_hot = jnp.concatenate([one_hot[:1], jnp.asarray(self.looks, one_hot.dtype).T @ one_hot[1:]])
        parts = [one_hot.ravel(), state.taken[np.flatnonzero(self.kept)].astype(float), state.opened.astype(float)]
        if self.counted:
            counts = jnp.stack([state.counters[name] for name in self.counted])
            parts.append(jnp.minimum(counts, COUNTED) / COUNTED)
        return jnp.concatenate(parts)
