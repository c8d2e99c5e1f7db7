"""Vectors of which only a few entries differ from 0, such as one-hot places: the first layer adds a few rows."""

from itertools import groupby
from typing import Any

import jax.numpy as jnp

from robustsim.pytree import pytree, static
from robustsim.types import Array


@pytree
class Sparse:
    """A vector float[..., D] by its k entries that may differ from 0; entries at one place add up.

    Attributes:
      places: int32[..., k].
      values: float[..., k].
      ranges: the range low:high in which each of the k places lies. Equal ranges stand side by side, others do not
        overlap, and in their order they cover 0:D.
    """

    places: Array
    values: Array
    ranges: tuple[tuple[int, int], ...] = static()

    @property
    def size(self) -> int:
        """D."""
        return self.ranges[-1][1]

    def dense(self) -> Array:
        """float[..., D]."""
        return jnp.concatenate([self._block(*b, rows=False) for b in self._blocks()], -1)

    def transposed(self) -> Array:
        """float[D, N] of vectors with one leading axis N."""
        return jnp.concatenate([self._block(*b, rows=True) for b in self._blocks()], 0)

    def across(self, kernel: Array) -> Array:
        """float[..., H], the vector times a matrix float[D, H]."""
        return sum(self.values[..., k, None] * kernel[self.places[..., k]] for k in range(len(self.ranges)))  # pyright: ignore[reportReturnType]

    def flat(self) -> "Sparse":
        """With one leading axis."""
        k = len(self.ranges)
        return Sparse(places=self.places.reshape(-1, k), values=self.values.reshape(-1, k), ranges=self.ranges)

    def and_one_more(self, value: Array) -> "Sparse":
        """With an entry float[...] at the end: D + 1."""
        last = jnp.full((*value.shape, 1), self.size, jnp.int32)
        return Sparse(
            places=jnp.concatenate([self.places, last], -1),
            values=jnp.concatenate([self.values, value[..., None].astype(self.values.dtype)], -1),
            ranges=(*self.ranges, (self.size, self.size + 1)),
        )

    def _blocks(self) -> list[tuple[tuple[int, int], list[int]]]:
        """Each range with the entries that lie in it."""
        return [(r, list(ks)) for r, ks in groupby(range(len(self.ranges)), key=lambda k: self.ranges[k])]

    def _block(self, place: tuple[int, int], entries: list[int], rows: bool) -> Array:
        """One range, by comparisons: a scatter would be slow."""
        low, high = place
        inside: Any = jnp.arange(low, high, dtype=jnp.int32)
        inside = inside[:, None] if rows else inside
        parts = []
        for k in entries:
            at, value = self.places[..., k], self.values[..., k]
            at, value = (at, value) if rows else (at[..., None], value[..., None])
            parts.append(jnp.where(at == inside, value, 0))
        return sum(parts[1:], parts[0])


def product(x: Array | Sparse, kernel: Array) -> Array:
    """float[..., H], of float[..., D] and a matrix float[D, H]."""
    return x.across(kernel) if isinstance(x, Sparse) else x @ kernel
