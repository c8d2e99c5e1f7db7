"""The progress of a sweep, read from its directory, so that any terminal can ask. Needs no JAX."""

import json
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustsim import files
from robustsim.sweep import store

EVERY = 1.0  # seconds between two notes of a worker
MOST_NOTE = 2**20  # bytes
FRESH = 30.0  # seconds after which a note says nothing about the present


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of a sweep. Steps are gradient steps.

    Attributes:
      runs: in total.
      done: of them, those that are stored, failed ones included.
      flying: done by workers, but not stored yet.
      corrected, catastrophe_first, censored: how the stored ones ended (the race of the corrected arm).
      failed: (what tells the run from others, why): the values of the swept names, and the seed.
      shards, shards_done: units of storage.
      rate: gradient steps per second now, over all workers.
      compile_seconds: spent compiling by the active workers.
      seconds_left: estimated from the stored runs; None while nothing is known.
      workers: active now.
    """

    runs: int
    done: int
    flying: int
    corrected: int
    catastrophe_first: int
    censored: int
    failed: list[tuple[dict[str, Any], str]]
    shards: int
    shards_done: int
    steps: int
    rate: float
    compile_seconds: float
    seconds_left: float | None
    workers: int
    training: int

    @property
    def complete(self) -> bool:
        """Whether every run is stored."""
        return self.done == self.runs


def status(folder: Path) -> Status:
    """The state of the sweep in a directory.

    Raises:
      UserError: it is not a results directory, or damaged.
    """
    manifest = store.read_manifest(folder)
    marks = store.marks(folder, manifest)
    notes = [n for n in _notes(folder) if time.time() - n["at"] < FRESH]
    known = {f"shard-{index:05d}" for index in marks}
    return summary(manifest["plan"], list(marks.values()), notes, known)


def summary(plan: Mapping[str, Any], marks: Sequence[Mapping[str, Any]], notes: Any, known: Collection[str]) -> Status:
    """The state of a sweep.

    Args:
      plan: how many `runs` and `shards` there are.
      marks: what is said of each shard that is done.
      notes: what each active worker said last.
      known: names of the shards that are done.
    """
    done = sum(mark["runs"] for mark in marks)
    notes = [] if done == plan["runs"] else notes
    deploying = [n for n in notes if n["unit"].startswith("shard")]
    flying = sum(n["done"] for n in deploying if n["unit"] not in known)
    rate = sum(n["rate"] for n in notes)
    steps = sum(mark["steps"] for mark in marks)
    left = plan["runs"] - done - flying
    per_run = steps / done if done else None
    return Status(
        runs=plan["runs"],
        done=done,
        flying=flying,
        corrected=sum(mark["corrected"] for mark in marks),
        catastrophe_first=sum(mark["catastrophe_first"] for mark in marks),
        censored=sum(mark["censored"] for mark in marks),
        failed=[(about, why) for mark in marks for _, why, about in mark["failed"]],
        shards=plan["shards"],
        shards_done=len(marks),
        steps=steps,
        rate=rate,
        compile_seconds=sum(n["compile_seconds"] for n in notes),
        seconds_left=left * per_run / rate if per_run and rate else 0.0 if left == 0 else None,
        workers=len(notes),
        training=len(notes) - len(deploying),
    )


def noting(folder: Path, worker: str) -> Callable[[dict[str, Any]], None]:
    """A function that notes a worker's progress in the directory, at most once in EVERY seconds."""
    path = folder / "progress" / f"{worker}.json"
    last = {"at": 0.0, "steps": 0, "unit": "", "seconds": 0.0, "rate": 0.0}

    def tell(news: dict[str, Any]) -> None:
        now = time.time()
        if now - last["at"] < EVERY and news["unit"] == last["unit"]:
            return
        if news["unit"] == last["unit"] and news["seconds"] > last["seconds"]:
            last["rate"] = (news["steps"] - last["steps"]) / (news["seconds"] - last["seconds"])
        last.update(at=now, steps=news["steps"], unit=news["unit"], seconds=news["seconds"])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            temporary.write_text(json.dumps({**news, "at": now, "rate": last["rate"], "pid": os.getpid()}), "utf-8")
            temporary.replace(path)
        except OSError:
            return  # progress is for people; the work continues without it

    return tell


def _notes(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted((folder / "progress").glob("*.json")):
        try:
            note = json.loads(files.read(path, MOST_NOTE))
            numbers = {k: float(note[k]) for k in ("at", "rate", "compile_seconds", "steps")}
            found.append({**numbers, "unit": str(note["unit"]), "done": int(note["done"])})
        except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
            continue
    return found


def in_words(state: Status) -> str:
    """A status in a line or a few."""
    lines = [f"{state.done} of {state.runs} runs stored ({ends(state)}), {state.shards_done} of {state.shards} shards"]
    if state.failed:
        lines[0] += f"; {len(state.failed)} failed"
    if state.workers:
        doing = f"{state.workers} active workers" + (f", {state.training} of them training" if state.training else "")
        lines.append(
            f"{doing}: {state.flying} runs finished but not yet stored, {state.rate:,.0f} gradient steps/s, "
            f"{state.compile_seconds:.0f} s spent compiling"
        )
    if not state.complete:
        lines.append("time left: " + ("not yet known" if state.seconds_left is None else duration(state.seconds_left)))
    lines += [
        f"failed: {', '.join(f'{name} {x}' for name, x in about.items())}: {why}" for about, why in state.failed[:20]
    ]
    if len(state.failed) > 20:
        lines.append(f"and {len(state.failed) - 20} more failed runs")
    return "\n".join(lines)


def ends(state: Status) -> str:
    """How the stored runs ended. A run may be corrected after its catastrophe."""
    return (
        f"{state.catastrophe_first} catastrophe first, {state.censored} neither; "
        f"{state.corrected} corrected, before or after a catastrophe"
    )


def duration(seconds: float) -> str:
    """A number of seconds for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
