"""A unit of work: training agents, or taking a shard's runs through both arms. It can stop, and go on."""

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from robustsim import files
from robustsim.errors import Stopped
from robustsim.sim import batched
from robustsim.sim.agents import Agents, blank_agent
from robustsim.sim.check import check_shapes
from robustsim.sim.cohort import Cohort
from robustsim.sim.pace import compile_seconds
from robustsim.sim.track import Track
from robustsim.spec.settings import for_training
from robustsim.sweep import checkpoint, compiled, rows, store
from robustsim.sweep.checkpoint import InFlight
from robustsim.sweep.place import Place
from robustsim.sweep.plan import REFERENCE, TRAIN, Plan, Shard, plan_precision
from robustsim.sweep.work import Deploy, Refer, Train, Work

IN_TURN, SIDE_BY_SIDE = 8, 1024  # slots, where runs take their steps one after the other and where together


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
