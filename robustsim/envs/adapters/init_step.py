"""Environments with `init` and `step` and without auto-reset: those of pgx and envelope, and others of that form.

`init(key)` and `step(state, action)`, or `step(state, action, key)`, return a state from which everything can be read
(pgx), or a pair of a state and of what can be read (envelope). That is `observation` or `obs`, `reward` or `rewards`,
`terminated`, and where there are any `truncated` and `legal_action_mask`.
"""

import inspect
from typing import Any

from robustsim.envs.adapters.common import Actions, Native, Seen, Vector, action_mask, listed, no_params, unwrap
from robustsim.errors import UserError
from robustsim.types import Tree


def bind(env: Any, params: Any, max_steps: int) -> Native:
    """Binds an environment; wrappers that reset on their own, or that have a time limit, are removed."""
    del max_steps  # no limit of its own is left
    name = type(env).__name__
    no_params(name, params)
    env = unwrap(env, "env", {"AutoResetWrapper": None, "TruncationWrapper": None})
    takes_key = "key" in inspect.signature(env.step).parameters

    def reset(key: Any, params: Any) -> tuple[Any, Tree]:
        del params
        state, seen = _pair(env.init(key))
        return _read(name, seen, "observation", "obs"), state

    def step(key: Any, state: Tree, action: Any, params: Any) -> Seen:
        del params
        state, seen = _pair(env.step(state, action, key=key) if takes_key else env.step(state, action))
        obs, reward = _read(name, seen, "observation", "obs"), _read(name, seen, "reward", "rewards")
        return Seen(obs, state, reward, _read(name, seen, "terminated"), getattr(seen, "truncated", False))

    return Native(reset=reset, step=step, actions=_actions(name, env), mask=_mask)


def _pair(result: Any) -> tuple[Tree, Any]:
    """(state, what can be read), which may be one and the same."""
    return result if type(result) is tuple else (result, result)


def _read(name: str, seen: Any, *fields: str) -> Any:
    for field in fields:
        if hasattr(seen, field):
            return getattr(seen, field)
    raise UserError(f"adapt: {name}: init and step return {type(seen).__name__}, which has no {' or '.join(fields)}")


def _mask(obs: Any, state: Tree) -> Any:
    return getattr(state, "legal_action_mask", action_mask(obs, state))


def _actions(name: str, env: Any) -> Actions:
    if hasattr(env, "num_actions"):
        return int(env.num_actions)
    space: Any = getattr(env, "action_space", None)
    if hasattr(space, "n"):
        return listed(space.n)
    if not isinstance(getattr(space, "shape", None), tuple):
        raise UserError(f"adapt: {name} has no num_actions, and no action_space with n or with a shape")
    return Vector(space.shape, space.dtype)
