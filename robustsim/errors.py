"""Errors for users; each message is one line."""

import difflib
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class UserError(Exception):
    """Invalid input. The message names the field, the value and the allowed values. Exit status 2."""


class StorageError(UserError):
    """A file that cannot be written, or whose content is damaged."""


class RunsFailed(Exception):
    """Runs that failed although their input is valid. Exit status 3.

    Attributes:
      results: a `Results` of all other runs; None where there are none to hold.
    """

    results: Any = None


class Stopped(Exception):
    """The work was interrupted; completed work is saved. Exit status 130."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A phrase that suggests the closest allowed name, or lists the allowed names."""
    allowed = sorted(allowed)
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    if not close:  # the last part of a dotted name is often right when the first is wrong
        ends = {a.rsplit(".", 1)[-1]: a for a in allowed}
        close = [ends[c] for c in difflib.get_close_matches(name.rsplit(".", 1)[-1], ends, n=1, cutoff=0.6)]
    if close:
        return f"did you mean {close[0]!r}?"
    return "allowed: " + ", ".join(allowed) if allowed else "none is allowed here"


def blamed(error: BaseException) -> str:
    """Where in a user's own file an error came from, as a remark in brackets with file and line; else ""."""
    foreign = (str(Path(__file__).parent), *(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")))
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith((*foreign, "<")) or _in_notebook(f.filename)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def _in_notebook(filename: str) -> bool:
    """Whether this is a cell, which IPython calls <ipython-input-...> or a file that it made."""
    return filename.startswith("<ipython") or "ipykernel" in Path(filename).parent.name


def first_line(error: BaseException) -> str:
    """The kind of an error, the first line of its text, and where in a user's file it came from."""
    said = str(error).split("\n")[0]
    return f"{type(error).__name__}: {said}{blamed(error)}"
