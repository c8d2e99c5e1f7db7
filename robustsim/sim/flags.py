"""Many flags in one word: inside a loop each array costs a launch, however short it is."""

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from robustsim.pytree import pytree, static
from robustsim.types import Array, Tree

WORD = 31  # flags in an int32 that stays positive


@pytree
class Packed:
    """A tree whose flags of the commonest shape share words."""

    words: list[Array]  # int32, each with up to WORD flags
    rest: list[Any]  # all other leaves, in order
    places: tuple[int, ...] = static()  # of the flags among the leaves
    structure: Any = static()


def pack(tree: Tree, shape: tuple[int, ...]) -> Packed:
    """The tree with its flags bool[*shape] in words."""
    leaves, structure = jax.tree.flatten(tree)
    places = tuple(i for i, x in enumerate(leaves) if x.dtype == jnp.bool_ and x.shape == shape)
    flags = [leaves[place].astype(jnp.int32) << i % WORD for i, place in enumerate(places)]
    words = [reduce(jnp.bitwise_or, flags[i : i + WORD]) for i in range(0, len(flags), WORD)]
    rest = [x for i, x in enumerate(leaves) if i not in places]
    return Packed(words=words, rest=rest, places=places, structure=structure)


def unpack(packed: Packed) -> Tree:
    """The tree again; leading axes may have been added to all of its leaves."""
    flags = {place: (packed.words[i // WORD] >> i % WORD) & 1 != 0 for i, place in enumerate(packed.places)}
    rest = iter(packed.rest)
    leaves = [flags[i] if i in flags else next(rest) for i in range(len(flags) + len(packed.rest))]
    return jax.tree.unflatten(packed.structure, leaves)
