"""The settings of JAX that numbers depend on, pinned: a shell or another package may have set others."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import jax


@contextmanager
def pinned() -> Iterator[None]:
    """Random keys, promotions and checks as this package was written for; the precision stays as it is."""
    with ExitStack() as stack:
        stack.enter_context(jax.default_prng_impl("threefry2x32"))
        stack.enter_context(jax.numpy_dtype_promotion("standard"))
        stack.enter_context(jax.numpy_rank_promotion("allow"))
        stack.enter_context(jax.debug_nans(False))  # weights that are not finite are reported, run by run
        stack.enter_context(jax.debug_infs(False))
        yield


@contextmanager
def precision(name: str) -> Iterator[None]:
    """The context in which a scenario's numbers have the precision that it asks for: float32 or float64."""
    with pinned(), jax.enable_x64(name == "float64"):
        yield
