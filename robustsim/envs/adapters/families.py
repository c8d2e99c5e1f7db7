"""The known families, and identifying one by an environment's classes, without importing any of them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from robustsim.envs.adapters import brax, gymnax, init_step, jumanji, navix, xminigrid
from robustsim.envs.adapters.common import Native
from robustsim.errors import UserError

FAMILIES: dict[str, Callable[[Any, Any, int], Native]] = {
    "gymnax": gymnax.bind,
    "gymnax-legacy": gymnax.bind,
    "craftax": partial(gymnax.bind, limit="max_timesteps"),  # has the base class of gymnax before 1.0
    "foragax": gymnax.bind,
    "xminigrid": xminigrid.bind,
    "jumanji": jumanji.bind,
    "navix": navix.bind,
    "brax": brax.bind,
    "init-step": init_step.bind,  # of no one package
}
"""`bind(env, params, max_steps) -> Native`, by the package that defines the environment's base class."""


def family(env: Any) -> str:
    """The family of an environment: `gymnax` (1.0 and newer), `gymnax-legacy`, `craftax`, `xminigrid`, ...

    Raises:
      UserError: an environment of no known family.
    """
    for cls in type(env).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in FAMILIES:
            return "gymnax-legacy" if root == "gymnax" and not hasattr(env, "is_truncated") else root
    if callable(getattr(env, "init", None)) and callable(getattr(env, "step", None)):
        return "init-step"
    raise UserError(
        f"adapt: {type(env).__name__} (from {type(env).__module__}) is of no known family; known: {', '.join(FAMILIES)}"
    )
