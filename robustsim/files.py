"""Atomic, durable writes, and checksums that detect damage."""

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from robustsim.errors import StorageError

LARGEST = 2**33  # bytes of a file that is read at once
NO_FLUSH = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF, errno.EISDIR}


def write_atomically(path: Path, data: bytes) -> None:
    """Writes to a temporary name, flushes file and folder to the disk, and renames.

    Raises:
      StorageError: the path cannot be written to; no partial file is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error


def read(path: Path, most: int = LARGEST) -> bytes:
    """The bytes of a file, which must be one: a pipe would never end, and a device need not.

    Raises:
      OSError: it cannot be read, is no plain file, or has more than `most` bytes.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "is not a plain file", str(path))
        if about.st_size > most:
            raise OSError(errno.EFBIG, f"has {about.st_size:,} bytes, more than {most:,}", str(path))
        return file.read()


def sync_folder(folder: Path) -> None:
    """Makes a rename in a folder survive a power failure."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError as error:  # CIFS, and some file systems in user space, flush no folders; what was written is there
        if error.errno not in NO_FLUSH:
            raise
    finally:
        os.close(handle)


def digest(data: bytes) -> str:
    """sha256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def seal(payload: bytes) -> bytes:
    """A payload preceded by its checksum."""
    return digest(payload).encode() + b"\n" + payload


def unseal(data: bytes) -> bytes | None:
    """The payload, or None if it is damaged."""
    checksum, separator, payload = data.partition(b"\n")
    return payload if separator and digest(payload).encode() == checksum else None


def cache_folder() -> Path:
    """The folder of cached agents and compiled programs: $ROBUSTSIM_CACHE, or the user's cache folder.

    A user without a home gets one among the temporary files.
    """
    configured = os.environ.get("ROBUSTSIM_CACHE")
    if configured:
        return Path(configured).expanduser()  # a tilde in a job script is not always the shell's
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "robustsim"
    try:
        return Path.home() / ".cache" / "robustsim"
    except RuntimeError:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        return Path(tempfile.gettempdir()) / f"robustsim-{user}"
