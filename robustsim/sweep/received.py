"""Is what a results directory holds what was written? It may come from anyone, with every checksum right.

Nothing here repairs: what is not as it was written is damaged.
"""

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from robustsim.errors import StorageError

CELL = 16  # bytes of memory that a cell of a table may need
MANIFEST: Mapping[tuple[str, ...], type] = {
    ("what", "scenario"): str,
    ("what", "claim"): str,
    ("what", "source_sha256"): str,
    ("what", "settings"): dict,
    ("what", "swept"): dict,
    ("what", "design"): dict,
    ("what", "seeds"): list,
    ("plan", "runs"): int,
    ("plan", "shards"): int,
    ("plan", "shard_size"): int,
    ("versions",): dict,
    ("code",): str,
}
MARK: Mapping[str, type | tuple[type, ...]] = {
    "shard": int,
    "runs": int,
    "failed": list,
    "sha256": dict,
    "steps": int,
    "seconds": (int, float),
    "corrected": int,
    "catastrophe_first": int,
    "censored": int,
}


def manifest_complaint(manifest: Any) -> str:
    """What is wrong with a manifest; "" if nothing is."""
    for path, kind in MANIFEST.items():
        value = manifest
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"{'.'.join(path)} is not a {kind.__name__}"
    return "" if _printable(manifest) else "a text in it has characters that control a terminal"


def _printable(tree: Any) -> bool:
    """Whether all texts can be shown: none moves a terminal's cursor, or changes its title."""
    waiting = [tree]
    while waiting:
        x = waiting.pop()
        if isinstance(x, dict):
            waiting += [*x.keys(), *x.values()]
        elif isinstance(x, list):
            waiting += x
        elif isinstance(x, str) and not x.isprintable():
            return False
    return True


def is_mark(mark: Mapping[str, Any]) -> bool:
    """Whether the mark of a shard has everything that is read of it."""
    if not all(isinstance(mark.get(name), kind) for name, kind in MARK.items()) or not _printable(mark):
        return False
    told = [isinstance(x, list) and [type(y) for y in x] == [int, str, dict] for x in mark["failed"]]
    return all(told) and all(isinstance(mark["sha256"].get(name), str) for name in ("runs", "traces"))


def tables(parts: Sequence[bytes], declared: Mapping[str, Any], place: str) -> pl.DataFrame:
    """Parquet files, as bytes, as one table with at least the declared columns.

    Args:
      declared: the polars type by the name of the column.
      place: where they are, for errors.

    Raises:
      StorageError: they are no such table, or need more memory than there is.
    """
    try:
        rows = sum(pl.scan_parquet(io.BytesIO(part)).select(pl.len()).collect().item() for part in parts)
        needed, there = rows * len(pl.read_parquet_schema(io.BytesIO(parts[0]))) * CELL, memory()
        if needed > there:
            wants = f"about {needed / 1e9:,.1f} GB of memory, and {there / 1e9:,.1f} GB are free"
            raise StorageError(f"{place}: needs {wants}; read its files in parts")
        frame = pl.read_parquet([io.BytesIO(part) for part in parts])
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise StorageError(f"{place}: is damaged: {str(error).splitlines()[0]}") from None
    for name, kind in declared.items():
        if name not in frame.columns or (kind is not None and frame.schema[name] not in (kind, pl.Null)):
            raise StorageError(f"{place}: is damaged: the column {name!r} is not what was written")
    return frame


def memory() -> int:
    """Bytes of memory that are free; a great many where that is not known."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**62
