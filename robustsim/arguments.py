"""Checking the arguments of functions. Needs no JAX."""

import operator
from typing import Any

from robustsim.errors import UserError


def whole(name: str, value: Any, low: int = 0, high: int = 2**31 - 1) -> int:
    """A whole number of an argument, NumPy's ones included.

    Raises:
      UserError: it is of another kind, or not in [low, high].
    """
    try:
        number_ = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number_ = None
    if number_ is None or not low <= number_ <= high:
        raise UserError(f"{name}: {value!r} is not allowed; use a whole number from {low} to {high:,}")
    return number_
