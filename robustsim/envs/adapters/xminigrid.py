"""XLand-MiniGrid: parameters come first, the key is part of the state, and sizes are parameters that cannot be traced.

The state here is the family's `TimeStep`. The reward falls with `step / max_steps`, so the environment's own limit is
set to ours; its discount distinguishes termination from truncation.
"""

from typing import Any

from robustsim.envs.adapters.common import Native, Seen, last, unwrap


def bind(env: Any, params: Any, max_steps: int) -> Native:
    """Binds an environment of xminigrid; auto-reset wrappers are removed."""
    drop = {"GymAutoResetWrapper": None, "DmEnvAutoResetWrapper": None}
    env = unwrap(env, "_env", drop)

    def limited(params: Any) -> Any:
        return params.replace(max_steps=max_steps) if hasattr(params, "max_steps") else params

    def reset(key: Any, params: Any) -> tuple[Any, Any]:
        start = env.reset(params, key)
        return start.observation, start

    def step(key: Any, state: Any, action: Any, params: Any) -> Seen:
        del key
        after = env.step(params, state, action)
        return Seen(after.observation, after, after.reward, *last(after))

    chosen = limited(env.default_params() if params is None else params)
    return Native(
        reset=reset,
        step=step,
        actions=int(env.num_actions(chosen)),
        params=chosen,
        limited=limited,
        render=lambda state: env.render(chosen.replace(render_mode="rgb_array"), state),
    )
