"""Runs in flight, as bytes and back: what a unit of work needs to go on where it was."""

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import polars as pl

from robustsim import files, npz
from robustsim.events import Ending
from robustsim.sim.readings import Reading
from robustsim.sim.track import Track
from robustsim.sweep import store
from robustsim.types import Tree


@dataclass
class InFlight:
    """How far a unit of work is.

    Attributes:
      flying: tracks in flight, with the leaves of their states.
      halves: of runs of which one arm is done: (index, phase) -> that arm.
      tables: rows of runs that are done.
      done: indices of runs that are done, failed ones included.
      failed: (index, why) of runs that failed.
      steps: gradient steps taken.
      seconds: worked.
    """

    flying: list[tuple[Track, list[np.ndarray]]] = field(default_factory=list)
    halves: dict[tuple[int, str], Track] = field(default_factory=dict)
    tables: dict[str, list[pl.DataFrame]] = field(default_factory=lambda: {name: [] for name in store.TABLES})
    done: set[int] = field(default_factory=set)
    failed: list[tuple[int, str]] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0


TracksOf = Callable[[int], Iterable[Track]]
"""`tracks_of(index)`, the phases of a run before anything has happened."""


def pack(flight: InFlight, identity: str, unit: str) -> bytes:
    """A checkpoint as bytes, sealed."""
    arrays: dict[str, np.ndarray] = {}
    flying = []
    for i, (track, leaves) in enumerate(flight.flying):
        flying.append({**_plain(track), "agents": sorted(track.agents)})
        arrays |= {f"state{i}_{j}": leaf for j, leaf in enumerate(leaves)}
        for step, agent in track.agents.items():
            arrays |= {f"agent{i}_{step}_{j}": leaf for j, leaf in enumerate(jax.tree.leaves(agent))}
    for name, frames in flight.tables.items():
        if frames:
            arrays[f"table_{name}"] = np.frombuffer(store.to_parquet(pl.concat(frames)), np.uint8)
    head = {
        "identity": identity,
        "unit": unit,
        "flying": flying,
        "halves": [_plain(track) for track in flight.halves.values()],
        "done": sorted(flight.done),
        "failed": flight.failed,
        "steps": flight.steps,
        "seconds": flight.seconds,
    }
    buffer = io.BytesIO()
    np.savez(buffer, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)  # pyright: ignore[reportArgumentType]
    return files.seal(buffer.getvalue())


def unpack(data: bytes, tracks_of: TracksOf, blank: Tree, identity: str, unit: str) -> InFlight | None:
    """The work in a checkpoint; None if it is damaged or belongs to something else.

    Args:
      blank: the structure of an agent in training.
    """
    payload = files.unseal(data)
    try:
        arrays = {} if payload is None else npz.arrays(payload)
        head = json.loads(arrays["head"].tobytes())
    except (ValueError, KeyError, RecursionError):
        return None
    if head["identity"] != identity or head["unit"] != unit:
        return None
    flying = []
    for i, entry in enumerate(head["flying"]):
        track = _track(entry, tracks_of)
        if track is None:
            continue
        track.agents = {step: _agent(arrays, f"agent{i}_{step}", blank) for step in entry["agents"]}
        flying.append((track, _leaves(arrays, f"state{i}")))
    tables: dict[str, list[pl.DataFrame]] = {name: [] for name in store.TABLES}
    for name in tables:
        if f"table_{name}" in arrays:
            tables[name].append(pl.read_parquet(io.BytesIO(arrays[f"table_{name}"].tobytes())))
    halves = [track for entry in head["halves"] if (track := _track(entry, tracks_of)) is not None]
    return InFlight(
        flying=flying,
        halves={(track.index, track.phase): track for track in halves},
        tables=tables,
        done=set(head["done"]),
        failed=[(i, why) for i, why in head["failed"]],
        steps=head["steps"],
        seconds=head["seconds"],
    )


KEPT = ("index", "phase", "ending", "withdrawn", "returned", "catastrophe", "mastered", "known", "defended", "stride")


def _plain(track: Track) -> dict[str, Any]:
    """A track as JSON holds it, but for what its run is."""
    return {name: getattr(track, name) for name in KEPT} | {"readings": [list(r) for r in track.readings]}


def _track(entry: dict[str, Any], tracks_of: TracksOf) -> Track | None:
    track = next((t for t in tracks_of(entry["index"]) if t.phase == entry["phase"]), None)
    if track is None:
        return None
    for name in KEPT[2:]:
        setattr(track, name, entry[name])
    track.ending = None if entry["ending"] is None else Ending(entry["ending"])
    track.readings = [_reading(values) for values in entry["readings"]]
    return track


def _reading(values: list[Any]) -> Reading:
    step, level, known, measures, counters = values
    pairs = {name: tuple(value) if isinstance(value, list) else value for name, value in measures.items()}
    return Reading(step, level, known, pairs, counters)


def _leaves(arrays: Any, prefix: str) -> list[np.ndarray]:
    names = [name for name in arrays if name.startswith(f"{prefix}_")]
    return [arrays[f"{prefix}_{j}"] for j in range(len(names))]


def _agent(arrays: Any, prefix: str, blank: Tree) -> Tree:
    return jax.tree.unflatten(jax.tree.structure(blank), _leaves(arrays, prefix))
