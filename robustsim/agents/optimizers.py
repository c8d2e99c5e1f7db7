"""Any optax optimizer by its name, or any optax transformation."""

import inspect
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import optax

from robustsim.errors import UserError, first_line, nearest
from robustsim.types import Array

_NOT_FIRST_ORDER = {"lbfgs", "polyak_sgd", "optimistic_adam", "noisy_sgd"}  # they need more than gradients


@lru_cache(maxsize=1)
def optimizer_names() -> list[str]:
    """The optax optimizers that need nothing but a learning rate."""

    def fits(name: str) -> bool:
        function = getattr(optax, name)
        if name.startswith(("_", "scale_by")) or not inspect.isfunction(function) or name in _NOT_FIRST_ORDER:
            return False
        parameters = inspect.signature(function).parameters.values()
        needed = [
            p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        ]
        return needed == ["learning_rate"]

    return sorted(name for name in dir(optax) if fits(name))


def check_optimizer(field: str, optimizer: Any) -> None:
    """Raises UserError if it is neither the name of an optax optimizer nor what :func:`make_optimizer` takes.

    One of the user's own may need nothing but gradients and parameters.
    """
    if not isinstance(optimizer, str) and (callable(optimizer) or isinstance(optimizer, optax.GradientTransformation)):
        more = _wanted(optimizer)
        if more:
            raise UserError(f"{field}: one that needs more than gradients and parameters is not allowed: {more}")
        return
    names = optimizer_names()
    if optimizer not in names:
        raise UserError(f"{field}: {optimizer!r} is not an optax optimizer; {nearest(str(optimizer), names)}")


@lru_cache(maxsize=32)  # a sweep asks for each of its configurations
def _wanted(named: Any) -> str:
    """What an optimizer of the user's own asks for beside gradients and parameters; "" if for nothing."""
    try:
        optimizer = make_optimizer(named, 1e-3)
        jax.eval_shape(lambda x: optimizer.update(x, optimizer.init(x), x), jnp.zeros(1))
    except TypeError as error:
        if "required keyword-only argument" in str(error):
            return first_line(error)
    except Exception:
        pass
    return ""


def make_optimizer(
    optimizer: Any, learning_rate: Array | float, max_grad_norm: Array | float = jnp.inf
) -> optax.GradientTransformation:
    """The optimizer, after clipping the gradient to a global norm.

    Args:
      optimizer: the name of an optax optimizer; a function from a learning rate to an optax transformation; or a
        transformation, which then has a learning rate of its own.
    """
    clip = optax.clip_by_global_norm(max_grad_norm)  # pyright: ignore[reportArgumentType]
    if isinstance(optimizer, optax.GradientTransformation):
        return optax.chain(clip, optimizer)
    make = getattr(optax, optimizer) if isinstance(optimizer, str) else optimizer
    return optax.chain(clip, make(learning_rate))
