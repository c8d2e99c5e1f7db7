"""A unit of work: training agents, or taking a shard's runs through both arms. It can stop, and go on."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from robustsim import files
from robustsim.errors import Stopped
from robustsim.sim import batched
from robustsim.sim.agents import Agents, Trained, blank_agent, complaint, handed_out, new_agent, training_track
from robustsim.sim.check import check_shapes
from robustsim.sim.cohort import Cohort
from robustsim.sim.pace import compile_seconds
from robustsim.sim.reference import SEEDS, Reference, bar_of, reference_of
from robustsim.sim.track import REFERENCE as REFERENCE_PHASE
from robustsim.sim.track import Track, arms_of
from robustsim.spec.settings import Run, for_training
from robustsim.spec.twins import reference_settings
from robustsim.sweep import checkpoint, compiled, rows, store
from robustsim.sweep.checkpoint import InFlight
from robustsim.sweep.execution import CHECKPOINT
from robustsim.sweep.layout import STOP
from robustsim.sweep.plan import REFERENCE, TRAIN, Plan, Shard, plan_precision
from robustsim.types import Tree

IN_TURN, SIDE_BY_SIDE = 8, 1024  # slots, where runs take their steps one after the other and where together

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Place:
    """Where a unit's work goes, and how it is done. None of it changes a result.

    Attributes:
      folder: the results directory; None keeps everything in memory.
      manifest: of the directory.
      agents: the trained agents.
      width: slots; 0 chooses.
      checkpoint: seconds between two checkpoints.
      note: told the index of the run that is taken up, one at a time: for finding the one that kills workers.
      skip: runs to record as failed, with the reason.
      stop: whether to stop; asked about twice a second.
      tell: told how far the work is.
    """

    agents: Agents
    folder: Path | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    width: int = 0
    checkpoint: float = CHECKPOINT
    note: Callable[[int], None] | None = None
    skip: dict[int, str] = field(default_factory=dict)
    stop: Callable[[], bool] = lambda: False
    tell: Tell = lambda _: None

    @property
    def identity(self) -> str:
        """The identity of the results."""
        return store.identity(self.manifest) if self.manifest else ""


def place_in(folder: Path, width: int, checkpoint: float) -> Place:
    """The place of a sweep whose results go to a directory; it stops where it is asked to there."""
    agents = Agents((files.cache_folder() / "agents", folder / "agents"))
    stop = (folder / STOP).exists
    return Place(agents, folder, store.read_manifest(folder), width, checkpoint, stop=stop)


class Train:
    """Trains the agents of a unit that are not there yet; those of one training on one way.

    `name` is that of its checkpoint. `unfit` says why a run cannot be taken up ("": it can), `tracks` the phases of a
    run, `agent` what a phase begins with, and `finish` takes a phase that has ended; :class:`Deploy` has the same.
    """

    def __init__(self, plan: Plan, runs: tuple[int, ...], place: Place, name: str) -> None:
        self.name = name
        self._plan, self._place = plan, place
        self._wanted: dict[tuple[str, int], list[int]] = {}
        for index in runs:
            if _agent(plan, place.agents, index) is None:
                self._wanted.setdefault(plan.training_of(index), []).append(index)
        self._first = {indices[0]: indices for indices in self._wanted.values()}

    def indices(self) -> list[int]:
        """The first run of each training."""
        return list(self._first)

    def unfit(self, index: int) -> str:
        """Only what kills workers is left out."""
        return self._place.skip.get(index, "")

    def tracks(self, index: int) -> list[Track]:
        """The training."""
        demands = tuple(dict.fromkeys(self._plan.demand(i) for i in self._first[index]))
        return [training_track(index, self._plan.run(index), demands)]

    def agent(self, track: Track) -> Tree:
        """A new one."""
        return None

    def finish(self, track: Track, flight: InFlight) -> None:
        """Keeps the agents that are wanted."""
        about = {"scenario": self._plan.factory.name, "seed": track.run.seed}
        for index in self._first[track.index]:
            trained = handed_out(track, self._plan.demand(index))
            self._place.agents.put(self._plan.agent_name(index), trained, about)
        flight.done.add(track.index)


class Refer:
    """Trains a set of reference agents; its runs are their seeds."""

    def __init__(self, plan: Plan, unit: Shard, place: Place, name: str) -> None:
        self.name = name
        self._plan, self._place, (self._first,) = plan, place, unit.runs
        self._settings = reference_settings(plan.factory, plan.run(self._first).settings)

    def indices(self) -> list[int]:
        """The seeds."""
        there = self._place.agents.reference(self._plan.reference_name(self._first)) is not None
        return [] if there else list(range(SEEDS))

    def unfit(self, index: int) -> str:
        """A set in which one kills workers is left out: without all of its seeds it is none."""
        return next(iter(self._place.skip.values()), "")

    def tracks(self, index: int) -> list[Track]:
        """Its deployment."""
        return [Track(index, Run(self._settings, index), REFERENCE_PHASE)]

    def agent(self, track: Track) -> Tree:
        """One that was never trained."""
        return new_agent(self._plan.factory, track.run)

    def finish(self, track: Track, flight: InFlight) -> None:
        """Keeps what they came to, once all are there."""
        flight.halves[track.index, track.phase] = track
        flight.done.add(track.index)
        tracks = [flight.halves[half] for half in sorted(flight.halves)]
        if len(tracks) == SEEDS:
            found = reference_of([t.readings for t in tracks], self._settings)
            self._place.agents.put_reference(self._plan.reference_name(self._first), found)


class Deploy:
    """Takes the runs of a shard through their arms."""

    def __init__(self, plan: Plan, shard: Shard, place: Place, agents: Agents) -> None:
        self.name = shard.name
        self._plan, self._shard, self._place, self._agents = plan, shard, place, agents

    def _reference(self, index: int) -> Reference | None:
        name = self._plan.reference_name(index)
        return self._place.agents.reference(name) if name else None

    def indices(self) -> list[int]:
        """The runs of the shard."""
        return list(self._shard.runs)

    def unfit(self, index: int) -> str:
        """A run whose agent cannot be deployed is left out."""
        if index in self._place.skip:
            return self._place.skip[index]
        agent = _agent(self._plan, self._agents, index)
        if agent is None:
            return "its agent could not be trained"
        if self._plan.reference_name(index) and self._reference(index) is None:
            return "its reference agents could not be trained"
        return complaint(agent, self._plan.run(index).settings)

    def tracks(self, index: int) -> list[Track]:
        """Its arms."""
        run = self._plan.run(index)
        bar = bar_of(run.settings, self._reference(index))
        return [Track(index, run, phase, bar) for phase in arms_of(run.settings)]

    def agent(self, track: Track) -> Tree:
        """The trained one."""
        return self._trained(track.index).agent

    def finish(self, track: Track, flight: InFlight) -> None:
        """Makes the rows of a run once its arms are there."""
        index = track.index
        if not track.readings[-1].measures["finite"] and index not in dict(flight.failed):
            flight.failed.append((index, "the weights are not finite; lower agent.learning_rate"))
        flight.halves[index, track.phase] = track
        halves = [(index, phase) for phase in arms_of(track.run.settings)]
        if not all(half in flight.halves for half in halves):
            return
        arms = [flight.halves.pop(half) for half in halves]
        flight.done.add(index)
        if index not in dict(flight.failed):
            about = rows.About(self._trained(index), self._reference(index))
            for name, frame in rows.tables(self._plan, index, about, arms).items():
                flight.tables[name].append(frame)

    def _trained(self, index: int) -> Trained:
        found = _agent(self._plan, self._agents, index)
        assert found is not None
        return found


Work = Train | Refer | Deploy


def train(plan: Plan, unit: Shard, place: Place, name: str = "") -> None:
    """Trains a unit's agents that are not there yet; `name` is that of its checkpoint.

    Raises:
      Stopped: it was asked to; a checkpoint is there. StorageError: something cannot be written.
    """
    with batched.precision(plan_precision(plan)):
        _do(plan, place, Train(plan, unit.runs, place, name or unit.name))


def refer(plan: Plan, unit: Shard, place: Place, name: str = "") -> None:
    """Trains a unit's reference agents where they are not there yet. Arguments and errors: as :func:`train`."""
    with batched.precision(plan_precision(plan)):
        _do(plan, place, Refer(plan, unit, place, name or unit.name))


def deploy(plan: Plan, shard: Shard, place: Place) -> dict[str, Any]:
    """Takes a shard's runs through their arms; returns its tables, after committing them where there is a directory.

    Raises:
      Stopped, StorageError: as :func:`train`.
    """
    refer_name = f"reference-for-{shard.name}"
    # As a rule they are there as well. Those that were given up are not tried again.
    held = {plan.reference_name(i): i for i in reversed(shard.runs) if i not in place.skip and plan.reference_name(i)}
    for index in held.values():
        refer(plan, Shard(REFERENCE, shard.index, (index,)), replace(place, skip={}, note=None), refer_name)
    agents = place.agents
    if plan.demand(shard.runs[0]).steps == 0:  # nothing that would be worth keeping
        agents = Agents((), alone=True)
    firsts = {plan.agent_name(index): index for index in reversed(shard.runs)}
    # As a rule the agents are there; one may have been damaged since. What is in memory only needs no checkpoint.
    training_place = place if agents.folders else replace(place, folder=None, agents=agents)
    train_name = f"train-for-{shard.name}"
    train(plan, Shard(TRAIN, shard.index, tuple(firsts.values())), training_place, train_name)
    with batched.precision(plan_precision(plan)):
        flight = _do(plan, place, Deploy(plan, shard, place, agents))
    tables = {name: store.order(frames) for name, frames in flight.tables.items()}
    notes = {
        "runs": len(shard.runs),
        "failed": [[i, why, plan.about(i)] for i, why in sorted(flight.failed)],
        "steps": flight.steps,
        "seconds": round(flight.seconds, 1),
        **rows.counts(tables["runs"]),
    }
    if place.folder is not None:
        store.commit(place.folder, place.manifest, shard.index, tables, notes)
        for name in (shard.name, train_name, refer_name):
            with suppress(OSError):
                _checkpoint_path(place.folder, name).unlink(missing_ok=True)
    return {"tables": tables, **notes}


def _agent(plan: Plan, agents: Agents, index: int) -> Trained | None:
    return agents.get(plan.agent_name(index), plan.factory, plan.run(index))


# --- the loop over the runs of a unit ---


def _do(plan: Plan, place: Place, work: Work) -> InFlight:
    """Takes all runs to their ends, from the last checkpoint on, but for those that are unfit."""
    compiled.make_room()
    indices, flight = work.indices(), _resume(plan, place, work)
    for index in indices:
        if index not in flight.done and (why := work.unfit(index)):
            flight.done.add(index)
            flight.failed.append((index, why))
    waiting = _waiting(indices, flight, work)[::-1]
    flying = flight.flying = [(t, leaves) for t, leaves in flight.flying if t.index not in flight.done]
    if not waiting and not flying:
        return flight
    first = (waiting[-1] if waiting else flying[0][0]).run.settings
    width = 1 if place.note else place.width or _width(first, len(waiting) + len(flying))
    check_shapes(plan.factory, first)
    cohort, clock = Cohort(plan.factory, first, width), _Clock(place, work, flight, len(indices))
    while waiting or flying or cohort.busy:
        _fill(cohort, waiting, flying, place, work)
        for ended in cohort.advance():
            work.finish(ended, flight)
        clock.tick(cohort)
        if not waiting and not flying:
            cohort = cohort.narrowed()
    return flight


def _fill(
    cohort: Cohort, waiting: list[Track], flying: list[tuple[Track, list[Any]]], place: Place, work: Work
) -> None:
    """Seats tracks in the free slots: first those that were in flight."""
    free = cohort.width - cohort.busy
    returning = [flying.pop() for _ in range(min(free, len(flying)))]
    arriving = [waiting.pop() for _ in range(min(free - len(returning), len(waiting)))]
    if place.note and (returning or arriving):
        place.note((returning[0][0] if returning else arriving[0]).index)
    cohort.restore(returning)
    cohort.add([(track, work.agent(track)) for track in arriving])


class _Clock:
    """Reports progress, and saves from time to time."""

    def __init__(self, place: Place, work: Work, flight: InFlight, runs: int) -> None:
        self._place, self._work, self._flight, self._runs = place, work, flight, runs
        self._before = flight.steps, flight.seconds
        self._began = self._saved = time.monotonic()
        self._compiling = compile_seconds()

    def tick(self, cohort: Cohort) -> None:
        """After each call. Raises Stopped if it is time to."""
        flight, place, now = self._flight, self._place, time.monotonic()
        flight.steps = self._before[0] + cohort.spent.steps
        flight.seconds = self._before[1] + now - self._began
        place.tell(
            {
                "unit": self._work.name,
                "done": len(flight.done),
                "runs": self._runs,
                "steps": cohort.spent.steps,
                "seconds": now - self._began,
                "unsaved_seconds": now - self._saved,
                "compile_seconds": compile_seconds() - self._compiling,
            }
        )
        stopping = place.stop()
        if place.folder is not None and (stopping or time.monotonic() - self._saved >= place.checkpoint):
            snapshot = replace(flight, flying=[*flight.flying, *cohort.save()])
            data = checkpoint.pack(snapshot, place.identity, self._work.name)
            files.write_atomically(_checkpoint_path(place.folder, self._work.name), data)
            self._saved = time.monotonic()
        if stopping:
            raise Stopped


def _resume(plan: Plan, place: Place, work: Work) -> InFlight:
    if place.folder is None:
        return InFlight()
    try:
        data = files.read(_checkpoint_path(place.folder, work.name))
    except OSError:
        return InFlight()
    indices = set(work.indices())
    if not indices:
        return InFlight()
    blank = blank_agent(plan.factory, for_training(plan.run(min(indices)).settings))

    def tracks(index: int) -> list[Track]:
        return work.tracks(index) if index in indices else []

    return checkpoint.unpack(data, tracks, blank, place.identity, work.name) or InFlight()


def _waiting(indices: list[int], flight: InFlight, work: Work) -> list[Track]:
    """The tracks that are neither done nor in flight, in order."""
    known = set(flight.halves) | {(track.index, track.phase) for track, _ in flight.flying}
    return [
        track
        for index in indices
        if index not in flight.done
        for track in work.tracks(index)
        if (track.index, track.phase) not in known
    ]


def _width(settings: Any, tracks: int) -> int:
    """Slots: a power of two that holds all tracks, up to what suits the device."""
    if not batched.side_by_side(settings):
        return IN_TURN
    return min(SIDE_BY_SIDE, 1 << max(0, (tracks - 1).bit_length()))


def _checkpoint_path(folder: Path, unit: str) -> Path:
    return folder / "inflight" / f"{unit}.checkpoint"


def note_active(folder: Path, unit: str, index: int) -> None:
    """Notes which run is being worked on."""
    files.write_atomically(folder / "inflight" / f"{unit}.active", str(index).encode())


def forget_active(folder: Path, unit: str) -> None:
    """Forgets which run was being worked on."""
    with suppress(OSError):
        (folder / "inflight" / f"{unit}.active").unlink(missing_ok=True)


def active(folder: Path, unit: str) -> int | None:
    """The run that was being worked on, if that is known."""
    try:
        return int(files.read(folder / "inflight" / f"{unit}.active", 100))
    except (OSError, ValueError):
        return None


def unit_name(kind: str, index: int) -> str:
    """The name under which a unit's files are kept; `kind` is TRAIN or DEPLOY."""
    return Shard(kind, index, ()).name
