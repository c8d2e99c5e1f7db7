"""The settings of JAX that numbers depend on, pinned: a shell or another package may have set others."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import jax

from robustsim.errors import UserError


@contextmanager
def pinned() -> Iterator[None]:
    """Random keys, promotions and checks as this package was written for; the precision stays as it is."""
    with ExitStack() as stack:
        stack.enter_context(jax.default_prng_impl("threefry2x32"))
        stack.enter_context(jax.numpy_dtype_promotion("standard"))
        stack.enter_context(jax.numpy_rank_promotion("allow"))
        stack.enter_context(jax.debug_nans(False))  # weights that are not finite are reported, run by run
        stack.enter_context(jax.debug_infs(False))
        stack.enter_context(jax.disable_jit(False))
        stack.enter_context(jax.transfer_guard("allow"))
        yield


def check_backend() -> None:
    """Raises UserError where JAX cannot compute on what the shell tells it to."""
    try:
        jax.default_backend()
    except RuntimeError as error:
        told = os.environ.get("JAX_PLATFORMS", "")
        raise UserError(f"JAX_PLATFORMS: {told!r} is not allowed here: {str(error).splitlines()[0]}") from None


@contextmanager
def precision(name: str) -> Iterator[None]:
    """The context in which a scenario's numbers have the precision that it asks for: float32 or float64."""
    with pinned(), jax.enable_x64(name == "float64"):
        yield
