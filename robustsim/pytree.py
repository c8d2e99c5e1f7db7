"""Frozen dataclasses that JAX treats as trees.

A field is a leaf (it may vary inside one compiled program) unless it is declared with
:func:`static`; static fields are part of the tree's structure, so changing one recompiles.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")


def static(**kwargs: Any) -> Any:
    """Declares a field that belongs to the structure of the tree: hashable, never traced."""
    metadata = {**kwargs.pop("metadata", {}), "static": True}
    return dataclasses.field(metadata=metadata, **kwargs)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(static, dataclasses.field))
def pytree(cls: type[T]) -> type[T]:
    """Makes `cls` a frozen, keyword-only dataclass and registers it as a JAX pytree.

    The class is a part of the structure. To `jax.tree_util.register_dataclass` two classes with the same static values
    and as many leaves are equal (jax 0.10), so that a program compiled for the one can be run for the other.
    """
    made: Any = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    names = {
        flag: [f.name for f in dataclasses.fields(made) if f.metadata.get("static", False) == flag] for flag in _KINDS
    }
    keys = [jax.tree_util.GetAttrKey(name) for name in names[False]]

    def flatten(tree: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return tuple(getattr(tree, n) for n in names[False]), (made, *(getattr(tree, n) for n in names[True]))

    def with_keys(tree: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        leaves, structure = flatten(tree)
        return tuple(zip(keys, leaves, strict=True)), structure

    def unflatten(structure: tuple[Any, ...], leaves: Iterable[Any]) -> Any:
        fixed = zip(names[True], structure[1:], strict=True)
        return made(**dict(zip(names[False], leaves, strict=True)), **dict(fixed))

    jax.tree_util.register_pytree_with_keys(made, with_keys, unflatten, flatten)
    return made


_KINDS = (False, True)  # leaves, and what is static
