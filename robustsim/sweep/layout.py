"""The layout of a results directory, and which of its files are ours: only those are ever removed.

manifest.json              what was run; written once, before anything runs
shards/00003.runs.parquet  one row per run of a shard, and .traces.parquet, one per evaluation
shards/00003.json          marks the shard as done, with checksums of both tables
inflight/                  checkpoints of unfinished work
agents/                    trained agents, if the user's cache is not writable
progress/                  what each worker is doing
stop                       asks the workers to save and stop
lock                       held by the process that writes
"""

import json
import re
from contextlib import suppress
from pathlib import Path

from robustsim import files
from robustsim.errors import StorageError, UserError

MANIFEST = "manifest.json"
ATTRIBUTION = "attribution.json"
RELABEL = "relabel.json"
STOP = "stop"
LAYOUT = {  # the folders of a results directory, with what the files in them are called
    "shards": r"\d{5,}\.(json|runs\.parquet|traces\.parquet)",
    "inflight": r"(train|reference|shard)-\d{5,}\.(checkpoint|active)",
    "agents": r"[0-9a-f]{64}\.(npz|reference)",
    "progress": r"worker.*\.json",
}


def check_place(folder: Path) -> None:
    """Checks that results may be written to `folder`: it is absent, empty or holds results.

    Raises:
      UserError: it is a file, or a directory that holds something else. StorageError: it cannot be read.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError:
        if folder.is_file():
            raise UserError(f"out: {str(folder)!r} is a file; name a directory") from None
        return  # below a file: writing there raises the error
    except OSError as error:
        raise StorageError(f"out: {str(folder)!r} cannot be read: {error.strerror or error}") from None
    links = [name for name in names if name in (*LAYOUT, STOP) and (folder / name).is_symlink()]
    if links:
        raise UserError(f"out: {str(folder / links[0])!r} is a link, and what it points to would be changed; remove it")
    if MANIFEST in names and _is_ours(folder):
        return
    foreign = [n for n in names if n not in LAYOUT and n != STOP and not re.fullmatch(r"lock(\..*)?|\..*\.tmp", n)]
    if foreign:
        shown = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise UserError(f"out: {str(folder)!r} holds other files ({shown}); name an empty or a new directory")


def _is_ours(folder: Path) -> bool:
    """Whether a manifest is of results; an unreadable one is if there are shards beside it."""
    try:
        manifest = json.loads(files.read(folder / MANIFEST))
    except (OSError, ValueError, RecursionError):
        return (folder / "shards").is_dir()
    return isinstance(manifest, dict) and {"schema", "what"} <= set(manifest)


def clear(folder: Path) -> None:
    """Removes the results in `folder`, the manifest first, and nothing else."""
    try:
        (folder / MANIFEST).unlink(missing_ok=True)
        for part in LAYOUT:
            for path in own(folder, part):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # not there, or with something in it that is not ours
                (folder / part).rmdir()
    except OSError as error:
        raise StorageError(f"{folder}: cannot be cleared: {error.strerror or error}") from error


def sweep_away(folder: Path) -> None:
    """Removes what dead processes left: progress notes, half-written files, a stop request."""
    half = [path for part in ("", *LAYOUT) for path in (folder / part).glob(".*.tmp") if _is_half_written(path, part)]
    for path in [folder / STOP, *own(folder, "progress"), *half]:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def own(folder: Path, part: str) -> list[Path]:
    """The files of a part of the results whose names are ours, half-written ones included, sorted."""
    try:
        paths = sorted((folder / part).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StorageError(f"{folder / part}: cannot be read: {error.strerror or error}") from None
    return [path for path in paths if re.fullmatch(LAYOUT[part], path.name) or _is_half_written(path, part)]


def _is_half_written(path: Path, part: str) -> bool:
    written = re.fullmatch(r"\.(.+)\.\d+\.tmp", path.name)
    return written is not None and re.fullmatch(LAYOUT.get(part, re.escape(MANIFEST)), written[1]) is not None
