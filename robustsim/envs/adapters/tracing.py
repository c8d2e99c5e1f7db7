"""What is known of a foreign environment without running it: the types and shapes of one traced reset and step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from robustsim.envs.adapters.common import Native, Seen, explained
from robustsim.errors import UserError
from robustsim.types import Array, Tree

LEAST = 3  # cells of the shorter side of a grid: what is narrower is a list of vectors


class Traced(NamedTuple):
    """Types and shapes.

    Attributes:
      state: the types of a native state.
      size: the length of an observation.
      image: the shape of a native observation that is one array of three axes, or of two; None for any other.
      mask: the shape of the mask of all native actions; None where the environment tells none.
    """

    state: Tree
    size: int
    image: tuple[int, int, int] | None
    mask: tuple[int, ...] | None


def trace(name: str, native: Native, action: Any, featurize: Callable[[Any], Array]) -> Traced:
    """Traces a reset and a step. A leaf whose type differs between the two gets their common type.

    Raises:
      UserError: the environment's own code fails; a shape is wrong, or changes in a step.
    """

    def look(obs: Any) -> Array:
        with explained(name, "featurize"):
            return featurize(obs)

    def begin() -> tuple[Tree, Array, Any, Any]:
        with explained(name, "a reset"):
            obs, state = native.reset(jax.random.key(0), native.params)
            return state, look(obs), _grid(obs), native.mask(obs, state)

    def go(state: Tree) -> tuple[Tree, Seen]:
        with explained(name, "a step"):
            seen = native.step(jax.random.key(0), state, action, native.params)
            return seen.state, seen._replace(state=None, obs=look(seen.obs))

    first, obs, image, mask = jax.eval_shape(begin)
    second, seen = jax.eval_shape(go, first)
    _check(name, obs, seen)
    state = _joined(name, first, second)
    return Traced(state, obs.shape[0], image and image.shape, None if mask is None else mask.shape)


def _grid(obs: Any) -> Any:
    """An observation [H, W, C]; one of cells, [H, W], as one channel; None for any other."""
    axes = getattr(obs, "ndim", 0)
    if axes == 2 and min(obs.shape) >= LEAST:
        return jnp.asarray(obs)[..., None]
    return obs if axes == 3 else None


def as_type(x: Any, wanted: Any) -> Array:
    """A leaf of a state with the type that was traced."""
    return x if _is_key(wanted) else jnp.asarray(x).astype(wanted.dtype)


def _check(name: str, obs: Any, seen: Seen) -> None:
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


def _joined(name: str, first: Tree, second: Tree) -> Tree:
    """The common types of the states after a reset and after a step."""
    if jax.tree.structure(first) != jax.tree.structure(second):
        raise UserError(f"adapt: {name}: a step returns a state of another structure than a reset")
    for (path, a), b in zip(jax.tree.leaves_with_path(first), jax.tree.leaves(second), strict=True):
        if a.shape != b.shape:
            where = jax.tree_util.keystr(path)
            raise UserError(
                f"adapt: {name}: state{where} has the shape {a.shape} after a reset and {b.shape} after a step"
            )

    def both(a: Any, b: Any) -> Any:
        return a if _is_key(a) else jax.ShapeDtypeStruct(a.shape, jnp.promote_types(a.dtype, b.dtype))

    return jax.tree.map(both, first, second)


def _is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
