"""Exporting a robustsim environment to gymnax 1.0, for use in other training loops."""

import functools
from typing import Any

import jax.numpy as jnp

from robustsim.envs.protocol import Environment
from robustsim.errors import UserError
from robustsim.types import Tree


def to_gymnax(environment: Environment, levels: Tree = None) -> tuple[Any, Any]:
    """`(env, params)` of gymnax 1.0: `env.step` auto-resets, `env.step_env` does not.

    `env.reset(key, params)` and `env.step_env(key, state, action, params)` return the same as the environment's own
    reset and step with the same keys; `env.is_truncated(state, params)` is its `truncated`. Observations are
    float[observation_size], actions 0..num_actions-1.

    Args:
      environment: any robustsim environment.
      levels: the level distribution that episodes are drawn from, `params.levels`.

    Raises:
      UserError: gymnax is not installed.
    """
    exported, parameters = _classes()
    return exported(environment, levels), parameters(levels=levels, max_steps_in_episode=environment.max_steps)


def _gymnax() -> tuple[Any, Any]:
    try:
        from gymnax.environments import environment, spaces
    except ModuleNotFoundError as error:
        raise UserError(f"to_gymnax needs {error.name}: pip install 'robustsim[gymnax]'") from None
    if not hasattr(environment.Environment, "is_truncated"):
        raise UserError("to_gymnax needs gymnax 1.0 or newer: pip install 'robustsim[gymnax]'")
    return environment, spaces


@functools.cache
def _classes() -> tuple[Any, Any]:
    """The environment and parameter classes, created on first use, because gymnax is optional."""
    from flax import struct

    base, spaces = _gymnax()

    @struct.dataclass
    class ExportedParams(base.EnvParams):
        levels: Any = None

    @struct.dataclass
    class ExportedState(base.EnvState):
        inner: Any  # the environment's own state
        terminated: Any  # bool[]
        truncated: Any  # bool[]

    class Exported(base.Environment):
        def __init__(self, environment: Environment, levels: Tree) -> None:
            super().__init__()
            self.environment, self.levels = environment, levels

        @property
        def name(self) -> str:
            return "robustsim"

        @property
        def default_params(self) -> Any:
            return ExportedParams(levels=self.levels, max_steps_in_episode=self.environment.max_steps)

        @property
        def num_actions(self) -> int:
            return self.environment.num_actions

        def reset_env(self, key: Any, params: Any) -> tuple[Any, Any]:
            obs, inner = self.environment.reset(key, params.levels)
            no = jnp.zeros((), bool)
            return obs, ExportedState(time=jnp.int32(0), inner=inner, terminated=no, truncated=no)

        def step_env(self, key: Any, state: Any, action: Any, params: Any) -> tuple[Any, Any, Any, Any, dict]:
            step = self.environment.step(key, state.inner, jnp.asarray(action, jnp.int32), params.levels)
            after = ExportedState(
                time=state.time + 1, inner=step.state, terminated=step.terminated, truncated=step.truncated
            )
            return step.obs, after, step.reward, step.terminated, {"discount": 1.0 - step.terminated.astype(float)}

        def is_truncated(self, state: Any, params: Any) -> Any:
            return state.truncated | ((state.time >= params.max_steps_in_episode) & ~state.terminated)

        def is_terminated(self, state: Any, params: Any) -> Any:
            return state.terminated

        def observe(self, key: Any, state: Any, action: Any, params: Any) -> Any:
            return self.environment.observe(state.inner)

        def action_space(self, params: Any = None) -> Any:
            return spaces.Discrete(self.environment.num_actions)

        def observation_space(self, params: Any = None) -> Any:
            return spaces.Box(-jnp.inf, jnp.inf, (self.environment.observation_size,), jnp.float32)

    return Exported, ExportedParams
