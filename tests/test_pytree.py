"""What is a tree to JAX: the class is a part of the structure, and so are static fields."""

from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from robustsim.parts import bundled, find
from robustsim.pytree import pytree, static

PAIRS = [
    (find(part, a, {}), find(part, b, {}))
    for part in ("overseer", "catastrophe", "learner", "treatment")
    for a, b in combinations(bundled(part), 2)
]


@pytree
class Point:
    """A tree with a leaf and a static field."""

    x: Any
    name: str = static(default="")


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=lambda cls: cls.__name__)
def test_no_two_parts_have_one_structure(one: type, other: type) -> None:
    assert jax.tree.structure(one()) != jax.tree.structure(other())


def test_it_comes_back_as_it_was() -> None:
    point = Point(x=jnp.arange(3.0), name="a")
    leaves, structure = jax.tree.flatten(point)
    again = jax.tree.unflatten(structure, leaves)
    assert isinstance(again, Point)
    assert (again.name, again.x.tolist()) == ("a", [0, 1, 2])
    assert structure == jax.tree.structure(Point(x=0, name="a"))
    assert structure != jax.tree.structure(Point(x=0, name="b"))
    ((path, _),) = jax.tree.leaves_with_path(point)
    assert jax.tree_util.keystr(path, simple=True, separator="/") == "x"
    assert jax.tree.map(lambda x: x + 1, point).x.tolist() == [1, 2, 3]
