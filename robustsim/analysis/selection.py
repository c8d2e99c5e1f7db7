"""Choosing configurations of a sweep by the values of what was swept. Tables only."""

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from robustsim.errors import UserError, nearest

CLOSE = 5e-3  # relative: values are shown with three significant digits or more, and may be typed as they are shown
MOST_NAMED = 20


def values_of(runs: pl.DataFrame, swept: Collection[str], point: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The values, as the table has them, that are meant by a point of values or words.

    Args:
      name: of the argument, for errors.

    Raises:
      UserError: a name was not swept, or a value is not there.
    """
    return {axis: _value(runs, swept, axis, wanted, name) for axis, wanted in point.items()}


def _value(runs: pl.DataFrame, swept: Collection[str], axis: str, wanted: Any, name: str) -> Any:
    if axis not in swept:
        raise UserError(f"{name} {axis}: was not swept here; {nearest(axis, swept)}")
    there = runs[axis].unique(maintain_order=True).to_list()
    found = [x for x in there if spelled(x) == spelled(wanted)] or _closest(there, wanted)
    if not found:
        shown = ", ".join(map(spelled, there[:MOST_NAMED])) + (", ..." if len(there) > MOST_NAMED else "")
        raise UserError(f"{name} {axis}: {wanted!r} is not in these results; they have {shown}")
    return found[0]


def spelled(x: Any) -> str:
    """A value of a setting as one types it."""
    if x is None:
        return "not set"
    if isinstance(x, float):
        return f"{x:.12g}"
    return str(x).lower() if isinstance(x, bool | str) else str(x)


def _closest(there: list[Any], wanted: Any) -> list[float]:
    """The number that is nearest to the wanted one, if it is close."""
    numbers = [x for x in there if isinstance(x, int | float) and not isinstance(x, bool)]
    try:
        target = float(wanted)
    except (TypeError, ValueError):
        return []
    ordered = sorted(numbers, key=lambda x: abs(x - target))
    return [x for x in ordered[:1] if abs(x - target) <= CLOSE * abs(x)]


def rows(table: pl.DataFrame, point: Mapping[str, Any]) -> pl.DataFrame:
    """The rows of a table with these values."""
    return table.filter(*[pl.col(name).eq_missing(pl.lit(value)) for name, value in point.items()])
