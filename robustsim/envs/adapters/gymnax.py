"""gymnax: pure functions of a key, a state and parameters; auto-reset only in `step`, so `step_env` is used.

Before 1.0 one `done` flag covered termination and truncation. The environment's own limit is set one step beyond ours,
so that in every version `done` means termination. An environment whose parameters have no limit has none.
"""

import copy
from typing import Any

from robustsim.envs.adapters.common import Actions, Native, Seen, Vector
from robustsim.errors import UserError


def bind(env: Any, params: Any, max_steps: int, limit: str = "max_steps_in_episode") -> Native:
    """Binds an environment of gymnax, of any version, or of a library with the same base class.

    Args:
      env: the environment, without wrappers.
      params: its parameters; None for its defaults.
      max_steps: our time limit.
      limit: the field of the parameters that holds the environment's own.
    """
    if hasattr(env, "_env"):
        raise UserError(f"adapt: {type(env).__name__} wraps an environment and would be passed by; adapt what it wraps")

    env = _renamed(env)

    def limited(params: Any) -> Any:
        return params.replace(**{limit: max_steps + 1}) if hasattr(params, limit) else params

    chosen = limited(env.default_params if params is None else params)
    # gymnax's own `is_truncated` compares a step count with the limit, which lies beyond ours or is not there.
    cuts = hasattr(env, "is_truncated") and not _inherited(env, "is_truncated")

    def step(key: Any, state: Any, action: Any, params: Any) -> Seen:
        obs, state, reward, terminated, _ = env.step_env(key, state, action, params)
        return Seen(obs, state, reward, terminated, env.is_truncated(state, params) if cuts else False)

    return Native(
        reset=env.reset_env,
        step=step,
        actions=_actions(env.action_space(chosen)),
        params=chosen,
        cuts=cuts,
        limited=limited,
    )


def _inherited(env: Any, method: str) -> bool:
    """Whether a method is that of gymnax's base class."""
    return getattr(type(env), method).__module__ == "gymnax.environments.environment"


def _renamed(env: Any) -> Any:
    """`is_terminal` of before 1.0 under its name of today, by which the base class of today calls it."""
    if not hasattr(env, "is_terminated") or not _inherited(env, "is_terminated") or _inherited(env, "is_terminal"):
        return env
    mine = copy.copy(env)
    mine.is_terminated = env.is_terminal
    return mine


def _actions(space: Any) -> Actions:
    if hasattr(space, "n"):
        return int(space.n)
    if hasattr(space, "spaces") and not isinstance(space.spaces, dict) and all(hasattr(s, "n") for s in space.spaces):
        return tuple(int(s.n) for s in space.spaces)
    if not hasattr(space, "shape"):
        raise UserError(f"adapt: actions of the kind {type(space).__name__} are not known")
    return Vector(tuple(space.shape), space.dtype)
