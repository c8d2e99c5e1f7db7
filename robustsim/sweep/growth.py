"""More of a finished sweep: further seeds, values or axes in the same directory. What is there is not run again.

The runs that are there become finished runs of unfinished shards of the new plan, so that the work goes on as after an
interruption. Those that failed are tried again, with the agents that are kept. The manifest is exchanged in one step,
between writing those and removing the old shards: at any moment, either the old results are whole or the same command
goes on.
"""

from pathlib import Path
from typing import Any

import polars as pl

from robustsim import files
from robustsim.spec.settings import flatten
from robustsim.sweep import checkpoint, layout, rows, store
from robustsim.sweep.columns import INDEX
from robustsim.sweep.plan import Plan, Shard

FIRST = (INDEX, "run_id", "scenario", "seed")  # columns, before those of the swept names


def grow(folder: Path, plan: Plan, manifest: dict[str, Any]) -> frozenset[str]:
    """Makes finished results part of a larger plan, if that is what is asked for; returns the ids of their runs.

    Args:
      manifest: of the plan.

    Raises:
      StorageError: something cannot be read or written.
    """
    nothing = frozenset[str]()
    if not (folder / store.MANIFEST).exists():
        return nothing
    old = store.read_manifest(folder)
    alike = ("scenario", "claim", "source_sha256", "design")
    same = old["code"] == manifest["code"] and all(old["what"][name] == manifest["what"][name] for name in alike)
    if not same or store.identity(old) == store.identity(manifest):
        return nothing
    done = store.marks(folder, old)
    if len(done) < old["plan"]["shards"]:
        return nothing
    runs = store.read(folder, old, "runs")
    place = {rows.run_id(plan.factory, plan.run(index)): index for index in range(len(plan))}
    if not set(runs["run_id"]) <= set(place) or len(runs) == len(plan):
        return nothing
    index = pl.DataFrame({"run_id": list(place), INDEX: list(place.values())}, schema_overrides={INDEX: pl.Int64})
    tables = {"runs": _swept(plan, runs.drop(old["what"]["swept"]).join(index, on="run_id"))}
    tables["traces"] = store.read(folder, old, "traces").join(index, on="run_id", maintain_order="left")
    for shard in plan.shards:
        _carry(folder, shard, tables, store.identity(manifest))
    store.write_manifest(folder, manifest)
    for path in layout.own(folder, "shards"):
        path.unlink(missing_ok=True)
    return frozenset(runs["run_id"])


def _swept(plan: Plan, runs: pl.DataFrame) -> pl.DataFrame:
    """Rows of `runs` with the columns of what the plan sweeps."""
    settings = [flatten(plan.run(index).settings) for index in runs[INDEX]]
    new = {name: pl.Series(name, [row[name] for row in settings], dtype=plan.kinds[name]) for name in plan.swept}
    return runs.with_columns(**new).select(*FIRST, *plan.swept, pl.exclude(*FIRST, *plan.swept))


def _carry(folder: Path, shard: Shard, tables: dict[str, pl.DataFrame], identity: str) -> None:
    """Writes the runs of a shard that are there as its checkpoint."""
    here = pl.col(INDEX).is_in(list(shard.runs))
    found = {name: table.filter(here).select(INDEX, pl.exclude(INDEX)) for name, table in tables.items()}
    if found["runs"].is_empty():
        return
    flight = checkpoint.InFlight(
        tables={name: [table] for name, table in found.items()}, done=set(found["runs"][INDEX])
    )
    path = folder / "inflight" / f"{shard.name}.checkpoint"
    files.write_atomically(path, checkpoint.pack(flight, identity, shard.name))
