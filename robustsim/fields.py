"""Declaring settings: every number carries its bounds and its meaning, and is checked once, before tracing."""

import dataclasses
import math
from typing import Any, NamedTuple

from robustsim.errors import UserError, nearest
from robustsim.pytree import static


class Between(NamedTuple):
    """The range of a scenario's parameter: `share: Annotated[float, rs.Between(0, 1)] = 0.5`."""

    low: float
    high: float


def number(default: float, low: float = -math.inf, high: float = math.inf, *, doc: str, above: bool = False) -> Any:
    """A real number in [low, high] (in (low, high] if `above`); it can vary inside one compiled program."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "above": above, "doc": doc})


def count(default: int, low: int = 0, high: int = 2**31 - 1, *, doc: str) -> Any:
    """A whole number in [low, high]; it can vary inside one compiled program."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "whole": True, "doc": doc})


def flag(default: bool, *, doc: str) -> Any:
    """True or false; it can vary inside one compiled program."""
    return dataclasses.field(default=default, metadata={"flag": True, "doc": doc})


def size(default: int, low: int = 1, high: int = 2**20, *, doc: str) -> Any:
    """A whole number that changes shapes: runs that differ in it are compiled apart."""
    return static(default=default, metadata={"low": low, "high": high, "whole": True, "doc": doc})


def choice(default: Any, options: tuple[Any, ...], *, doc: str) -> Any:
    """One of `options`: runs that differ in it are compiled apart."""
    return static(default=default, metadata={"options": options, "doc": doc})


def word(default: str, *, doc: str) -> Any:
    """A name that its owner checks (an optax optimizer, say); runs that differ in it are compiled apart."""
    return static(default=default, metadata={"word": True, "doc": doc})


def checked(name: str, value: Any, field: "dataclasses.Field[Any]") -> Any:
    """`value` as the type that `field` wants.

    Raises:
      UserError: the value is not of the kind, or not in the range, that the field declares.
    """
    meta = field.metadata
    if meta.get("flag"):
        return _boolean(name, value)
    if "options" in meta:
        return _option(name, value, meta["options"])
    if meta.get("word"):
        if not isinstance(value, str) or not value:
            raise UserError(f"{name}: {value!r} is not a name")
        return value
    if "doc" not in meta:
        return value
    return _number(name, value, meta)


def _boolean(name: str, value: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1)):
        return bool(value)
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise UserError(f"{name}: {value!r} is not allowed; use true or false")


def _option(name: str, value: Any, options: tuple[Any, ...]) -> Any:
    for option in options:
        if str(value).lower() == str(option).lower():
            return option
    hint = nearest(str(value), map(str, options)) if isinstance(value, str) else ""
    raise UserError(f"{name}: {value!r} is not allowed; use one of {', '.join(map(str, options))} {hint}".rstrip())


def _number(name: str, value: Any, meta: Any) -> float | int:
    low, high, whole = meta["low"], meta["high"], meta.get("whole", False)
    edge = "(" if meta.get("above") else "["
    allowed = f"a {'whole ' if whole else ''}number in {edge}{low:g}, {high:g}]"
    try:
        result = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{name}: {value!r} is not allowed; use {allowed}") from None
    inside = low < result <= high if meta.get("above") else low <= result <= high
    if not inside or (whole and result != int(result)):
        raise UserError(f"{name}: {value!r} is not allowed; use {allowed}")
    return int(result) if whole else result


def check_all(prefix: str, settings: Any) -> Any:
    """A copy of a settings dataclass in which every field has passed :func:`checked`."""
    values = {f.name: checked(f"{prefix}.{f.name}", getattr(settings, f.name), f) for f in dataclasses.fields(settings)}
    return dataclasses.replace(settings, **values)
