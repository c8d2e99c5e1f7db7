"""gymnax: pure functions of a key, a state and parameters; auto-reset only in `step`, so `step_env` is used.

Before 1.0 one `done` flag covered termination and truncation. The environment's own limit is set one step beyond ours,
so that in every version `done` means termination.
"""

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

    def limited(params: Any) -> Any:
        return params.replace(**{limit: max_steps + 1}) if hasattr(params, limit) else params

    def step(key: Any, state: Any, action: Any, params: Any) -> Seen:
        obs, state, reward, terminated, _ = env.step_env(key, state, action, params)
        truncated = env.is_truncated(state, params) if hasattr(env, "is_truncated") else False
        return Seen(obs, state, reward, terminated, truncated)

    chosen = limited(env.default_params if params is None else params)
    cuts = hasattr(env, "is_truncated")
    if cuts and type(env).is_truncated.__module__ == "gymnax.environments.environment":
        cuts = not hasattr(chosen, limit)  # by gymnax's own step count alone, whose limit lies beyond ours
    return Native(
        reset=env.reset_env,
        step=step,
        actions=_actions(env.action_space(chosen)),
        params=chosen,
        cuts=cuts,
        limited=limited,
    )


def _actions(space: Any) -> Actions:
    if hasattr(space, "n"):
        return int(space.n)
    if hasattr(space, "spaces") and not isinstance(space.spaces, dict) and all(hasattr(s, "n") for s in space.spaces):
        return tuple(int(s.n) for s in space.spaces)
    if not hasattr(space, "shape"):
        raise UserError(f"adapt: actions of the kind {type(space).__name__} are not known")
    return Vector(tuple(space.shape), space.dtype)
