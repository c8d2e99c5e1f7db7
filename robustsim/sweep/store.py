"""Writing and reading results: the manifest and the shards. Reading needs no JAX.

Everything is written under another name, flushed and renamed, and nothing that is there is changed.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from robustsim import files
from robustsim.errors import StorageError, UserError
from robustsim.records import Column
from robustsim.sweep import received
from robustsim.sweep.columns import INDEX, RUNS
from robustsim.sweep.layout import MANIFEST, clear, own
from robustsim.sweep.trace_columns import TRACES

SCHEMA = 4
VERSIONS = {1: "before 0.1", 2: "before 0.1", 3: "0.1"}  # that wrote a schema
TABLES = ("runs", "traces")
MOST_MANIFEST = 2**28  # bytes of a manifest, or of the mark of a shard
KINDS = {int: pl.Int64, float: pl.Float64, bool: pl.Boolean, str: pl.String}


def table(rows: list[dict[str, Any]], declared: Sequence[Column], swept: Mapping[str, Any] = {}) -> pl.DataFrame:
    """Rows as a table with the types of their columns' declarations; `swept` has those of swept names."""
    known = {INDEX: pl.Int64, **swept, **{column.name: KINDS[column.type] for column in declared}}
    return pl.DataFrame(rows, schema_overrides=known, infer_schema_length=None)


# --- the manifest ---


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a results directory.

    Raises:
      UserError: it is not a results directory, or one of another schema. StorageError: it is damaged.
    """
    path = folder / MANIFEST
    try:
        text = files.read(path, MOST_MANIFEST).decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{str(folder)!r} is not a results directory: it has no {MANIFEST}") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise StorageError(f"{path}: is damaged ({error})") from None
    try:
        manifest = json.loads(text)
        schema, checksum = manifest["schema"], manifest.pop("sha256", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StorageError(f"{path}: is damaged: it is not what was written") from None
    if schema != SCHEMA:
        by = VERSIONS.get(schema) or (
            "a newer version" if isinstance(schema, int) and schema > SCHEMA else "an older one"
        )
        raise UserError(
            f"{str(folder)!r} was written by robustsim {by} (schema {schema}; this one reads {SCHEMA}): run it again"
        )
    if _checksum(manifest) != checksum:
        raise StorageError(f"{path}: is damaged: checksum mismatch")
    if wrong := received.manifest_complaint(manifest):
        raise StorageError(f"{path}: is damaged: {wrong}")
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes a manifest with its checksum."""
    manifest = {"schema": SCHEMA, **manifest}
    text = json.dumps({**manifest, "sha256": _checksum(manifest)}, indent=2) + "\n"
    files.write_atomically(folder / MANIFEST, text.encode())


def _checksum(manifest: dict[str, Any]) -> str:
    return files.digest(json.dumps(manifest, sort_keys=True).encode())


def identity(manifest: dict[str, Any]) -> str:
    """Hash of what the results are of and how they are cut; every file of the directory carries it."""
    return files.digest(json.dumps([manifest["what"], manifest["plan"]["shard_size"]], sort_keys=True).encode())[:16]


def prepare(folder: Path, manifest: dict[str, Any], overwrite: bool, alone: bool = True) -> dict[str, Any]:
    """Makes `folder` ready for results; returns the manifest that holds: the one that is there, or this one.

    Args:
      alone: whether no other process may be at work on the same results.

    Raises:
      UserError: it holds other results and `overwrite` is false. StorageError: it cannot be written to.
    """
    if overwrite:
        clear(folder)
    if (folder / MANIFEST).exists():
        old = read_manifest(folder)
        new = {"what": manifest["what"], "code": manifest["code"]}
        there = {"what": old["what"], "code": old["code"]}
        if len(marks(folder, old)) == old["plan"]["shards"]:
            del new["code"], there["code"]  # what is finished stays what it is
        different = _differences(there, new)
        if not different:
            return old
        if not alone or any(own(folder, part) for part in ("shards", "inflight")):
            raise UserError(
                f"out: {str(folder)!r} holds other results ({different}); name another directory or use --overwrite"
            )
    write_manifest(folder, manifest)
    return read_manifest(folder)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    old_flat, new_flat = _flat(old), _flat(json.loads(json.dumps(new)))
    changed = [k for k in {**old_flat, **new_flat} if old_flat.get(k) != new_flat.get(k)]
    shown = [f"{k.removeprefix('what.')}: {old_flat.get(k)} there, {new_flat.get(k)} here" for k in changed[:3]]
    return "; ".join(shown) + (f"; and {len(changed) - 3} more" if len(changed) > 3 else "")


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in tree.items():
        out |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return out


# --- shards ---


def to_parquet(frame: pl.DataFrame) -> bytes:
    """A table as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def shard_path(folder: Path, shard: int, ending: str) -> Path:
    """Where a file of a shard is."""
    return folder / "shards" / f"{shard:05d}.{ending}"


def commit(
    folder: Path, manifest: dict[str, Any], shard: int, tables: dict[str, pl.DataFrame], notes: dict[str, Any]
) -> None:
    """Writes a shard's tables and then the mark that vouches for them: with that, the shard is done.

    Raises:
      StorageError: something cannot be written; the shard is then not done.
    """
    checksums = {}
    for name in TABLES:
        data = to_parquet(tables[name])
        files.write_atomically(shard_path(folder, shard, f"{name}.parquet"), data)
        checksums[name] = files.digest(data)
    mark = {"identity": identity(manifest), "shard": shard, "sha256": checksums, **notes}
    files.write_atomically(shard_path(folder, shard, "json"), files.seal(json.dumps(mark).encode()))


def marks(folder: Path, manifest: dict[str, Any], strict: bool = False) -> dict[int, dict[str, Any]]:
    """The marks of the shards that are done, by shard. One that is damaged counts as not there.

    Raises:
      StorageError: if `strict`, where a mark is damaged.
    """
    wanted, table = identity(manifest), {}
    for path in own(folder, "shards"):
        if path.suffix != ".json" or int(path.stem) >= manifest["plan"]["shards"]:
            continue  # left by results of another cut
        mark = read_mark(path, wanted)
        if mark is not None and path.name == f"{mark['shard']:05d}.json":
            table[mark["shard"]] = mark
        elif strict:
            raise StorageError(f"{path}: is damaged; give the same command again to make its runs again")
    return table


def read_mark(path: Path, wanted: str) -> dict[str, Any] | None:
    """The mark in a file, if it is of these results; None if it is damaged, foreign or not there."""
    try:
        payload = files.unseal(files.read(path, MOST_MANIFEST))
        mark = None if payload is None else json.loads(payload)
    except (OSError, ValueError, RecursionError):
        return None
    return mark if isinstance(mark, dict) and mark.get("identity") == wanted and received.is_mark(mark) else None


def shard_bytes(folder: Path, mark: dict[str, Any], name: str) -> bytes:
    """The Parquet file of one table of a shard that is done.

    Raises:
      StorageError: it is missing or damaged.
    """
    path = shard_path(folder, mark["shard"], f"{name}.parquet")
    try:
        data = files.read(path)
    except OSError as error:
        again = "give the same command again to make its runs again"
        raise StorageError(f"{path}: cannot be read: {error.strerror or error}; {again}") from None
    if files.digest(data) != mark["sha256"][name]:
        raise StorageError(f"{path}: is damaged; give the same command again to make its runs again")
    return data


def sound(folder: Path, mark: dict[str, Any]) -> bool:
    """Whether the tables of a shard are what its mark says."""
    try:
        return all(shard_bytes(folder, mark, name) for name in TABLES)
    except StorageError:
        return False


def read(folder: Path, manifest: dict[str, Any], name: str) -> pl.DataFrame:
    """One table of all shards that are done, in the order of the plan, checksums verified.

    Raises:
      StorageError: a file is missing or damaged.
    """
    done = marks(folder, manifest, strict=True).values()
    parts = [shard_bytes(folder, mark, name) for mark in done if len(mark["failed"]) < mark["runs"]]
    return join([_frame(parts, manifest, name, folder)] if parts else [])


def read_shard(folder: Path, shard: int) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """(manifest, tables of one shard that is done: runs, traces, failed).

    Raises:
      StorageError: a file is missing or damaged.
    """
    manifest = read_manifest(folder)
    mark = read_mark(shard_path(folder, shard, "json"), identity(manifest))
    if mark is None:
        raise StorageError(f"{shard_path(folder, shard, 'json')}: cannot be read")
    empty = len(mark["failed"]) == mark["runs"]
    tables = {n: join([] if empty else [_frame([shard_bytes(folder, mark, n)], manifest, n, folder)]) for n in TABLES}
    return manifest, {**tables, "failed": failures(manifest, [mark])}


def _frame(parts: list[bytes], manifest: dict[str, Any], name: str, folder: Path) -> pl.DataFrame:
    """One table of some shards; raises StorageError where it is not what was written."""
    swept = dict.fromkeys(manifest["what"]["swept"]) if name == "runs" else {}
    declared = {column.name: KINDS[column.type] for column in (RUNS if name == "runs" else TRACES)}
    return received.tables(parts, {INDEX: pl.Int64, **swept, **declared}, str(folder / "shards"))


def failures(manifest: Mapping[str, Any], marks: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """The runs that failed, in the order of the plan: what was swept, the seed, and why."""
    rows = sorted((row for mark in marks for row in mark["failed"]), key=lambda row: row[0])
    names = [*manifest["what"]["swept"], "seed", "why"]
    table = [{**about, "why": why} for _, why, about in rows]
    return pl.DataFrame(table).select(names) if table else pl.DataFrame(schema=dict.fromkeys(names, pl.Null))


def join(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Tables of shards as one, in the order of the plan."""
    return order(frames).drop(INDEX)


def order(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Tables as one, in the order of the plan, with the index."""
    if not frames:
        return pl.DataFrame(schema={INDEX: pl.Int64, **{column.name: KINDS[column.type] for column in RUNS}})
    return pl.concat(frames).sort(INDEX, maintain_order=True)
