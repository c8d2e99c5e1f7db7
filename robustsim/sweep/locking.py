"""Who writes to a results directory: one process, or the jobs of one array."""

import errno
import json
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from robustsim.errors import StorageError, UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}
ORPHANS = 10.0  # seconds that workers have to notice that their driver is dead


@contextmanager
def locked(folder: Path, part: str = "") -> Iterator[int]:
    """Holds the directory for as long as this process and its workers live; yields the lock's file descriptor.

    Args:
      part: of a process that shares the work with others ("2-of-8"); it excludes only another of the same part.

    Raises:
      UserError: another process holds it. StorageError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = ["lock", f"lock.{part}"] if part else ["lock"]
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)  # what a link points to is not ours to write
        handles = [os.open(folder / name, flags, 0o644) for name in names]
    except OSError as error:
        raise StorageError(f"out: {str(folder)!r} cannot be written to: {error.strerror or error}") from None
    try:
        for handle, shared in zip(handles, [bool(part), False], strict=False):
            _seize(folder, handle, shared)
        _sign(handles[-1])
        yield handles[0]
    finally:
        for handle in handles:
            os.close(handle)


def _seize(folder: Path, handle: int, shared: bool) -> None:
    """The kernel releases a lock when all its holders have died: a driver, and its workers, which end with it."""
    if fcntl is None:
        _warn(f"out: {str(folder)!r} cannot be locked on this system")
        return
    deadline = time.monotonic() + ORPHANS
    while True:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = _holder(handle)
            if time.monotonic() > deadline or not _is_dead(holder):
                who = "process {pid} on {host} since {since}".format(**holder) if holder else "another process"
                raise UserError(f"out: {str(folder)!r} is being written by {who}; wait for it or stop it") from None
            time.sleep(0.05)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise StorageError(f"out: {str(folder)!r} cannot be locked: {error.strerror or error}") from None
            _warn(f"out: {str(folder)!r} is on a file system without locks")
            return


def _warn(why: str) -> None:
    warnings.warn(f"{why}; let no other process write to it", RuntimeWarning, stacklevel=2)


def _sign(handle: int) -> None:
    """Records who holds a lock."""
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    who = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now})
    with suppress(OSError, AttributeError):  # only for people to read; the lock works without it
        os.ftruncate(handle, 0)
        os.pwrite(handle, who.encode(), 0)


def _holder(handle: int) -> dict[str, Any]:
    """The recorded holder of a lock; {} if there is none."""
    try:
        note = json.loads(os.pread(handle, 500, 0))
        return {"pid": int(note["pid"]), "host": str(note["host"]), "since": str(note["since"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether a holder is known to be dead; then only its workers can hold the lock, and they are about to end."""
    if not holder or holder["host"] != socket.gethostname():
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return holder["pid"] == os.getpid()
