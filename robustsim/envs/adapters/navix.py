"""navix: no parameters, the key is part of the state, and `step` after the end of an episode resets; `_step` does not.

The state here is the family's `Timestep`. Its `step_type` is 0 for a transition, 1 for truncation, 2 for
termination.
"""

from typing import Any

from robustsim.envs.adapters.common import Native, Seen, no_params
from robustsim.errors import UserError


def bind(env: Any, params: Any, max_steps: int) -> Native:
    """Binds an environment of navix."""
    no_params("navix", params)
    if not hasattr(env, "_step"):
        raise UserError(f"adapt: {type(env).__name__} has no `_step`, the step without auto-reset; adapt what it wraps")
    env = env.replace(max_steps=max_steps)

    def reset(key: Any, params: Any) -> tuple[Any, Any]:
        del params
        start = env.reset(key)
        return start.observation, start

    def step(key: Any, state: Any, action: Any, params: Any) -> Seen:
        del key, params
        after = env._step(state, action)
        return Seen(after.observation, after, after.reward, after.step_type == 2, after.step_type == 1)

    return Native(reset=reset, step=step, actions=len(env.action_set))
