"""The one shape in which every family gives its reset and step, and what several families need to get there."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from robustsim.errors import UserError
from robustsim.types import Array, Tree


class Vector(NamedTuple):
    """Actions that are arrays without a finite list: of numbers, or of whole numbers with bounds of any kind."""

    shape: tuple[int, ...]
    dtype: Any


Actions = int | tuple[int, ...] | Vector
"""`n` for 0..n-1, `(n1, n2, ...)` for one whole number each, or a vector."""


class Seen(NamedTuple):
    """What one step of a family's own environment gives; shapes and types as they come."""

    obs: Any
    state: Tree
    reward: Any
    terminated: Any  # the world ended
    truncated: Any  # the environment itself cut the episode short


@dataclass(frozen=True, kw_only=True)
class Native:
    """A foreign environment, bound: `params` have the time limit out of the way, and no function auto-resets.

    Attributes:
      reset: `reset(key, params) -> (obs, state)`. The state is what the family's own step takes.
      step: `step(key, state, action, params) -> Seen`.
      actions: the actions that `step` takes.
      params: the parameters; None where the family has none.
      cuts: whether the environment itself may cut an episode short before our time limit.
      limited: `limited(params) -> params` with the time limit out of the way, for parameters that are drawn.
      render: `render(state) -> uint8[H, W, 3]` on the host, where the environment can.
    """

    reset: Callable[[Array, Any], tuple[Any, Tree]]
    step: Callable[[Array, Tree, Any, Any], Seen]
    actions: Actions
    params: Any = None
    cuts: bool = True
    limited: Callable[[Any], Any] = lambda params: params
    render: Callable[[Tree], Any] | None = None


def last(step: Any) -> tuple[Any, Any]:
    """`(terminated, truncated)` of a step in the manner of dm_env: the world has ended where the discount is 0."""
    ended = step.step_type == 2
    return ended & (step.discount == 0), ended & (step.discount != 0)


def no_params(kind: str, params: Any) -> None:
    """Refuses parameters where the family has none."""
    if params is not None:
        raise UserError(
            f"adapt: params={params!r:.40} is not allowed: {kind} configures an environment when it is made"
        )


def unwrap(
    env: Any, inner: str, core: Callable[[Any], Any], *, drop: Mapping[str, Callable[[Any, Any], Any]], refuse: str
) -> Any:
    """An environment rebuilt around `core(innermost)`, without the wrappers that reset on their own.

    Args:
      env: an environment, perhaps inside wrappers. It is not changed: wrappers are copied.
      inner: the attribute in which a wrapper keeps what it wraps.
      core: makes the innermost environment anew.
      drop: by the name of a wrapper's class: `f(wrapper, inside) -> what takes its place`.
      refuse: wrappers whose name contains this word are refused, for they step a whole batch.

    Raises:
      UserError: a wrapper that steps a batch, or that resets on its own and is not known.
    """
    if inner not in vars(env):
        return core(env)
    name = type(env).__name__
    if name in drop:
        return drop[name](env, unwrap(getattr(env, inner), inner, core, drop=drop, refuse=refuse))
    if refuse.lower() in name.lower():
        raise UserError(f"adapt: {name} steps a whole batch; adapt the environment inside it")
    if "autoreset" in name.lower():
        raise UserError(f"adapt: {name} resets on its own, which hides how an episode ended; adapt what it wraps")
    outer = copy.copy(env)
    setattr(outer, inner, unwrap(getattr(env, inner), inner, core, drop=drop, refuse=refuse))
    return outer


def inside(wrapper: Any, wrapped: Any) -> Any:
    """For `drop`: nothing takes the wrapper's place."""
    del wrapper
    return wrapped
