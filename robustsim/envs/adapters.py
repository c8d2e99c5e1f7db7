"""Environments that nobody here wrote, as ours: without auto-reset, with two flags and a flat observation.

Families are told apart by the module that defines the environment's class, so nothing is imported to look.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from robustsim.envs.protocol import Environment
from robustsim.errors import UserError, nearest
from robustsim.pytree import pytree
from robustsim.types import Array, Step, Tree

Featurize = Callable[[Any], Array]


@pytree
class Adapted:
    """A foreign state with what was seen of it last. Predicates reach the foreign state as `tr.after.native`."""

    native: Tree
    params: Tree  # the environment's parameters in this episode
    obs: Array  # float[observation_size]
    time: Array  # int32[], environment steps since the reset


def family(env: Any) -> str:
    """`gymnax` (1.0 and newer, two flags) or `gymnax-legacy` (one done flag).

    Raises:
      UserError: an environment of no known family.
    """
    roots = {cls.__module__.partition(".")[0] for cls in type(env).__mro__}
    if "gymnax" in roots:
        return "gymnax" if hasattr(env, "is_truncated") else "gymnax-legacy"
    module = type(env).__module__
    raise UserError(f"adapt: {type(env).__name__} (from {module}) is of no known family; known: gymnax, gymnax-legacy")


def flat(obs: Any) -> Array:
    """Any observation (array, scalar, dictionary, tuple) as one float vector."""
    leaves = [jnp.asarray(leaf).astype(float).ravel() for leaf in jax.tree.leaves(obs)]
    return jnp.concatenate(leaves) if leaves else jnp.zeros((0,))


def adapt(
    env: Any,
    params: Any,
    *,
    max_steps: int,
    featurize: Featurize = flat,
    draw: Callable[[Array, Tree], Any] | None = None,
    kind: str | None = None,
) -> Environment:
    """A gymnax environment as a robustsim environment.

    The environment's own time limit is set to `max_steps`; its auto-reset is bypassed through `step_env`.

    Args:
      env: an instance of a gymnax environment, 1.0 or older.
      params: its parameters: what levels (`train`, `deployment`) are, unless there is a `draw`.
      max_steps: time limit of an episode in environment steps.
      featurize: `featurize(observation) -> float[n]`; by default everything is flattened.
      draw: `draw(key, levels) -> params`, the parameters of one episode, where levels are a distribution over them.
      kind: `gymnax` or `gymnax-legacy`, where the family cannot be told from the class.

    Raises:
      UserError: an unknown family, a continuous action space, or a time limit below 1.
    """
    kinds = ("gymnax", "gymnax-legacy")
    chosen = family(env) if kind is None else kind
    if chosen not in kinds:
        raise UserError(f"adapt: kind={chosen!r} is not allowed; {nearest(chosen, kinds)}")
    if max_steps < 1:
        raise UserError(f"adapt: max_steps={max_steps} is not allowed; use a whole number of at least 1")
    actions = env.action_space(params)
    if not hasattr(actions, "n"):
        raise UserError(
            f"adapt: {type(env).__name__} has no discrete actions ({type(actions).__name__}); they are needed"
        )

    def limited(levels: Any) -> Any:
        # The native limit would end an episode as a termination in old versions, so it is moved out of the way.
        return levels.replace(max_steps_in_episode=2**30)

    template = jax.eval_shape(lambda k: env.reset_env(k, limited(params))[1], jax.random.key(0))

    def episode(key: Array, levels: Any) -> Any:
        chosen_params = levels if draw is None else draw(key, levels)
        return jax.tree.map(jnp.asarray, limited(chosen_params))

    def like_template(state: Tree) -> Tree:
        return jax.tree.map(lambda x, t: jnp.asarray(x).astype(t.dtype), state, template)

    def reset(key: Array, levels: Any) -> tuple[Array, Adapted]:
        key_draw, key_reset = jax.random.split(key)
        own = episode(key_draw, levels)
        obs, native = env.reset_env(key_reset, own)
        state = Adapted(native=like_template(native), params=own, obs=featurize(obs), time=jnp.int32(0))
        return state.obs, state

    def step(key: Array, state: Adapted, action: Array, levels: Any) -> Step:
        del levels  # an episode keeps the parameters that it began with
        obs, native, reward, ended, _ = env.step_env(key, state.native, action, state.params)
        time = state.time + 1
        after = Adapted(native=like_template(native), params=state.params, obs=featurize(obs), time=time)
        ended = jnp.asarray(ended, bool)
        return Step(
            obs=after.obs,
            state=after,
            reward=jnp.asarray(reward).astype(float),
            terminated=ended,
            truncated=~ended & (time >= max_steps),
        )

    seen = jax.eval_shape(lambda k: featurize(env.reset_env(k, limited(params))[0]), jax.random.key(0))
    if len(seen.shape) != 1:
        raise UserError(f"adapt: featurize returned an array of shape {seen.shape}; it must return a vector")
    return Environment(
        reset=reset,
        step=step,
        observe=lambda state: state.obs,
        observation_size=seen.shape[0],
        num_actions=int(actions.n),
        max_steps=max_steps,
    )
