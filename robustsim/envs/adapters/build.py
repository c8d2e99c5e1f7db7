"""A native environment, bound by its family, as a robustsim environment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from robustsim.envs.adapters.actions import choice
from robustsim.envs.adapters.common import Native, Seen
from robustsim.envs.adapters.families import FAMILIES, family
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
    """An environment of gymnax, craftax, xminigrid, jumanji, navix or brax as a robustsim environment.

    The environment's own time limit gives way to `max_steps`, and its auto-reset is bypassed or rejected.

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
        auto-reset, a reward or an observation of the wrong shape, a state that changes its shape in a step.
    """
    if max_steps < 1:
        raise UserError(f"adapt: max_steps={max_steps} is not allowed; use a whole number of at least 1")
    name = type(env).__name__
    native = env if isinstance(env, Native) else FAMILIES[family(env)](env, params, max_steps)
    if draw is not None and native.params is None:
        raise UserError(f"adapt: draw is not allowed: {name} has no parameters to draw; use reset_key, or wrap reset")
    num_actions, choose = choice(name, native.actions, actions)
    template, size = _trace(name, native, choose(jnp.int32(0)), featurize)
    foreign = _Foreign(name, native, featurize, draw, reset_key, template, choose, max_steps)
    shown = native.render if render is None else render
    return Environment(
        reset=foreign.reset,
        step=foreign.step,
        observe=lambda state: state.obs,
        observation_size=size,
        num_actions=num_actions,
        max_steps=max_steps,
        render=None if shown is None else lambda state, signal: shown(state.native),
        shortest=None if native.cuts else lambda levels: max_steps,
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
    choose: Callable[[Array], Any]
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
        native = jax.tree.map(_as_type, native, self.template)
        return Adapted(native=native, params=params, obs=self.featurize(obs), time=time)

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
        seen = self.native.step(key, copied, self.choose(action), params)
        after = self._state(seen.state, state.params, seen.obs, state.time + 1)
        terminated = _scalar(seen.terminated).astype(bool)
        truncated = (_scalar(seen.truncated).astype(bool) | (after.time >= self.max_steps)) & ~terminated
        reward = _scalar(seen.reward).astype(float)
        return Step(obs=after.obs, state=after, reward=reward, terminated=terminated, truncated=truncated)


def _trace(name: str, native: Native, action: Any, featurize: Featurize) -> tuple[Tree, int]:
    """The types of a state, and the length of an observation, from one traced reset and step.

    A leaf whose type differs between reset and step gets their common type.
    """

    def begin() -> tuple[Tree, Array]:
        obs, state = native.reset(jax.random.key(0), native.params)
        return state, featurize(obs)

    def go(state: Tree) -> tuple[Tree, Seen]:
        seen = native.step(jax.random.key(0), state, action, native.params)
        return seen.state, seen._replace(state=None, obs=featurize(seen.obs))

    first, obs = jax.eval_shape(begin)
    second, seen = jax.eval_shape(go, first)
    if len(obs.shape) != 1:
        raise UserError(f"adapt: featurize returned an array of shape {obs.shape}; it must return a vector")
    if seen.obs.shape != obs.shape:
        raise UserError(f"adapt: {name}: observations of {obs.shape} after a reset and {seen.obs.shape} after a step")
    for role, value in (("reward", seen.reward), ("end of an episode", seen.terminated)):
        if value.size != 1:
            raise UserError(
                f"adapt: {name}: the {role} has the shape {value.shape} and must be one number; "
                "join several agents by a wrapper"
            )
    if jax.tree.structure(first) != jax.tree.structure(second):
        raise UserError(f"adapt: {name}: a step returns a state of another structure than a reset")
    for (path, a), b in zip(jax.tree.leaves_with_path(first), jax.tree.leaves(second), strict=True):
        if a.shape != b.shape:
            where = jax.tree_util.keystr(path)
            raise UserError(
                f"adapt: {name}: state{where} has the shape {a.shape} after a reset and {b.shape} after a step"
            )
    return jax.tree.map(_joined, first, second), obs.shape[0]


def _is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _joined(a: Any, b: Any) -> Any:
    return a if _is_key(a) else jax.ShapeDtypeStruct(a.shape, jnp.promote_types(a.dtype, b.dtype))


def _as_type(x: Any, wanted: Any) -> Array:
    return x if _is_key(wanted) else jnp.asarray(x).astype(wanted.dtype)


def _scalar(x: Any) -> Array:
    return jnp.asarray(x).reshape(())
