"""The points of a sweep: a grid, values side by side, or points drawn from ranges."""

import itertools
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustsim.arguments import whole as whole_number
from robustsim.errors import UserError, nearest

DESIGNS = ("grid", "zip", "random", "sobol")
MOST = 1_000_000  # configurations of one sweep
MOST_SEEDS = 1_000_000  # of one configuration


@dataclass(frozen=True)
class Range:
    """The values from `low` to `high` that the designs "random" and "sobol" draw from.

    Attributes:
      log: whether they are drawn evenly on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

    def at(self, share: float) -> float:
        """The value at a share in [0, 1] of the way."""
        if self.log:
            return float(math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low))))
        return float(self.low + share * (self.high - self.low))


Axes = Mapping[str, "Sequence[Any] | Range"]


@dataclass(frozen=True)
class Design:
    """How values of several names are put together.

    Attributes:
      kind: "grid" (every combination), "zip" (the first values, the second ones, ...), "random" or "sobol".
      samples: how many points are drawn ("random" and "sobol").
      seed: of the draw.
    """

    kind: str = "grid"
    samples: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in DESIGNS:
            raise UserError(f"design: {self.kind!r} is not allowed; {nearest(str(self.kind), DESIGNS)}")
        drawn = self.kind in ("random", "sobol")
        whole_number("samples", self.samples, 1 if drawn else 0, MOST)
        whole_number("design_seed", self.seed)
        if not drawn and self.samples:
            raise UserError(f"samples: {self.samples!r} is not allowed: a design of kind {self.kind!r} has no draws")


def points(
    over: Axes, settings: Mapping[str, Any], design: Design = Design(), whole: Collection[str] = ()
) -> list[dict[str, Any]]:
    """One table from name to value per configuration; in a grid the last name varies fastest.

    Args:
      over: values of each name, or a Range for designs that draw.
      settings: names that are fixed.
      whole: names whose values are whole numbers.

    Raises:
      UserError: a name that is fixed too, whose values do not fit the design, or a configuration that is there twice.
    """
    for name, values in over.items():
        if name in settings:
            raise UserError(f"{name}: is both set and swept; do one of the two")
        _check(name, values, design)
    if not over:
        return [{}]
    if design.kind not in ("grid", "zip"):
        found = {tuple(point.values()): point for point in _drawn(over, design, whole)}
        return list(found.values())  # of a list of values the same point may be drawn again: it is kept once
    listed = {name: list(values) for name, values in over.items() if not isinstance(values, Range)}
    if design.kind == "grid":
        return [dict(zip(listed, values, strict=True)) for values in itertools.product(*listed.values())]
    lengths = {name: len(values) for name, values in listed.items()}
    if len(set(lengths.values())) > 1:
        raise UserError(f"over: a zip needs as many values of each name; there are {lengths}")
    rows = list(zip(*listed.values(), strict=True))
    if again := [row for row, count in Counter(rows).items() if count > 1]:
        twice = ", ".join(f"{name}={value}" for name, value in zip(listed, again[0], strict=True))
        raise UserError(f"over: a zip has the configuration {twice} twice; name each once")
    return [dict(zip(listed, values, strict=True)) for values in rows]


def as_lists(over: Any) -> dict[str, Any]:
    """Axes with their values as lists.

    Raises:
      UserError: it is no table from dotted names to lists of values, or ranges.
    """
    if not isinstance(over, Mapping):
        raise UserError(f"over: {over!r} is not allowed; use a dictionary from dotted names to lists of values")
    table = {}
    for name, values in over.items():
        try:
            if isinstance(values, str | Mapping):
                raise TypeError
            table[str(name)] = values if isinstance(values, Range) else [plain_number(value) for value in values]
        except TypeError:
            raise UserError(f"{name}: {values!r} is not allowed; sweep over a list of values, or a Range") from None
    return table


def plain_number(value: Any) -> Any:
    """A NumPy scalar as Python's own; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def _check(name: str, values: Sequence[Any] | Range, design: Design) -> None:
    if isinstance(values, Range):
        for end in (values.low, values.high):
            if isinstance(end, bool) or not isinstance(end, int | float):
                raise UserError(f"{name}: a range with the end {end!r} is not allowed; use two numbers")
        if design.kind in ("grid", "zip"):
            raise UserError(f"{name}: a range is not allowed in a design of kind {design.kind!r}; list the values")
        finite = math.isfinite(values.low) and math.isfinite(values.high)
        if not finite or not values.low < values.high or (values.log and values.low <= 0):
            least = "0 < low < high" if values.log else "low < high"
            raise UserError(f"{name}: a range from {values.low} to {values.high} is not allowed; use {least}")
    elif len(values) == 0 or (design.kind != "zip" and len(set(values)) != len(values)):
        raise UserError(f"{name}: {list(values)!r} is not allowed; sweep over at least one value, each once")


def _drawn(over: Axes, design: Design, whole: Collection[str]) -> list[dict[str, Any]]:
    if design.kind == "sobol":
        from scipy.stats import qmc

        drawer = qmc.Sobol(len(over), scramble=True, rng=np.random.default_rng(design.seed))
        # Drawing a power of two and cutting it keeps the balance that scipy would warn about losing.
        shares = drawer.random_base2(math.ceil(math.log2(design.samples)))[: design.samples]
    else:
        shares = np.random.default_rng(design.seed).random((design.samples, len(over)))

    def value(name: str, values: Sequence[Any] | Range, share: float) -> Any:
        if isinstance(values, Range):
            x = values.at(share)
            return round(x) if name in whole else x
        return values[min(int(share * len(values)), len(values) - 1)]

    return [
        {name: value(name, values, float(s)) for (name, values), s in zip(over.items(), row, strict=True)}
        for row in shares
    ]


def to_plain(over: Axes, finite: bool = True) -> dict[str, Any]:
    """Axes as JSON holds them; if `finite`, infinite values become words, as strict JSON wants it."""
    return {
        name: {"low": v.low, "high": v.high, "log": v.log}
        if isinstance(v, Range)
        else [plain(x) if finite else x for x in v]
        for name, v in over.items()
    }


def from_plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """The axes that :func:`to_plain` wrote."""
    return {name: Range(**v) if isinstance(v, dict) else v for name, v in table.items()}


def plain(value: Any) -> Any:
    """A setting's value as JSON holds it."""
    value = plain_number(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
