"""A native environment, bound by its family, as a robustsim environment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from robustsim.envs.adapters.actions import Choice, choice
from robustsim.envs.adapters.common import Native, explained
from robustsim.envs.adapters.families import FAMILIES, family
from robustsim.envs.adapters.tracing import as_type, trace
from robustsim.envs.protocol import Environment
from robustsim.errors import UserError
from robustsim.pytree import pytree
from robustsim.types import Array, Step, Tree

Featurize = Callable[[Any], Array]
Draw = Callable[[Array, Tree], Any]
ResetKey = Callable[[Array, Tree], Array]


@pytree
class Adapted:
    """A native state with its latest observation. Predicates reach the native state as `tr.after.native`."""

    native: Tree  # what the family's own step takes
    params: Tree  # the environment's parameters in this episode; None if they are fixed
    obs: Array  # float[observation_size]
    time: Array  # int32[], environment steps since the reset
    mask: Array | None = None  # bool[num_actions], the allowed actions, where the environment tells them


def flat(obs: Any) -> Array:
    """Any observation (array, scalar, dictionary, tuple) as one float vector."""
    leaves = [jnp.asarray(leaf).astype(float).ravel() for leaf in jax.tree.leaves(obs)]
    return jnp.concatenate(leaves) if leaves else jnp.zeros((0,))


def adapt(
    env: Any,
    params: Any = None,
    *,
    max_steps: int,
    featurize: Featurize = flat,
    draw: Draw | None = None,
    reset_key: ResetKey | None = None,
    actions: Any = None,
    render: Callable[[Tree], Any] | None = None,
) -> Environment:
    """An environment of another library as a robustsim environment.

    Known are gymnax (and whatever has its base class, such as foragax), craftax, xminigrid, jumanji, navix, brax, and
    every environment with `init` and `step` but no auto-reset, such as those of pgx and envelope. The environment's own
    time limit gives way to `max_steps`, and its auto-reset is bypassed or rejected. An environment that tells which
    actions are allowed has a `mask`.

    Args:
      env: an instance; it is not changed. Or a `Native`, for an environment whose classes do not tell its family:
        `rs.adapt(FAMILIES["gymnax"](env, params, max_steps), max_steps=max_steps)`.
      params: its parameters, where the family has any; None for the defaults.
      max_steps: time limit of an episode in environment steps.
      featurize: `featurize(observation) -> float[n]`; by default everything is flattened.
      draw: `draw(key, levels) -> params`, the parameters of one episode, where levels (a scenario's `training_levels`
        and `deployment_levels`) are a distribution over them. Without it levels are parameters, or None for `params`,
        which are then constants that the environment may use as sizes.
      reset_key: `reset_key(key, levels) -> key`, the key that the environment resets with: for levels that come from
        the key alone, as a few fixed ones in training.
      actions: the actions to choose from, one per row: int[n] of discrete ones, int[n, k] of k whole numbers,
        float[n, k] of a vector. By default all of them, where they can be listed.
      render: `render(native state) -> uint8[H, W, 3]`, on the host; by default the family's own picture, if it has one.

    Raises:
      UserError: an unknown family, actions that cannot be enumerated, a time limit below 1, a wrapper with its own
        auto-reset, a reward or an observation of the wrong shape, a state that changes its shape in a step, and
        whatever the environment's own code raises.
    """
    if max_steps < 1:
        raise UserError(f"adapt: max_steps={max_steps} is not allowed; use a whole number of at least 1")
    name = type(env).__name__
    with explained(name, "adapting it"):
        native = env if isinstance(env, Native) else FAMILIES[family(env)](env, params, max_steps)
        chosen = choice(name, native.actions, actions)
        traced = trace(name, native, chosen.native(jnp.int32(0)), featurize)
    if draw is not None and native.params is None:
        raise UserError(f"adapt: draw is not allowed: {name} has no parameters to draw; use reset_key, or wrap reset")
    masked = traced.mask is not None and traced.mask == chosen.masks
    foreign = _Foreign(name, native, featurize, draw, reset_key, traced.state, chosen, masked, max_steps)
    shown = native.render if render is None else render
    return Environment(
        reset=foreign.reset,
        step=foreign.step,
        observe=lambda state: state.obs,
        observation_size=traced.size,
        num_actions=chosen.number,
        max_steps=max_steps,
        render=None if shown is None else lambda state, signal: shown(state.native),
        shortest=None if native.cuts else lambda levels: max_steps,
        mask=(lambda state: state.mask) if masked else None,
        image=traced.image if featurize is flat else None,
    )


@dataclass(frozen=True, eq=False)
class _Foreign:
    """A foreign environment with what :func:`adapt` was told about it, and with the types of its states."""

    name: str
    native: Native
    featurize: Featurize
    draw: Draw | None
    reset_key: ResetKey | None
    template: Tree
    choice: Choice
    masked: bool
    max_steps: int

    def _episode(self, key: Array, levels: Any) -> Any:
        """The parameters of an episode; None where they are those of the environment."""
        if self.native.params is None or (self.draw is None and levels is None):
            return None
        own = self.native.limited(levels if self.draw is None else self.draw(key, levels))
        if jax.tree.structure(own) != jax.tree.structure(self.native.params):
            raise UserError(
                f"adapt: an episode of {self.name} got parameters of another structure than params; sizes and other "
                "static fields cannot differ between episodes"
            )
        return jax.tree.map(jnp.asarray, own)

    def _state(self, native: Tree, params: Tree, obs: Any, time: Array) -> Adapted:
        """A state whose leaves have the types of the template."""
        mask = jnp.asarray(self.native.mask(obs, native))[self.choice.rows].astype(bool) if self.masked else None
        native = jax.tree.map(as_type, native, self.template)
        return Adapted(native=native, params=params, obs=self.featurize(obs), time=time, mask=mask)

    def reset(self, key: Array, levels: Any) -> tuple[Array, Adapted]:
        key_draw, key_reset = jax.random.split(key)
        own = self._episode(key_draw, levels)
        if self.reset_key is not None:
            key_reset = self.reset_key(key_reset, levels)
        obs, native = self.native.reset(key_reset, self.native.params if own is None else own)
        state = self._state(native, own, obs, jnp.int32(0))
        return state.obs, state

    def step(self, key: Array, state: Adapted, action: Array, levels: Any) -> Step:
        del levels  # an episode keeps the parameters that it began with
        params = self.native.params if state.params is None else state.params
        # In new containers, because some environments write into the dictionaries of their argument.
        copied = jax.tree.map(lambda x: x, state.native)
        seen = self.native.step(key, copied, self.choice.native(action), params)
        after = self._state(seen.state, state.params, seen.obs, state.time + 1)
        terminated = _scalar(seen.terminated).astype(bool)
        truncated = (_scalar(seen.truncated).astype(bool) | (after.time >= self.max_steps)) & ~terminated
        reward = _scalar(seen.reward).astype(float)
        return Step(obs=after.obs, state=after, reward=reward, terminated=terminated, truncated=truncated)


def _scalar(x: Any) -> Array:
    return jnp.asarray(x).reshape(())
