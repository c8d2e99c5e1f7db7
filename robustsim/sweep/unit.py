"""A unit of work: instilling some agents, or taking a shard's runs through both arms. It can stop, and go on."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from robustsim import files
from robustsim.errors import Stopped
from robustsim.sim import lifted
from robustsim.sim.check import check_shapes
from robustsim.sim.cohort import Cohort, Finished, compile_seconds
from robustsim.sim.instil import Agents, complaint, instilled, training_settings
from robustsim.sim.track import CORRECTED, INSTIL, UNOPPOSED, Track
from robustsim.sweep import checkpoint, rows, store
from robustsim.sweep.checkpoint import Progress
from robustsim.sweep.plan import Plan, Shard, Training, plan_precision

IN_TURN, SIDE_BY_SIDE = 8, 1024  # slots, where runs take their steps one after the other and where together
CHECKPOINT = 30.0  # seconds between two checkpoints

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Place:
    """Where a unit's work goes, and how it is done. None of it changes a result.

    Attributes:
      folder: the results directory; None keeps everything in memory.
      manifest: of the directory.
      agents: the instilled agents.
      width: slots; 0 chooses.
      checkpoint: seconds between two checkpoints.
      solo: one run at a time, and the run that is being worked on is noted: for finding the one that kills workers.
      skip: runs to record as failed, with the reason.
      stop: whether to stop; asked about twice a second.
      tell: told how far the work is.
    """

    agents: Agents
    folder: Path | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    width: int = 0
    checkpoint: float = CHECKPOINT
    solo: bool = False
    skip: dict[int, str] = field(default_factory=dict)
    stop: Callable[[], bool] = lambda: False
    tell: Tell = lambda _: None

    @property
    def identity(self) -> str:
        """The identity of the results."""
        return store.identity(self.manifest) if self.manifest else ""


def train(plan: Plan, unit: Training, place: Place) -> None:
    """Instils a unit's agents that are not there yet.

    Raises:
      Stopped: it was asked to; a checkpoint is there. StorageError: something cannot be written.
    """

    def finish(ended: Finished, progress: Progress) -> None:
        place.agents.put(plan.agent_name(ended.track.index), instilled(ended))
        progress.done.add(ended.track.index)

    def track(index: int) -> Track:
        run = plan.run(index)
        return Track(index, run._replace(settings=training_settings(run.settings)), INSTIL)

    with lifted.precision(plan_precision(plan)):
        missing = [i for i in unit.runs if not _agent(plan, place.agents, i)]
        _work(plan, place, f"train-{unit.index:05d}", missing, lambda i: [track(i)], lambda _: None, finish)


def deploy(plan: Plan, shard: Shard, place: Place) -> dict[str, Any]:
    """Takes a shard's runs through both arms; returns its tables, after committing them where there is a directory.

    Raises:
      Stopped, StorageError: as :func:`train`.
    """
    agents = place.agents
    if plan.run(shard.runs[0]).settings.instil.steps == 0:  # nothing that would be worth keeping
        agents = Agents((), alone=True)
        firsts = {plan.agent_name(index): index for index in shard.runs}
        train(plan, Training(shard.index, tuple(firsts.values())), replace(place, agents=agents, folder=None))

    def finish(ended: Finished, progress: Progress) -> None:
        index = ended.track.index
        if ended.diverged and index not in dict(progress.failed):
            progress.failed.append((index, "the weights are not finite; lower agent.learning_rate"))
        progress.halves[index, ended.track.phase] = ended.path
        if (index, CORRECTED) not in progress.halves or (index, UNOPPOSED) not in progress.halves:
            return
        corrected, unopposed = progress.halves.pop((index, CORRECTED)), progress.halves.pop((index, UNOPPOSED))
        progress.done.add(index)
        if index not in dict(progress.failed):
            agent = _agent(plan, agents, index)
            for name, frame in rows.tables(plan, index, agent, corrected, unopposed).items():
                progress.tables[name].append(frame)

    def tracks(index: int) -> list[Track]:
        return [Track(index, plan.run(index), phase) for phase in (CORRECTED, UNOPPOSED)]

    unit = f"shard-{shard.index:05d}"
    with lifted.precision(plan_precision(plan)):
        progress = _work(
            plan,
            replace(place, agents=agents),
            unit,
            list(shard.runs),
            tracks,
            lambda track: _agent(plan, agents, track.index).agent,
            finish,
        )
    tables = {name: store.order(frames) for name, frames in progress.tables.items()}
    notes = {
        "runs": len(shard.runs),
        "failed": [[i, why] for i, why in sorted(progress.failed)],
        "steps": progress.steps,
        **rows.counts(tables["runs"]),
    }
    if place.folder is not None:
        store.commit(place.folder, place.manifest, shard.index, tables, notes)
        with suppress(OSError):
            _checkpoint_path(place.folder, unit).unlink(missing_ok=True)
    return {"tables": tables, **notes}


def _agent(plan: Plan, agents: Agents, index: int) -> Any:
    return agents.get(plan.agent_name(index), plan.factory, plan.run(index))


def _work(
    plan: Plan,
    place: Place,
    unit: str,
    indices: list[int],
    tracks_of: Callable[[int], list[Track]],
    agent_of: Callable[[Track], Any],
    finish: Callable[[Finished, Progress], None],
) -> Progress:
    """Takes the tracks of all `indices` to their ends, from the last checkpoint on."""
    progress = _resume(plan, place, unit)
    for index in indices:
        if index not in progress.done and (why := _unfit(plan, place, index, unit)):
            progress.done.add(index)
            progress.failed.append((index, why))
    waiting = _waiting(indices, progress, tracks_of)[::-1]
    flying = progress.flying = [(t, leaves) for t, leaves in progress.flying if t.index not in progress.done]
    if not waiting and not flying:
        return progress
    first = (waiting[-1] if waiting else flying[0][0]).run.settings
    width = 1 if place.solo else place.width or _width(first, len(waiting) + len(flying))
    check_shapes(plan.factory, first)
    cohort = Cohort(plan.factory, first, width)
    base, began, saved = progress.steps, time.monotonic(), time.monotonic()
    compiled = compile_seconds()
    while waiting or flying or cohort.busy:
        free = cohort.width - cohort.busy
        returning = [flying.pop() for _ in range(min(free, len(flying)))]
        arriving = [waiting.pop() for _ in range(min(free - len(returning), len(waiting)))]
        if place.solo and place.folder is not None and (returning or arriving):
            note_active(place.folder, unit, (returning[0][0] if returning else arriving[0]).index)
        cohort.restore(returning)
        cohort.add([(track, agent_of(track)) for track in arriving])
        for ended in cohort.advance():
            finish(ended, progress)
        progress.steps = base + cohort.tally.steps
        place.tell(
            {
                "unit": unit,
                "done": len(progress.done),
                "runs": len(indices),
                "steps": cohort.tally.steps,
                "seconds": time.monotonic() - began,
                "compile_seconds": compile_seconds() - compiled,
            }
        )
        stopping = place.stop()
        if place.folder is not None and (stopping or time.monotonic() - saved >= place.checkpoint):
            snapshot = replace(progress, flying=[*flying, *cohort.save()])
            data = checkpoint.pack(snapshot, place.identity, unit)
            files.write_atomically(_checkpoint_path(place.folder, unit), data)
            saved = time.monotonic()
        if stopping:
            raise Stopped
        if not waiting and not flying:
            cohort = cohort.narrowed()
    return progress


def _resume(plan: Plan, place: Place, unit: str) -> Progress:
    if place.folder is None:
        return Progress()
    try:
        data = _checkpoint_path(place.folder, unit).read_bytes()
    except OSError:
        return Progress()
    return checkpoint.unpack(data, plan, place.identity, unit) or Progress()


def _unfit(plan: Plan, place: Place, index: int, unit: str) -> str:
    """Why a run cannot be made; "" if it can."""
    if index in place.skip:
        return place.skip[index]
    if unit.startswith("train"):
        return ""
    agent = _agent(plan, place.agents, index)
    return "its agent could not be trained" if agent is None else complaint(agent, plan.run(index).settings)


def _waiting(indices: list[int], progress: Progress, tracks_of: Callable[[int], list[Track]]) -> list[Track]:
    """The tracks that are neither done nor in flight, in order."""
    known = set(progress.halves) | {(track.index, track.phase) for track, _ in progress.flying}
    return [
        track
        for index in indices
        if index not in progress.done
        for track in tracks_of(index)
        if (track.index, track.phase) not in known
    ]


def _width(settings: Any, tracks: int) -> int:
    """Slots: a power of two that holds all tracks, up to what suits the device."""
    if not lifted.side_by_side(settings):
        return IN_TURN
    return min(SIDE_BY_SIDE, 1 << max(0, (tracks - 1).bit_length()))


def _checkpoint_path(folder: Path, unit: str) -> Path:
    return folder / "inflight" / f"{unit}.checkpoint"


def note_active(folder: Path, unit: str, index: int) -> None:
    """Notes which run is being worked on."""
    files.write_atomically(folder / "inflight" / f"{unit}.active", str(index).encode())


def active(folder: Path, unit: str) -> int | None:
    """The run that was being worked on, if that is known."""
    try:
        return int((folder / "inflight" / f"{unit}.active").read_text())
    except (OSError, ValueError):
        return None
