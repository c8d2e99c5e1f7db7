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
    fields = dataclasses.fields(made)
    fixed = [field.name for field in fields if field.metadata.get("static")]
    leaves = [field.name for field in fields if field.name not in fixed]
    keys = [jax.tree_util.GetAttrKey(name) for name in leaves]

    def flatten(tree: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(tree, name) for name in leaves], (made, *(getattr(tree, name) for name in fixed))

    def with_keys(tree: Any) -> tuple[list[Any], tuple[Any, ...]]:
        values, structure = flatten(tree)
        return list(zip(keys, values, strict=True)), structure

    def unflatten(structure: tuple[Any, ...], values: Iterable[Any]) -> Any:
        return made(**dict(zip(leaves, values, strict=True)), **dict(zip(fixed, structure[1:], strict=True)))

    jax.tree_util.register_pytree_with_keys(made, with_keys, unflatten, flatten)
    return made
