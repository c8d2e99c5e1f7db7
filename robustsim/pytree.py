"""Frozen dataclasses that JAX treats as trees.

A field is a leaf (it may vary inside one compiled program) unless it is declared with
:func:`static`; static fields are part of the tree's structure, so changing one recompiles.
"""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")


def static(**kwargs: Any) -> Any:
    """Declares a field that belongs to the structure of the tree: hashable, never traced."""
    metadata = {**kwargs.pop("metadata", {}), "static": True}
    return dataclasses.field(metadata=metadata, **kwargs)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(static, dataclasses.field))
def pytree(cls: type[T]) -> type[T]:
    """Makes `cls` a frozen, keyword-only dataclass and registers it as a JAX pytree."""
    cls = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
    leaves = tuple(f.name for f in fields if not f.metadata.get("static"))
    structure = tuple(f.name for f in fields if f.metadata.get("static"))

    def flatten_with_keys(x: T) -> tuple[Any, Any]:
        children = [(jax.tree_util.GetAttrKey(name), getattr(x, name)) for name in leaves]
        return children, tuple(getattr(x, name) for name in structure)

    def flatten(x: T) -> tuple[Any, Any]:
        return [getattr(x, name) for name in leaves], tuple(getattr(x, name) for name in structure)

    def unflatten(values: Any, children: Any) -> T:
        # Leaves may be tracers, None or axis numbers here, so __init__ must not run.
        x = object.__new__(cls)
        for name, value in (*zip(leaves, children, strict=True), *zip(structure, values, strict=True)):
            object.__setattr__(x, name, value)
        return x

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls
