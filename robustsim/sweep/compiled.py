"""Compiled programs are kept between commands, and shared by workers; a process forgets them before they crash it."""

import gc
import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path

from robustsim import files

MAPS = 32_000  # memory maps of a process; Linux grants 65,530, and LLVM crashes where it gets no more
LIMIT = 2 * 1024**3  # bytes of programs that are kept, for one kind of CPU


def folder() -> Path:
    """Where compiled programs are kept: the user's own folder for JAX, or one of ours for each kind of CPU.

    A program uses the instructions of the CPU that it was compiled on, and crashes on one that lacks them.
    """
    own = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    return Path(own) if own else files.cache_folder() / "compiled" / cpu_kind()


def cpu_kind() -> str:
    """8 hexadecimal digits: a hash of the architecture, and on Linux of the instructions that the CPU has."""
    lines: list[str] = []
    with suppress(OSError):
        info = Path("/proc/cpuinfo").read_text(errors="replace")
        lines = [
            line for line in info.split("\n\n")[0].splitlines() if line.startswith(("model name", "flags", "Features"))
        ]
    return hashlib.sha256("\n".join([platform.machine(), *lines]).encode()).hexdigest()[:8]


def size(place: Path) -> int:
    """Bytes of the files in a folder; 0 where there is none."""
    return sum(found for found, _, _ in _entries(place))


def keep() -> None:
    """Switches the persistent compilation cache on; does nothing where its folder cannot be made.

    A cache that the user has set up for JAX is used as it is.
    """
    import jax

    if jax.config.jax_compilation_cache_dir is not None:  # pyright: ignore[reportAttributeAccessIssue]
        return
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    shrink(place, LIMIT)
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a second start compiles nothing


def shrink(place: Path, limit: int) -> None:
    """Removes the programs that were used longest ago, down to three quarters of the limit, where it is exceeded."""
    entries = _entries(place)
    total = sum(found for found, _, _ in entries)
    if total <= limit:
        return
    for found, _, path in sorted(entries, key=lambda entry: entry[1]):
        with suppress(OSError):  # another process may have been faster
            path.unlink()
        total -= found
        if total <= 0.75 * limit:
            return


def _entries(place: Path) -> list[tuple[int, float, Path]]:
    """(bytes, time of the last use, path) of each file."""
    found = []
    with suppress(OSError):
        for entry in os.scandir(place):
            with suppress(OSError):
                stat = entry.stat()
                found.append((stat.st_size, max(stat.st_atime, stat.st_mtime), Path(entry.path)))
    return found


def make_room() -> None:
    """Forgets the programs that this process holds, once they have taken half of its memory maps.

    A few hundred do, in a session with many scenarios or a sweep with many groups. Those that are needed again come
    from the disk.
    """
    import jax

    try:
        with Path("/proc/self/maps").open("rb") as maps:
            taken = sum(1 for _ in maps)
    except OSError:  # not Linux
        return
    if taken > MAPS:
        jax.clear_caches()
        gc.collect()
