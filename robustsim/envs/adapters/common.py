"""The common form of a bound environment, and helpers shared by several families."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from robustsim.errors import UserError
from robustsim.types import Array, Tree


class Vector(NamedTuple):
    """Actions that are arrays and cannot be enumerated: floats, or integers with arbitrary bounds."""

    shape: tuple[int, ...]
    dtype: Any


Actions = int | tuple[int, ...] | Vector
"""`n` for 0..n-1, `(n1, n2, ...)` for several integers, or a vector."""


def listed(sizes: Any) -> Actions:
    """Integer actions: one, or a vector of them, each below its size."""
    sizes = np.asarray(sizes)
    return int(sizes) if sizes.ndim == 0 else tuple(int(n) for n in sizes.ravel())


class Seen(NamedTuple):
    """The result of one native step, with native shapes and types."""

    obs: Any
    state: Tree
    reward: Any
    terminated: Any  # the episode reached a terminal state
    truncated: Any  # the environment itself cut the episode short


@dataclass(frozen=True, kw_only=True)
class Native:
    """A bound native environment: `params` hold no effective time limit, and no function auto-resets.

    Attributes:
      reset: `reset(key, params) -> (obs, state)`. The state is what the family's own step takes.
      step: `step(key, state, action, params) -> Seen`.
      actions: the actions that `step` takes.
      params: the parameters; None if the family has none.
      cuts: whether the environment itself may truncate an episode before our time limit.
      limited: `limited(params) -> params` without an effective time limit, for parameters that are drawn.
      render: `render(state) -> uint8[H, W, 3]` on the host, if the environment supports it.
      mask: `mask(obs, state) -> bool[...]`, which of all actions are allowed; None where that is not known.
    """

    reset: Callable[[Array, Any], tuple[Any, Tree]]
    step: Callable[[Array, Tree, Any, Any], Seen]
    actions: Actions
    params: Any = None
    cuts: bool = True
    limited: Callable[[Any], Any] = lambda params: params
    render: Callable[[Tree], Any] | None = None
    mask: Callable[[Any, Tree], Any] = lambda obs, state: None


@contextlib.contextmanager
def explained(name: str, what: str) -> Iterator[None]:
    """Whatever the code of an environment raises becomes one line that names the environment and what fails."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        told = [type(error).__name__, *str(error).strip().split("\n")[:1]]
        raise UserError(f"adapt: {name}: {what} fails: {': '.join(filter(None, told))}") from error


def last(step: Any) -> tuple[Any, Any]:
    """`(terminated, truncated)` of a dm_env step: an episode ended by termination if the discount is 0."""
    ended = step.step_type == 2
    return ended & (step.discount == 0), ended & (step.discount != 0)


def action_mask(obs: Any, state: Tree) -> Any:
    """The field `action_mask` of an observation; None where it has none."""
    del state
    return getattr(obs, "action_mask", None)


def no_params(kind: str, params: Any) -> None:
    """Rejects parameters for a family that has none."""
    if params is not None:
        raise UserError(
            f"adapt: params={params!r:.40} is not allowed: {kind} configures an environment when it is made"
        )


def unwrap(
    env: Any,
    inner: str,
    drop: Mapping[str, Callable[[Any, Any], Any] | None],
    core: Callable[[Any], Any] = lambda innermost: innermost,
) -> Any:
    """An environment rebuilt around `core(innermost)`, without auto-reset wrappers.

    Args:
      env: an environment, possibly wrapped. It is not changed: wrappers are copied.
      inner: the attribute that holds the wrapped environment.
      drop: by the name of a wrapper's class: `f(wrapper, inside) -> replacement`; None leaves the wrapper out.
      core: rebuilds the innermost environment.

    Raises:
      UserError: a wrapper that steps a batch, or that resets on its own and is not known.
    """
    if inner not in vars(env):
        return core(env)
    name = type(env).__name__
    if name not in drop and "vmap" in name.lower():
        raise UserError(f"adapt: {name} steps a whole batch; adapt the environment inside it")
    if name not in drop and "autoreset" in name.lower():
        raise UserError(f"adapt: {name} resets on its own, which hides how an episode ended; adapt what it wraps")
    within = unwrap(getattr(env, inner), inner, drop, core)
    if name in drop:
        replaced = drop[name]
        return within if replaced is None else replaced(env, within)
    outer = copy.copy(env)
    object.__setattr__(outer, inner, within)  # some wrappers are frozen
    return outer
