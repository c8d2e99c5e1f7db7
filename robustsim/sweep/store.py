"""The results directory: two Parquet tables and a manifest that names their checksums. Reading it needs no JAX."""

import io
import json
from pathlib import Path
from typing import Any

import polars as pl

from robustsim import files
from robustsim.errors import UserError

SCHEMA = 1
MANIFEST = "manifest.json"
TABLES = ("runs", "traces")

RUNS_SCHEMA: dict[str, Any] = {
    "run_id": pl.String,
    "scenario": pl.String,
    "seed": pl.Int64,
    "competence": pl.Float64,
    "misbehaviour_watched": pl.Float64,
    "misbehaviour_unwatched": pl.Float64,
    "handover_logit_watched": pl.Float64,
    "handover_logit_unwatched": pl.Float64,
    "handover_entropy": pl.Float64,
    "handover_weight_norm": pl.Float64,
    "instil_competence": pl.Float64,
    "instil_steps": pl.Int64,
    "corrected": pl.Boolean,
    "steps_to_correct": pl.Int64,
    "steps_to_correct_lower": pl.Int64,
    "steps_to_correct_unwatched": pl.Int64,
    "steps_to_correct_unwatched_lower": pl.Int64,
    "steps_to_suppress": pl.Int64,
    "steps_to_suppress_lower": pl.Int64,
    "t_stable": pl.Int64,
    "suppressed": pl.Boolean,
    "incapacitated": pl.Boolean,
    "catastrophe": pl.Boolean,
    "steps_to_catastrophe": pl.Int64,
    "steps_to_catastrophe_lower": pl.Int64,
    "catastrophe_in_race": pl.Boolean,
    "steps_to_catastrophe_in_race": pl.Int64,
    "first_event": pl.String,
    "position": pl.Float64,
    "position_lower": pl.Float64,
    "position_upper": pl.Float64,
    "corrections": pl.Int64,
    "misbehaviours": pl.Int64,
    "false_alarms": pl.Int64,
    "env_steps_to_correct": pl.Int64,
    "final_misbehaviour_watched": pl.Float64,
    "final_misbehaviour_unwatched": pl.Float64,
    "final_competence": pl.Float64,
    "concealment": pl.Float64,
    "relapsed": pl.Boolean,
    "relapsed_under_oversight": pl.Boolean,
    "steps_to_relapse": pl.Int64,
    "expected_misbehaviours": pl.Float64,
    "expected_variance": pl.Float64,
    "expected_corrections": pl.Float64,
    "unresolved_steps": pl.Float64,
}


def table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a table; columns of `runs` have the types of RUNS_SCHEMA, others what their values say."""
    known = {name: kind for name, kind in RUNS_SCHEMA.items() if rows and name in rows[0]}
    return pl.DataFrame(rows, schema_overrides=known, infer_schema_length=None)


def prepare(folder: Path, manifest: dict[str, Any], overwrite: bool) -> bool:
    """Checks that results can go to `folder`; returns whether it has these very results already.

    Raises:
      UserError: it cannot be written to, or it holds other results and `overwrite` is false.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"out: {str(folder)!r} is a file; name a directory")
    if (folder / MANIFEST).exists() and not overwrite:
        old = read_manifest(folder)
        if different := _differences(old["what"], manifest["what"]):
            raise UserError(
                f"out: {str(folder)!r} holds other results ({different}); name another directory or use --overwrite"
            )
        return True
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".write-test"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(f"out: {str(folder)!r} cannot be written to: {error.strerror or error}") from None
    return False


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    old_flat, new_flat = _flat(old), _flat(json.loads(json.dumps(new)))
    changed = [k for k in {**old_flat, **new_flat} if old_flat.get(k) != new_flat.get(k)]
    shown = [f"{name}: {old_flat.get(name)} there, {new_flat.get(name)} here" for name in changed[:3]]
    return "; ".join(shown) + (f"; and {len(changed) - 3} more" if len(changed) > 3 else "")


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in tree.items():
        out |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return out


def write(folder: Path, manifest: dict[str, Any], tables: dict[str, pl.DataFrame]) -> None:
    """Writes the tables and then, last of all, the manifest that vouches for them."""
    checksums = {}
    for name in TABLES:
        buffer = io.BytesIO()
        tables[name].write_parquet(buffer)
        files.write_atomically(folder / f"{name}.parquet", buffer.getvalue())
        checksums[name] = files.digest(buffer.getvalue())
    text = json.dumps({"schema": SCHEMA, **manifest, "sha256": checksums}, indent=2) + "\n"
    files.write_atomically(folder / MANIFEST, text.encode())


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a results directory.

    Raises:
      UserError: it is not a results directory, or one of another schema.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        schema = manifest["schema"]
    except FileNotFoundError:
        raise UserError(f"{str(folder)!r} is not a results directory: it has no {MANIFEST}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{str(folder)!r} is not a results directory: {MANIFEST} is damaged ({error})") from None
    if schema != SCHEMA:
        newer = "newer" if isinstance(schema, int) and schema > SCHEMA else "other"
        raise UserError(
            f"{str(folder)!r} was written by a {newer} version of robustsim (schema {schema}; this one reads {SCHEMA})"
        )
    return manifest


def read(folder: Path) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """The manifest and the tables, with their checksums verified.

    Raises:
      UserError: as :func:`read_manifest`, or a table is missing or damaged.
    """
    manifest = read_manifest(folder)
    tables = {}
    for name in TABLES:
        path = folder / f"{name}.parquet"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
        if files.digest(data) != manifest["sha256"][name]:
            raise UserError(f"{path}: is damaged: its checksum is not the one in {MANIFEST}")
        tables[name] = pl.read_parquet(io.BytesIO(data))
    return manifest, tables
