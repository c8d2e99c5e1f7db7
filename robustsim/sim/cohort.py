"""The runs that share one compiled program, in slots: what arrives is retired, and its slot is filled again.

Stopping times spread over decades, so runs that had to wait for the slowest of a batch would mostly wait.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.sim import lifted
from robustsim.sim.deploy import NEVER, RunState
from robustsim.sim.lifted import EMPTY, FOREVER
from robustsim.sim.track import UNOPPOSED, Path, Track, diverged, read
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings, env_values
from robustsim.types import Tree

CALL = 0.5  # seconds that one call of the compiled program is meant to take
NARROWER = 8  # a cohort that is emptier than one in this many moves to a program that is this much narrower


class Finished(NamedTuple):
    """A track at its end."""

    track: Track
    path: Path
    agent: Tree  # on the host; None where it was not asked for
    diverged: bool


@dataclass
class Tally:
    """What a cohort has done so far; seconds exclude compiling."""

    steps: int = 0  # gradient steps
    slot_steps: int = 0  # gradient steps that the slots could have taken in the same time
    device_seconds: float = 0.0  # advancing
    evaluation_seconds: float = 0.0
    host_only_seconds: float = 0.0  # neither


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
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.tracks: list[Track | None] = [None] * self.width
        self._settings = lifted.stack([lifted.as_arrays(self.example)] * self.width)
        blank = {"key": np.zeros(2, np.uint32), "training": False, "silent": False, "withdrawn": FOREVER}
        blank |= {"limit": EMPTY, "stop_removed": False, "stop_catastrophe": False}
        self._lanes = lifted.lanes([blank] * self.width)
        self._evaluation_keys = np.zeros((self.width, 2), np.uint32)
        self._states: RunState | None = None
        self._exact = self.factory(**env_values(self.example)).env.outcomes is not None
        self._step_seconds = 0.0
        self._return_seconds = 0.0
        self._probing = 0.0

    @property
    def busy(self) -> int:
        """How many slots have a run."""
        return sum(track is not None for track in self.tracks)

    def add(self, arrivals: Sequence[tuple[Track, Tree]]) -> None:
        """Puts tracks into free slots, at most as many as there are.

        Args:
          arrivals: tracks with the agents that they begin with (None in training: a new one).
        """
        if not arrivals:
            return
        slots = [i for i, track in enumerate(self.tracks) if track is None][: len(arrivals)]
        for slot, (track, _) in zip(slots, arrivals, strict=True):
            self._seat(slot, track)
        training = arrivals[0][0].training
        if training:
            keys = np.zeros((self.width, 2), np.uint32)
            for slot, (track, _) in zip(slots, arrivals, strict=True):
                keys[slot] = lifted.key_of(self.factory.name, "initialise", track.run.seed)
            agents = lifted.initialise(self.factory, self._settings, keys)
        else:
            agents = self._agents(dict(zip(slots, (agent for _, agent in arrivals), strict=True)))
            agents = lifted.hand_over(self.factory, self._settings, agents)
        fresh = np.isin(np.arange(self.width), slots)
        new = lifted.begin_phase(self.factory, self._settings, self._lanes, agents)
        self._states = new if self._states is None else lifted.refill(fresh, new, self._states)

    def _seat(self, slot: int, track: Track) -> None:
        track.exact = self._exact
        self.tracks[slot] = track
        row = lifted.as_arrays(track.run.settings)
        self._settings = jax.tree.map(lambda a, x: _with_row(a, slot, x), self._settings, row)
        for name, value in track.lane(self.factory.name).items():
            getattr(self._lanes, name)[slot] = value
        self._evaluation_keys[slot] = track.evaluation_key(self.factory.name)

    def _agents(self, known: dict[int, Tree]) -> Tree:
        blank = jax.tree.map(np.zeros_like, next(iter(known.values())))
        return lifted.stack([known.get(slot, blank) for slot in range(self.width)])

    def advance(self) -> list[Finished]:
        """Moves the runs on for about CALL seconds or until some have arrived, and reads those; returns what ended."""
        assert self._states is not None
        began, compiling = time.perf_counter(), compile_seconds()
        progress = {i: track.progress() for i, track in enumerate(self.tracks) if track is not None}
        before = np.asarray(self._states.step)
        room = 2**30 if self._step_seconds == 0 else max(1, int(CALL / self._step_seconds))
        if self._step_seconds == 0:
            room = 8  # how long a step takes is not known yet
        for i, p in progress.items():
            self._lanes.limit[i] = min(p.next_step, int(before[i]) + room)
            self._lanes.withdrawn[i] = FOREVER if p.withdrawn is None else p.withdrawn
        idle = 0 if self._step_seconds == 0 else int(len(progress) * self._return_seconds / self._step_seconds)
        called = time.perf_counter()
        self._states, stopped = lifted.advance(
            self.factory, self._settings, self._lanes, self._states, np.int32(min(idle, 2**30))
        )
        assert self._states is not None
        after, stopped = np.asarray(self._states.step), np.asarray(stopped)
        returned, compiled = time.perf_counter(), compile_seconds()
        self._probing = 0.0
        ended = self._read(progress, after, stopped)
        advancing = returned - called - (compiled - compiling)
        self._count(before, after, advancing, compiled == compiling, len(progress))
        between = max(0.0, time.perf_counter() - began - (compile_seconds() - compiling) - advancing)
        self.tally.evaluation_seconds += min(self._probing, between)
        self.tally.host_only_seconds += max(0.0, between - self._probing)
        self._return_seconds = between if self._return_seconds == 0 else 0.9 * self._return_seconds + 0.1 * between
        return ended

    def _count(self, before: np.ndarray, after: np.ndarray, seconds: float, steady: bool, runs: int) -> None:
        """Adds a call to the tally; `runs` are those that were in it."""
        total, longest = int((after - before).sum()), int((after - before).max(initial=0))
        together = lifted.side_by_side(self.example)
        self.tally.steps += total
        self.tally.slot_steps += longest * self.width if together else total  # in turn, nobody waits
        self.tally.device_seconds += seconds
        if steady and total:
            self._step_seconds = seconds / (longest if together else total / runs)

    def _read(self, progress: dict[int, Any], steps: np.ndarray, stopped: np.ndarray) -> list[Finished]:
        """Readings of the runs that have arrived where they are to be read; returns those that are at their end."""
        due = {
            i: bool(stopped[i])
            for i, p in progress.items()
            if (stopped[i] or steps[i] >= p.next_step) and self._unread(i, int(steps[i]))
        }
        self._take_readings(list(due), steps)
        ended = []
        for i, p in progress.items():
            track = self.tracks[i]
            assert track is not None
            if i in due:
                p = track.progress()
                p = p._replace(done=p.done or diverged(track.readings[-1]))
            if (i in due and p.done) or stopped[i]:
                ended.append(i)
        return self._retire(ended)

    def _unread(self, slot: int, step: int) -> bool:
        track = self.tracks[slot]
        assert track is not None
        return not track.readings or step > track.readings[-1].step

    def _take_readings(self, due: list[int], steps: np.ndarray) -> None:
        """A cheap look at all that are due, and the full one where a claim is open."""
        if not due:
            return
        assert self._states is not None
        sizes = self.example.evaluation
        clock = jax.device_get(self._states.clocks)
        cheap = [i for i in due if not self._track(i).training]
        full = [i for i in due if self._track(i).training]
        looks = {}
        if cheap:
            counts = self._look(cheap, steps, sizes.screen)
            looks = {i: read(counts, i, clock, int(steps[i]), False) for i in cheap}
            full += [i for i, look in looks.items() if self._track(i).wants_confirmation(look) and not diverged(look)]
        if full:
            counts = self._look(full, steps, sizes.episodes)
            looks |= {i: read(counts, i, clock, int(steps[i]), True) for i in full}
        for i in due:
            self._track(i).readings.append(looks[i])

    def _look(self, slots: list[int], steps: np.ndarray, episodes: int) -> Any:
        assert self._states is not None
        began, compiling = time.perf_counter(), compile_seconds()
        counts = jax.device_get(
            lifted.look(
                self.factory,
                self._settings,
                self._evaluation_keys,
                steps,
                self._states.agent.params,
                self._lanes.training,
                np.isin(np.arange(self.width), slots),
                episodes,
            )
        )
        self._probing += time.perf_counter() - began - (compile_seconds() - compiling)
        return counts

    def _track(self, slot: int) -> Track:
        track = self.tracks[slot]
        assert track is not None
        return track

    def _retire(self, slots: list[int]) -> list[Finished]:
        """Empties slots; returns what their tracks did."""
        if not slots:
            return []
        assert self._states is not None
        clock, known, guard = jax.device_get((self._states.clocks, self._states.exact, self._states.guard))
        ended = []
        for slot in slots:
            track = self._track(slot)
            self.tracks[slot] = None
            self._lanes.limit[slot] = EMPTY
            withdrawn = None if track.training or track.phase == UNOPPOSED else track.progress().withdrawn
            path = Path(
                track.readings,
                withdrawn,
                _step(clock.catastrophe[slot]),
                None if known is None else {name: float(x[slot]) for name, x in vars(known).items()},
                None if guard is None else {n: _step(getattr(guard, n)[slot]) for n in ("catastrophe", "shutdown")},
            )
            agent = jax.device_get(jax.tree.map(lambda x: x[slot], self._states.agent)) if track.training else None  # noqa: B023
            ended.append(Finished(track, path, agent, diverged(track.readings[-1])))
        return ended

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
        if self._states is None:
            self._states = self._blank_states()
        slots = [i for i, track in enumerate(self.tracks) if track is None][: len(saved)]
        leaves = [np.array(x) for x in jax.tree.leaves(_without_keys(self._states))]
        for slot, (track, values) in zip(slots, saved, strict=True):
            self._seat(slot, track)
            for leaf, value in zip(leaves, values, strict=True):
                leaf[slot] = value
        plain = jax.tree.unflatten(jax.tree.structure(_without_keys(self._states)), map(jnp.asarray, leaves))
        self._states = _with_keys(plain, self._states)

    def _blank_states(self) -> RunState:
        keys = np.zeros((self.width, 2), np.uint32)
        agents = lifted.initialise(self.factory, self._settings, keys)
        agents = lifted.hand_over(self.factory, self._settings, agents)
        return lifted.begin_phase(self.factory, self._settings, self._lanes, agents)

    def narrowed(self) -> "Cohort":
        """This cohort, or the same runs in a narrower one if most slots are empty and would be computed for nothing."""
        width = self.width
        while width >= NARROWER and self.busy <= width // NARROWER:
            width //= NARROWER
        if width == self.width or not self.busy or not lifted.side_by_side(self.example):
            return self
        smaller = Cohort(self.factory, self.example, width, self.tally)
        smaller.restore(self.save())
        return smaller


def run_through(
    factory: ScenarioFactory, tracks: Iterable[Track], agent_of: Callable[[Track], Tree], width: int
) -> Iterator[Finished]:
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


def _step(value: Any) -> int | None:
    return None if value == NEVER else int(value)


def _with_row(array: np.ndarray, row: int, value: Any) -> np.ndarray:
    array[row] = value
    return array


def _without_keys(tree: Tree) -> Tree:
    """Typed random keys as plain numbers."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x, tree)


def _with_keys(plain: Tree, like: Tree) -> Tree:
    def wrap(x: Any, old: Any) -> Any:
        typed = jnp.issubdtype(old.dtype, jax.dtypes.prng_key)
        return jax.random.wrap_key_data(x, impl=jax.random.key_impl(old)) if typed else x

    return jax.tree.map(wrap, plain, like)


_COMPILED = [0.0]


def _listen(event: str, seconds: float, **_: str | int) -> None:
    if event.endswith(("/jaxpr_to_mlir_module_duration", "/backend_compile_duration")):
        _COMPILED[0] += seconds


jax.monitoring.register_event_duration_secs_listener(_listen)  # pyright: ignore[reportArgumentType]


def compile_seconds() -> float:
    """Seconds that this process has spent lowering and compiling so far."""
    return _COMPILED[0]
