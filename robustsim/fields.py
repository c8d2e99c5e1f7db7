"""Declaring settings: every value carries its type, its bounds and its meaning. One parser types them all.

The settings of a section and the parameters of a scenario (`env.*`) go through :func:`typed`, once, before tracing.
"""

import contextlib
import dataclasses
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from robustsim.errors import UserError, nearest
from robustsim.pytree import static

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
NOTHING = ("", "none", "same")  # spellings of "not set", where a setting may be left open


class Between(NamedTuple):
    """The range of a scenario's parameter: `share: Annotated[float, rs.Between(0, 1)] = 0.5`."""

    low: float
    high: float


def number(
    default: float | None,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    doc: str,
    above: bool = False,
    perfect: float | None = None,
) -> Any:
    """A real number in [low, high] (in (low, high] if `above`); it can vary inside one compiled program.

    Args:
      default: None makes it optional: not set is then a choice of its own, which compiles apart.
      perfect: its value in a perfect overseer.
    """
    meta = {"type": float, "low": low, "high": high, "above": above, "optional": default is None}
    return dataclasses.field(default=default, metadata=meta | {"doc": doc, "perfect": perfect})


def count(default: int, low: int = 0, high: int = 2**31 - 1, *, doc: str, perfect: int | None = None) -> Any:
    """A whole number in [low, high]; it can vary inside one compiled program."""
    meta = {"type": int, "low": low, "high": high, "doc": doc, "perfect": perfect}
    return dataclasses.field(default=default, metadata=meta)


def flag(default: bool, *, doc: str, perfect: bool | None = None) -> Any:
    """True or false; it can vary inside one compiled program."""
    return dataclasses.field(default=default, metadata={"type": bool, "doc": doc, "perfect": perfect})


def size(default: int, low: int = 1, high: int = 2**20, *, doc: str) -> Any:
    """A whole number that changes shapes: runs that differ in it are compiled apart."""
    return static(default=default, metadata={"type": int, "low": low, "high": high, "doc": doc})


def choice(default: Any, options: tuple[Any, ...], *, doc: str) -> Any:
    """One of `options`: runs that differ in it are compiled apart."""
    return static(default=default, metadata={"options": options, "doc": doc})


def word(default: str, *, doc: str) -> Any:
    """A name, or an object, that its owner checks (an optax optimizer, say); runs that differ in it compile apart."""
    return static(default=default, metadata={"word": True, "doc": doc})


def declared(settings: Any) -> list["dataclasses.Field[Any]"]:
    """The fields of a settings dataclass that a user may set."""
    return [f for f in dataclasses.fields(settings) if "doc" in f.metadata]


def typed(name: str, value: Any, meta: Mapping[str, Any]) -> Any:
    """`value` as the type that a declaration wants.

    Args:
      name: the dotted name, for the message.
      meta: `type` (bool, int, float or str) with `low`, `high`, `above`, `optional`; or `options`; or `word`.

    Raises:
      UserError: the value is not of the type, or not in the range, that is declared.
    """
    if meta.get("optional") and (value is None or (isinstance(value, str) and value.lower() in NOTHING)):
        return None
    if "options" in meta:
        return _option(name, value, meta["options"])
    if meta.get("word"):
        parts = value if isinstance(value, tuple) else (value,)
        if not (isinstance(value, str) and value) and not (parts and all(callable(part) for part in parts)):
            raise UserError(f"{name}: {value!r} is not a name")
        return value
    if meta["type"] is bool:
        return _boolean(name, value)
    if meta["type"] is str:
        if not isinstance(value, str):
            raise UserError(f"{name}: {value!r} is not allowed; use a word")
        return value
    return _number(name, value, meta)


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1)):
        return bool(value)
    if isinstance(value, str) and value.lower() in WORDS:
        return WORDS[value.lower()]
    raise UserError(f"{name}: {value!r} is not allowed; use true or false")


def _option(name: str, value: Any, options: tuple[Any, ...]) -> Any:
    for option in options:
        if str(value).lower() == str(option).lower():
            return option
    hint = nearest(str(value), map(str, options)) if isinstance(value, str) else ""
    raise UserError(f"{name}: {value!r} is not allowed; use one of {', '.join(map(str, options))} {hint}".rstrip())


def _number(name: str, value: Any, meta: Mapping[str, Any]) -> float | int:
    low, high = meta.get("low", -math.inf), meta.get("high", math.inf)
    is_whole, above, finite = meta["type"] is int, meta.get("above", False), meta.get("finite", False)
    try:
        result = float(value)
        with contextlib.suppress(TypeError):
            result = operator.index(value) if is_whole else result  # float would round a large one
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    inside = low < result <= high if above else low <= result <= high
    wrong = not math.isfinite(result) or result != int(result) if is_whole else finite and not math.isfinite(result)
    if isinstance(value, bool) or not inside or wrong:
        allowed = f"a {'whole' if is_whole else 'finite' if finite else 'real'} number"
        if (low, high) != (-math.inf, math.inf):
            allowed += f" in {'(' if above else '['}{low:g}, {high:g}]"
        raise UserError(f"{name}: {value!r} is not allowed; use {allowed}")
    return int(result) if is_whole else result


def check_all(settings: Any, name_of: Callable[[str], str]) -> Any:
    """A copy of a settings dataclass in which every declared field has passed :func:`typed`."""
    values = {f.name: typed(name_of(f.name), getattr(settings, f.name), f.metadata) for f in declared(settings)}
    return dataclasses.replace(settings, **values)


def perfect(settings: type) -> dict[str, Any]:
    """What the declarations say of a perfect overseer: field -> value."""
    known = {f.name: f.metadata.get("perfect") for f in declared(settings)}
    return {name: value for name, value in known.items() if value is not None}
