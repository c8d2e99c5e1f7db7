"""Any optax optimizer, by its name."""

import inspect
from functools import lru_cache

import jax.numpy as jnp
import optax

from robustsim.errors import UserError, nearest
from robustsim.types import Array

_NOT_FIRST_ORDER = {"lbfgs", "polyak_sgd", "optimistic_adam", "noisy_sgd"}  # they need more than gradients


@lru_cache(maxsize=1)
def optimizer_names() -> list[str]:
    """The optax optimizers that need nothing but a learning rate."""

    def fits(name: str) -> bool:
        function = getattr(optax, name)
        if name.startswith("_") or not inspect.isfunction(function) or name in _NOT_FIRST_ORDER:
            return False
        parameters = list(inspect.signature(function).parameters.values())
        needed = [
            p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        ]
        return needed == ["learning_rate"] and function.__module__.startswith("optax._src.alias")

    return sorted(name for name in dir(optax) if fits(name))


def check_optimizer(field: str, name: str) -> None:
    """Raises UserError if `name` is not the name of an optax optimizer."""
    names = optimizer_names()
    if name not in names:
        raise UserError(f"{field}: {name!r} is not an optax optimizer; {nearest(name, names)}")


def make_optimizer(
    name: str, learning_rate: Array | float, max_grad_norm: Array | float = jnp.inf
) -> optax.GradientTransformation:
    """The optimizer, after clipping the gradient to a global norm."""
    return optax.chain(optax.clip_by_global_norm(max_grad_norm), getattr(optax, name)(learning_rate))  # pyright: ignore[reportArgumentType]
