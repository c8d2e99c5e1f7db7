"""Compiled programs are kept between commands, and shared by workers; a process forgets them before they crash it."""

import gc
from pathlib import Path

import jax

from robustsim import files

MAPS = 32_000  # memory maps of a process; Linux grants 65,530, and LLVM crashes where it gets no more


def keep() -> None:
    """Switches the persistent compilation cache on; does nothing where its folder cannot be made."""
    folder = files.cache_folder() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a second start compiles nothing


def make_room() -> None:
    """Forgets the programs that this process holds, once they have taken half of its memory maps.

    A few hundred do, in a session with many scenarios or a sweep with many groups. Those that are needed again come
    from the disk.
    """
    try:
        with Path("/proc/self/maps").open("rb") as maps:
            taken = sum(1 for _ in maps)
    except OSError:  # not Linux
        return
    if taken > MAPS:
        jax.clear_caches()
        gc.collect()
