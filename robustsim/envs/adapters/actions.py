"""Native actions as one integer, 0..n-1, the form that the agents here use."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from robustsim.envs.adapters.common import Actions, Vector
from robustsim.errors import UserError

MOST = 1000  # combinations that are enumerated by default


class Choice(NamedTuple):
    """The actions to choose from.

    Attributes:
      number: how many there are.
      native: `native(action) -> native action`.
      masks: the shape of a mask over all that the environment takes; None where they cannot be listed.
      rows: the entries of such a mask that belong to the actions to choose from.
    """

    number: int
    native: Callable[[Any], Any]
    masks: tuple[int, ...] | None
    rows: Any


def choice(name: str, actions: Actions, given: Any) -> Choice:
    """What there is to choose from.

    Args:
      name: of the environment, for errors.
      actions: what the environment takes.
      given: the user's table, one native action per row; None for all of them.

    Raises:
      UserError: a table of the wrong shape, or no table although the actions cannot be enumerated.
    """
    row = _row(actions)
    if given is not None:
        table = np.asarray(given)
        if table.ndim != len(row) + 1 or table.shape[1:] != row or not len(table):
            raise UserError(f"adapt: actions has the shape {table.shape}; {name} needs {_wanted(actions)}")
        if not isinstance(actions, Vector) and ((table < 0) | (table >= np.asarray(actions))).any():
            allowed = f"0 up to, not including, {actions}"
            raise UserError(f"adapt: actions has entries outside of what {name} takes: {allowed}")
        table = table.astype(actions.dtype if isinstance(actions, Vector) else np.int32)
    elif isinstance(actions, int):
        return Choice(actions, lambda action: action, (actions,), np.arange(actions))
    elif isinstance(actions, Vector):
        raise UserError(f"adapt: {name} has no discrete actions; give it some: actions= {_wanted(actions)}")
    else:
        if math.prod(actions) > MOST:
            raise UserError(
                f"adapt: {name} has {math.prod(actions):,} combinations of actions, more than {MOST:,}; "
                f"choose some: actions= {_wanted(actions)}"
            )
        table = np.stack(np.unravel_index(np.arange(math.prod(actions)), actions), -1).astype(np.int32)
    masks = None if isinstance(actions, Vector) else tuple(np.atleast_1d(actions).tolist())
    rows = table if table.ndim == 1 else tuple(table.T)
    return Choice(len(table), lambda action: jnp.asarray(table)[action], masks, rows)


def _row(actions: Actions) -> tuple[int, ...]:
    if isinstance(actions, Vector):
        return actions.shape
    return () if isinstance(actions, int) else (len(actions),)


def _wanted(actions: Actions) -> str:
    kind = np.dtype(actions.dtype).name if isinstance(actions, Vector) else "int"
    return f"{kind}[{', '.join(['n', *map(str, _row(actions))])}], one action per row"
