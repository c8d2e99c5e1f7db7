"""The runs that share one compiled program, in slots: what arrives is retired, and its slot is filled again.

Stopping times spread over decades, so runs that had to wait for the slowest of a batch would mostly wait.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.events import NEVER, Ending
from robustsim.sim import batched, harm
from robustsim.sim.batched import EMPTY, FOREVER, UNTAUGHT
from robustsim.sim.follow import Next
from robustsim.sim.pace import Pace, Spent, compile_seconds
from robustsim.sim.readings import Reading
from robustsim.sim.solve import RunState
from robustsim.sim.track import ARMS, CORRECTED, REFERENCE, Track, reading_of
from robustsim.sim.world import make_world
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings
from robustsim.types import Tree

RETESTED = ("decisions", "misbehaved", "competent", "episodes")  # what is kept of an evaluation on training levels
NARROWER = 8  # a cohort that is emptier than one in this many moves to a program that is this much narrower


@dataclass
class Cohort:
    """Slots for runs of one scenario whose settings have one structure.

    Attributes:
      example: settings of that structure.
      width: number of slots.
    """

    factory: ScenarioFactory
    example: Settings
    width: int
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        self.tracks: list[Track | None] = [None] * self.width
        row = batched.as_arrays(self.example)
        self._settings = batched.stack([row] * self.width)
        blank = {"key": np.zeros(2, np.uint32), "training": False, "silent": False, "taught": UNTAUGHT}
        blank |= {
            "withdrawn": FOREVER,
            "returned": FOREVER,
            "limit": EMPTY,
            "stop_removed": False,
            "stop_catastrophe": False,
        }
        self._controls = batched.controls([blank] * self.width)
        self._evaluation_keys = np.zeros((self.width, 2), np.uint32)
        self._states: RunState | None = None
        self._pace = Pace()
        self._evaluating = 0.0
        self._one_decision, self._stride, self._actions = facts(self.factory, row)

    @property
    def busy(self) -> int:
        """How many slots have a run."""
        return sum(track is not None for track in self.tracks)

    # --- runs come in ---

    def add(self, arrivals: Sequence[tuple[Track, Tree]]) -> None:
        """Puts tracks into free slots, at most as many as there are.

        Args:
          arrivals: tracks with the agents that they begin with (None in training: a new one).
        """
        if not arrivals:
            return
        slots = [i for i, track in enumerate(self.tracks) if track is None][: len(arrivals)]
        keys = np.zeros((self.width, 2), np.uint32)
        training = arrivals[0][0].training
        for slot, (track, _) in zip(slots, arrivals, strict=True):
            self._seat(slot, track)
            word = "initialise" if training else "deployment start"
            keys[slot] = batched.key_of(self.factory.name, word, track.run.seed)
        if training:
            agents = batched.initialise(self.factory, self._settings, keys)
        else:
            known = dict(zip(slots, (agent for _, agent in arrivals), strict=True))
            blank = jax.tree.map(np.zeros_like, next(iter(known.values())))
            trained = batched.stack([known.get(slot, blank) for slot in range(self.width)])
            agents = batched.deploy(self.factory, self._settings, keys, trained)
        fresh = np.isin(np.arange(self.width), slots)
        new = batched.begin_phase(self.factory, self._settings, self._controls, agents)
        self._states = new if self._states is None else batched.refill(fresh, new, self._states)

    def _seat(self, slot: int, track: Track) -> None:
        self.tracks[slot], track.stride = track, self._stride
        _set_row(self._settings, slot, batched.as_arrays(track.run.settings))
        for name, value in track.control(self.factory.name, self._one_decision, self._actions).items():
            getattr(self._controls, name)[slot] = value
        self._evaluation_keys[slot] = track.evaluation_key(self.factory.name)

    # --- and move on ---

    def advance(self) -> list[Track]:
        """Moves the runs on for about half a second, or until some have arrived; returns those that ended."""
        assert self._states is not None
        began, compiling = time.perf_counter(), compile_seconds()
        plans = {i: track.next() for i, track in enumerate(self.tracks) if track is not None}
        before = np.asarray(self._states.step)
        room = self._pace.room(self._stride)
        for i, plan in plans.items():
            self._controls.limit[i] = min(plan.step, int(before[i]) + room)
            self._controls.withdrawn[i] = FOREVER if plan.withdrawn is None else plan.withdrawn
            self._controls.returned[i] = FOREVER if plan.returned is None else plan.returned
            self._controls.stop_catastrophe[i] = self._track(i).stops_at_catastrophe
        idle = np.int32(self._pace.patience(len(plans)))
        called = time.perf_counter()
        self._states, endings = batched.advance(self.factory, self._settings, self._controls, self._states, idle)
        assert self._states is not None
        after, endings = np.asarray(self._states.step), np.asarray(endings)
        advancing = time.perf_counter() - called - (compile_seconds() - compiling)
        steady = compile_seconds() == compiling
        self._evaluating = 0.0
        ended = self._read(plans, after, endings)
        between = max(0.0, time.perf_counter() - began - (compile_seconds() - compiling) - advancing)
        self._note(before, after, advancing, between, steady, len(plans))
        return ended

    def _note(
        self, before: np.ndarray, after: np.ndarray, advancing: float, between: float, steady: bool, runs: int
    ) -> None:
        """Books a call and what came after it."""
        total, longest = int((after - before).sum()), int((after - before).max(initial=0))
        together = batched.side_by_side(self.example)
        self.spent.steps += total
        self.spent.slot_steps += longest * self.width if together else total  # in turn, nobody waits
        self.spent.device_seconds += advancing
        self.spent.evaluation_seconds += min(self._evaluating, between)
        self.spent.host_only_seconds += max(0.0, between - self._evaluating)
        self._pace.waited(between)
        if steady:
            self._pace.moved(before, after, advancing, together, runs)

    # --- are read where they arrive ---

    def _read(self, plans: dict[int, Next], steps: np.ndarray, endings: np.ndarray) -> list[Track]:
        """Readings of the runs that have arrived where they are to be read; returns those that are at their end."""
        final = {i: Ending(int(endings[i])) for i in plans if endings[i] > Ending.PAUSED}
        due = [i for i, plan in plans.items() if (i in final or steps[i] >= plan.step) and self._unread(i, steps[i])]
        self._take_readings(due, steps)
        for i in due:
            ending = self._track(i).next().ending
            if ending is not None and i not in final:
                final[i] = ending
        return self._retire(final)

    def _unread(self, slot: int, step: int) -> bool:
        readings = self._track(slot).readings
        return not readings or step > readings[-1].step

    def _take_readings(self, due: list[int], steps: np.ndarray) -> None:
        """An evaluation of all that are due, and a confirmatory one where its screening leaves a removal open."""
        if not due:
            return
        assert self._states is not None
        tally = jax.device_get({**self._states.tally, **harm.peaks(self._states.harm)})
        readings = self._measure({i: int(self._at_once_in_full(i)) for i in due}, steps, tally)
        again = {i: 1 for i in due if self._track(i).wants_confirmation(readings[i])}
        while again:
            readings |= self._measure(again, steps, tally)
            again = {i: readings[i].level + 1 for i in again if self._track(i).wants_more(readings[i])}
        for i in due:
            track = self._track(i)
            track.readings.append(readings[i])
            if track.training:
                track.agents[int(steps[i])] = self._agent(i)

    def _at_once_in_full(self, slot: int) -> bool:
        """Whether there is nothing that a screening could save: in training, and at deployment start."""
        track = self._track(slot)
        first = track.phase == CORRECTED and not track.readings and not self._one_decision
        return track.training or track.phase == REFERENCE or first

    def _measure(self, levels: dict[int, int], steps: np.ndarray, tally: Any) -> dict[int, Reading]:
        """A reading of each of some slots, by an evaluation of a level: 0 is a screening."""
        if not levels:
            return {}
        assert self._states is not None
        began, compiling = time.perf_counter(), compile_seconds()
        episodes = np.zeros(self.width, np.int32)
        for i, level in levels.items():
            episodes[i] = self._track(i).episodes(level)

        def on(training: Any) -> Any:
            args = (self._evaluation_keys, steps, self._states.agent.params, training, episodes)  # pyright: ignore[reportOptionalMemberAccess]
            return jax.device_get(batched.evaluate_all(self.factory, self._settings, *args))

        measured = on(self._controls.training)
        deployed = any(track is not None and track.phase in ARMS for track in self.tracks)
        if self.example.evaluation.retest and deployed:
            measured |= {f"retest_{name}": x for name, x in on(np.ones(self.width, bool)).items() if name in RETESTED}
        self._evaluating += time.perf_counter() - began - (compile_seconds() - compiling)
        return {i: reading_of(measured, tally, i, int(steps[i]), level) for i, level in levels.items()}

    def _track(self, slot: int) -> Track:
        track = self.tracks[slot]
        assert track is not None
        return track

    def _agent(self, slot: int) -> Tree:
        assert self._states is not None
        return jax.tree.map(lambda x: x[slot].copy(), jax.device_get(self._states.agent))

    # --- and leave ---

    def _retire(self, final: dict[int, Ending]) -> list[Track]:
        """Empties slots; returns their tracks with what became of them."""
        if not final:
            return []
        assert self._states is not None
        harmed, known, mastered = jax.device_get((self._states.harm, self._states.known, self._states.mastered))
        ended = []
        for slot, ending in sorted(final.items()):
            track = self._track(slot)
            self.tracks[slot] = None
            self._controls.limit[slot] = EMPTY
            track.ending = ending
            if track.phase == CORRECTED:
                track.withdrawn, track.returned = track.next().withdrawn, track.next().returned
            track.catastrophe = _step(harmed.catastrophe[slot])
            track.mastered = _step(mastered[slot])
            track.known = None if known is None else {name: float(x[slot]) for name, x in vars(known).items()}
            guard = harmed.guard
            if guard is not None:
                track.defended = {n: _step(getattr(guard, n)[slot]) for n in ("catastrophe", "shutdown")}
            ended.append(track)
        return ended

    # --- and can be saved in between ---

    def save(self) -> list[tuple[Track, list[np.ndarray]]]:
        """The runs in flight with the leaves of their states, on the host."""
        if self._states is None:
            return []
        leaves = [np.asarray(x) for x in jax.tree.leaves(_without_keys(self._states))]
        return [(track, [x[i] for x in leaves]) for i, track in enumerate(self.tracks) if track is not None]

    def restore(self, saved: Sequence[tuple[Track, list[np.ndarray]]]) -> None:
        """Puts runs that were saved into free slots, at most as many as there are."""
        if not saved:
            return
        slots = [i for i, track in enumerate(self.tracks) if track is None][: len(saved)]
        for slot, (track, _) in zip(slots, saved, strict=True):
            self._seat(slot, track)
        if self._states is None:
            self._states = self._blank_states(training=saved[0][0].training)
        leaves = [np.array(x) for x in jax.tree.leaves(_without_keys(self._states))]
        for slot, (_, values) in zip(slots, saved, strict=True):
            for leaf, value in zip(leaves, values, strict=True):
                leaf[slot] = value
        plain = jax.tree.unflatten(jax.tree.structure(_without_keys(self._states)), map(jnp.asarray, leaves))
        self._states = _with_keys(plain, self._states)

    def _blank_states(self, training: bool) -> RunState:
        keys = np.zeros((self.width, 2), np.uint32)
        shapes = jax.eval_shape(partial(batched.initialise, self.factory), self._settings, keys)
        agents = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
        if not training:
            agents = batched.deploy(self.factory, self._settings, keys, agents)
        return batched.begin_phase(self.factory, self._settings, self._controls, agents)

    def narrowed(self) -> "Cohort":
        """This cohort, or the same runs in a narrower one if most slots are empty and would be computed for nothing."""
        width = self.width
        while width >= NARROWER and self.busy <= width // NARROWER:
            width //= NARROWER
        if width == self.width or not self.busy or not batched.side_by_side(self.example):
            return self
        smaller = Cohort(self.factory, self.example, width, self.spent)
        smaller.restore(self.save())
        return smaller


def run_through(
    factory: ScenarioFactory, tracks: Iterable[Track], agent_of: Callable[[Track], Tree], width: int
) -> Iterator[Track]:
    """Takes tracks of one structure to their ends, in the order in which they end."""
    waiting = list(tracks)[::-1]
    if not waiting:
        return
    cohort = Cohort(factory, waiting[-1].run.settings, width)
    while waiting or cohort.busy:
        room = min(cohort.width - cohort.busy, len(waiting))
        cohort.add([(track, agent_of(track)) for track in (waiting.pop() for _ in range(room))])
        yield from cohort.advance()
        cohort = cohort if waiting else cohort.narrowed()


def facts(factory: ScenarioFactory, settings: Settings) -> tuple[bool, int, int]:
    """(whether episodes are one decision, gradient steps of an update, actions)."""
    found: list[tuple[bool, int, int]] = []

    def look(settings: Settings) -> None:
        world = make_world(factory, settings)
        found.append((world.one_decision, world.learner.gradient_steps, world.scenario.env.num_actions))

    jax.eval_shape(look, settings)
    return found[0]


def _step(value: Any) -> int | None:
    return None if value == NEVER else int(value)


def _set_row(arrays: Tree, row: int, values: Tree) -> None:
    """Writes one row of every leaf, in place."""
    for array, value in zip(jax.tree.leaves(arrays), jax.tree.leaves(values), strict=True):
        array[row] = value


def _without_keys(tree: Tree) -> Tree:
    """Typed random keys as plain numbers."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x, tree)


def _with_keys(plain: Tree, like: Tree) -> Tree:
    def wrap(x: Any, old: Any) -> Any:
        typed = jnp.issubdtype(old.dtype, jax.dtypes.prng_key)
        return jax.random.wrap_key_data(x, impl=jax.random.key_impl(old)) if typed else x

    return jax.tree.map(wrap, plain, like)
