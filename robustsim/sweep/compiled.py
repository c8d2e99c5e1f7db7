"""Compiled programs are kept between commands and shared between workers."""

import jax

from robustsim import files


def keep() -> None:
    """Switches the persistent compilation cache on; does nothing where its folder cannot be made."""
    folder = files.cache_folder() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a second start compiles nothing
