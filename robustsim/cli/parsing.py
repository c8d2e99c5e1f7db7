"""Words of the command line as values: one line names the option and what it may be."""

import math
from typing import Any

from robustsim.errors import UserError
from robustsim.sweep.execution import Part

LARGEST = 2**63 - 1  # of a column of whole numbers


def parse_overrides(overrides: tuple[str, ...]) -> dict[str, str]:
    """`a.b=v` pairs as a dictionary.

    Raises:
      UserError: a word without '=', or a name given twice.
    """
    return _pairs("--set", overrides, "a dotted name and a value, as in --set overseer.coverage=0.5")


def parse_where(words: tuple[str, ...]) -> dict[str, str]:
    """`a.b=v` pairs that choose configurations.

    Raises:
      UserError: a word without '=', or a name given twice.
    """
    return _pairs("--where", words, "a swept name and a value, as in --where overseer.coverage=0.5")


def _pairs(option: str, words: tuple[str, ...], form: str) -> dict[str, str]:
    table: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name or not value:
            raise UserError(f"{option} {word!r}: use {form}")
        if name in table:
            raise UserError(f"{option} {name}: is given twice, as {table[name]!r} and {value!r}")
        table[name] = value
    return table


def parse_seeds(word: str) -> int:
    """The number of seeds; raises UserError if it is not a whole number of at least 1."""
    from robustsim.sweep.axes import MOST_SEEDS

    return parse_whole("seeds", word, 1, MOST_SEEDS)


def parse_whole(name: str, word: str, low: int, high: int = LARGEST) -> int:
    """A whole number; raises UserError if it is not one in [low, high]."""
    if not word.isdecimal() or len(word) > len(str(high)) or not low <= int(word) <= high:
        allowed = f"of at least {low}" if high == LARGEST else f"from {low} to {high:,}"
        raise UserError(f"{name}: {word[:40]!r} is not allowed; use a whole number {allowed}")
    return int(word)


def parse_axes(words: tuple[str, ...]) -> dict[str, Any]:
    """`a.b=LO:HI:N[:log]`, `a.b=LO:HI[:log]` (a range to draw from) or `a.b=v1,v2` as axes of a sweep.

    Raises:
      UserError: a word of another form, or a name given twice.
    """
    pairs = _pairs("--over", words, "NAME=LOW:HIGH:COUNT[:log] or NAME=V1,V2")
    return {name: _axis(name, values) for name, values in pairs.items()}


def _axis(name: str, values: str) -> Any:
    import numpy as np

    from robustsim.sweep.axes import MOST, Range

    if ":" not in values:
        return values.split(",")
    parts = values.split(":")
    log = parts[-1] == "log"
    numbers = parts[:-1] if log else parts
    try:
        low, high, *count = (float(x) for x in numbers)
    except ValueError:
        raise UserError(f"--over {name}={values}: use NAME=LOW:HIGH:COUNT[:log], all numbers") from None
    if not count:
        return Range(low, high, log)
    n = count[0]
    sound = math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or not log)
    if len(count) > 1 or not sound or not n.is_integer() or not 2 <= n <= MOST:
        allowed = f"finite LOW < HIGH (above 0 with log) and a whole COUNT from 2 to {MOST:,}"
        raise UserError(f"--over {name}={values}: use {allowed}")
    points = np.geomspace(low, high, int(n)) if log else np.linspace(low, high, int(n))
    return [float(x) for x in points]


def parse_part(word: str) -> Part:
    """`I/N` as (I, N); None for ""."""
    if not word:
        return None
    first, slash, count = word.partition("/")
    if not slash or not first.isdecimal() or not count.isdecimal() or len(word) > 20:
        raise UserError(f"--shard {word!r}: is not allowed; use I/N with 0 <= I < N")
    return int(first), int(count)
