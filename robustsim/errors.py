"""The errors that a user can cause, each one clear line."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: the message names the field, the value and what is allowed. Exit status 2."""


class StorageError(UserError):
    """A file that cannot be written, or that does not hold what was written to it."""


class RunsFailed(Exception):
    """Runs that could not be completed, though their input is well-formed. Exit status 3."""


class Stopped(Exception):
    """The work was asked to stop; what was done is saved. Exit status 130."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A phrase that offers the closest allowed name, or lists the allowed names."""
    allowed = sorted(allowed)
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    if not close:  # a dotted name's last part is often right where its first is not
        ends = {a.rsplit(".", 1)[-1]: a for a in allowed}
        close = [ends[c] for c in difflib.get_close_matches(name.rsplit(".", 1)[-1], ends, n=1, cutoff=0.6)]
    if close:
        return f"did you mean {close[0]!r}?"
    return "allowed: " + ", ".join(allowed) if allowed else "none is allowed here"
