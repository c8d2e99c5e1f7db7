"""A unit of work: training some agents, or taking a shard's runs through both arms. It can stop, and go on."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from robustsim import files
from robustsim.errors import Stopped
from robustsim.sim import lifted
from robustsim.sim.agents import Agents, complaint, trained, training_settings
from robustsim.sim.check import check_shapes
from robustsim.sim.cohort import Cohort, Finished, compile_seconds
from robustsim.sim.track import CORRECTED, TRAINING, UNOPPOSED, Track
from robustsim.sweep import checkpoint, compiled, rows, store
from robustsim.sweep.checkpoint import Progress
from robustsim.sweep.execution import CHECKPOINT
from robustsim.sweep.plan import Plan, Shard, Training, plan_precision

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


def train(plan: Plan, unit: Training, place: Place, name: str = "") -> None:
    """Trains a unit's agents that are not there yet; `name` is that of its checkpoint.

    Raises:
      Stopped: it was asked to; a checkpoint is there. StorageError: something cannot be written.
    """

    def finish(ended: Finished, progress: Progress) -> None:
        place.agents.put(plan.agent_name(ended.track.index), trained(ended))
        progress.done.add(ended.track.index)

    def track(index: int) -> Track:
        run = plan.run(index)
        return Track(index, run._replace(settings=training_settings(run.settings)), TRAINING)

    def unfit(index: int) -> str:
        return place.skip.get(index, "")

    with lifted.precision(plan_precision(plan)):
        missing = [i for i in unit.runs if not _agent(plan, place.agents, i)]
        _work(
            plan,
            place,
            name or unit_name("train", unit.index),
            missing,
            lambda i: [track(i)],
            lambda _: None,
            finish,
            unfit,
        )


def deploy(plan: Plan, shard: Shard, place: Place) -> dict[str, Any]:
    """Takes a shard's runs through both arms; returns its tables, after committing them where there is a directory.

    Raises:
      Stopped, StorageError: as :func:`train`.
    """
    unit, agents = unit_name("deploy", shard.index), place.agents
    if plan.run(shard.runs[0]).settings.training.steps == 0:  # nothing that would be worth keeping
        agents = Agents((), alone=True)
    place = replace(place, agents=agents)
    firsts = {plan.agent_name(index): index for index in reversed(shard.runs)}
    # As a rule the agents are there; one may have been damaged since. What is in memory only needs no checkpoint.
    training_place = place if agents.folders else replace(place, folder=None)
    train(plan, Training(shard.index, tuple(firsts.values())), training_place, f"train-for-{unit}")

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

    def unfit(index: int) -> str:
        if index in place.skip:
            return place.skip[index]
        agent = _agent(plan, agents, index)
        return "its agent could not be trained" if agent is None else complaint(agent, plan.run(index).settings)

    with lifted.precision(plan_precision(plan)):
        progress = _work(
            plan,
            place,
            unit,
            list(shard.runs),
            tracks,
            lambda track: _agent(plan, agents, track.index).agent,
            finish,
            unfit,
        )
    tables = {name: store.order(frames) for name, frames in progress.tables.items()}
    notes = {
        "runs": len(shard.runs),
        "failed": [[i, why] for i, why in sorted(progress.failed)],
        "steps": progress.steps,
        "seconds": round(progress.seconds, 1),
        **rows.counts(tables["runs"]),
    }
    if place.folder is not None:
        store.commit(place.folder, place.manifest, shard.index, tables, notes)
        for name in (unit, f"train-for-{unit}"):
            with suppress(OSError):
                _checkpoint_path(place.folder, name).unlink(missing_ok=True)
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
    unfit: Callable[[int], str],
) -> Progress:
    """Takes the tracks of all `indices` to their ends, from the last checkpoint on, but for those that are unfit."""
    compiled.make_room()
    progress = _resume(plan, place, unit)
    for index in indices:
        if index not in progress.done and (why := unfit(index)):
            progress.done.add(index)
            progress.failed.append((index, why))
    waiting = _waiting(indices, progress, tracks_of)[::-1]
    flying = progress.flying = [(t, leaves) for t, leaves in progress.flying if t.index not in progress.done]
    if not waiting and not flying:
        return progress
    first = (waiting[-1] if waiting else flying[0][0]).run.settings
    width = 1 if place.note else place.width or _width(first, len(waiting) + len(flying))
    check_shapes(plan.factory, first)
    cohort = Cohort(plan.factory, first, width)
    before, began, saved = (progress.steps, progress.seconds), time.monotonic(), time.monotonic()
    compiling = compile_seconds()
    while waiting or flying or cohort.busy:
        free = cohort.width - cohort.busy
        returning = [flying.pop() for _ in range(min(free, len(flying)))]
        arriving = [waiting.pop() for _ in range(min(free - len(returning), len(waiting)))]
        if place.note and (returning or arriving):
            place.note((returning[0][0] if returning else arriving[0]).index)
        cohort.restore(returning)
        cohort.add([(track, agent_of(track)) for track in arriving])
        for ended in cohort.advance():
            finish(ended, progress)
        progress.steps = before[0] + cohort.tally.steps
        progress.seconds = before[1] + time.monotonic() - began
        place.tell(
            {
                "unit": unit,
                "done": len(progress.done),
                "runs": len(indices),
                "steps": cohort.tally.steps,
                "seconds": time.monotonic() - began,
                "unsaved_seconds": time.monotonic() - saved,
                "compile_seconds": compile_seconds() - compiling,
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


def forget_active(folder: Path, unit: str) -> None:
    """Forgets which run was being worked on."""
    with suppress(OSError):
        (folder / "inflight" / f"{unit}.active").unlink(missing_ok=True)


def active(folder: Path, unit: str) -> int | None:
    """The run that was being worked on, if that is known."""
    try:
        return int((folder / "inflight" / f"{unit}.active").read_text())
    except (OSError, ValueError):
        return None


def unit_name(kind: str, index: int) -> str:
    """The name under which a unit's files are kept; `kind` is "train" or "deploy"."""
    return f"{'train' if kind == 'train' else 'shard'}-{index:05d}"
