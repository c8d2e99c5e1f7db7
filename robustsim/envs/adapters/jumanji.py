"""jumanji: no parameters, the key is part of the state, and the time limit is mostly reported as termination.

The environment's own limit is therefore set one step beyond ours, in a copy. Most observations have an `action_mask`.
"""

import copy
from typing import Any

from robustsim.envs.adapters.common import Actions, Native, Seen, Vector, action_mask, last, listed, no_params, unwrap


def bind(env: Any, params: Any, max_steps: int) -> Native:
    """Binds an environment of jumanji; its auto-reset wrapper is removed, batching wrappers are rejected."""
    no_params("jumanji", params)

    def core(innermost: Any) -> Any:
        mine = copy.copy(innermost)
        if "time_limit" in vars(mine):
            mine.time_limit = max_steps + 1
        return mine

    env = unwrap(env, "_env", {"AutoResetWrapper": None}, core)

    def reset(key: Any, params: Any) -> tuple[Any, Any]:
        del params
        state, start = env.reset(key)
        return start.observation, state

    def step(key: Any, state: Any, action: Any, params: Any) -> Seen:
        del key, params
        state, after = env.step(state, action)
        return Seen(after.observation, state, after.reward, *last(after))

    return Native(reset=reset, step=step, actions=_actions(env.action_spec), mask=action_mask)


def _actions(spec: Any) -> Actions:
    if not hasattr(spec, "num_values"):
        return Vector(tuple(spec.shape), spec.dtype)
    return listed(spec.num_values)
