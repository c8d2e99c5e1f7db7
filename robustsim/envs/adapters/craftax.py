"""craftax: includes the base class of gymnax before 1.0, and calls the time limit `max_timesteps`."""

from typing import Any

from robustsim.envs.adapters import gymnax
from robustsim.envs.adapters.common import Native


def bind(env: Any, params: Any, max_steps: int) -> Native:
    """Binds an environment of craftax, with or without auto-reset: only `step` resets."""
    return gymnax.bind(env, params, max_steps, limit="max_timesteps")
