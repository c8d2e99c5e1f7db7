"""Runs in flight, as bytes and back: what a unit of work needs to go on where it was."""

import io
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from robustsim import files
from robustsim.sim.clocks import Reading
from robustsim.sim.track import Path, Track
from robustsim.sweep import store
from robustsim.sweep.plan import Plan


@dataclass
class Progress:
    """How far a unit of work is.

    Attributes:
      flying: tracks in flight, with the leaves of their states.
      halves: of runs of which one arm is done: (index, phase) -> path.
      tables: rows of runs that are done.
      done: indices of runs that are done, failed ones included.
      failed: (index, why) of runs that failed.
      steps: gradient steps taken.
      seconds: worked.
    """

    flying: list[tuple[Track, list[np.ndarray]]] = field(default_factory=list)
    halves: dict[tuple[int, str], Path] = field(default_factory=dict)
    tables: dict[str, list[pl.DataFrame]] = field(default_factory=lambda: {name: [] for name in store.TABLES})
    done: set[int] = field(default_factory=set)
    failed: list[tuple[int, str]] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0


def pack(progress: Progress, identity: str, unit: str) -> bytes:
    """A checkpoint as bytes, sealed."""
    arrays: dict[str, np.ndarray] = {}
    flying = []
    for i, (track, leaves) in enumerate(progress.flying):
        flying.append({"index": track.index, "phase": track.phase, "readings": [list(r) for r in track.readings]})
        arrays |= {f"state{i}_{j}": leaf for j, leaf in enumerate(leaves)}
    for name, frames in progress.tables.items():
        if frames:
            arrays[f"table_{name}"] = np.frombuffer(store.to_parquet(pl.concat(frames)), np.uint8)
    halves = [
        [index, phase, [list(r) for r in path.readings], *path[1:]] for (index, phase), path in progress.halves.items()
    ]
    head = {
        "identity": identity,
        "unit": unit,
        "flying": flying,
        "halves": halves,
        "done": sorted(progress.done),
        "failed": progress.failed,
        "steps": progress.steps,
        "seconds": progress.seconds,
    }
    buffer = io.BytesIO()
    np.savez(buffer, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)  # pyright: ignore[reportArgumentType]
    return files.seal(buffer.getvalue())


def unpack(data: bytes, plan: Plan, identity: str, unit: str) -> Progress | None:
    """The progress in a checkpoint; None if it is damaged or belongs to something else."""
    payload = files.unseal(data)
    if payload is None:
        return None
    with np.load(io.BytesIO(payload)) as arrays:
        head = json.loads(arrays["head"].tobytes())
        if head["identity"] != identity or head["unit"] != unit:
            return None
        flying = []
        for i, entry in enumerate(head["flying"]):
            track = Track(entry["index"], plan.run(entry["index"]), entry["phase"])
            track.readings = [_reading(r) for r in entry["readings"]]
            names = [name for name in arrays.files if name.startswith(f"state{i}_")]
            flying.append((track, [arrays[f"state{i}_{j}"] for j in range(len(names))]))
        tables: dict[str, list[pl.DataFrame]] = {name: [] for name in store.TABLES}
        for name in tables:
            if f"table_{name}" in arrays.files:
                tables[name].append(pl.read_parquet(io.BytesIO(arrays[f"table_{name}"].tobytes())))
    return Progress(
        flying=flying,
        halves={(i, phase): Path([_reading(r) for r in rs], *rest) for i, phase, rs, *rest in head["halves"]},
        tables=tables,
        done=set(head["done"]),
        failed=[(i, why) for i, why in head["failed"]],
        steps=head["steps"],
        seconds=head["seconds"],
    )


def _reading(values: list[Any]) -> Reading:
    return Reading._make(tuple(v) if isinstance(v, list) else v for v in values)
