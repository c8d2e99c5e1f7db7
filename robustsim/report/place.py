"""The output file of a page or a film: checked before the work, written completely or not at all."""

import os
from pathlib import Path

from robustsim import files
from robustsim.errors import StorageError, UserError


def check(out: str | Path) -> None:
    """Raises UserError if a file could not be written. Leaves nothing behind."""
    out = Path(out)
    if out.is_dir():
        raise UserError(f"out: {str(out)!r} is a directory; name a file")
    parent = out.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise UserError(f"out: {str(out)!r} cannot be written: {str(parent)!r} is not a directory")
    if not os.access(parent, os.W_OK):
        raise UserError(f"out: {str(out)!r} cannot be written: {str(parent)!r} is read-only")


def write(out: str | Path, data: bytes) -> None:
    """Writes a file; raises UserError if that fails."""
    check(out)
    try:
        files.write_atomically(Path(out), data)
    except StorageError as error:
        raise UserError(f"out: {error}") from None
