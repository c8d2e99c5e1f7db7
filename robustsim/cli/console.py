"""Talking to people: progress on stderr, with rich in a terminal and plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from robustsim.errors import UserError
from robustsim.sim.cohort import Narrate, quiet

PLAIN_EVERY = 10.0  # seconds between two plain lines


def parse_overrides(overrides: tuple[str, ...]) -> dict[str, str]:
    """`a.b=v` pairs as a dictionary.

    Raises:
      UserError: a word without '=', or a name given twice.
    """
    table: dict[str, str] = {}
    for word in overrides:
        name, equals, value = word.partition("=")
        if not equals or not name or not value:
            raise UserError(f"--set {word!r}: use a dotted name and a value, as in --set overseer.coverage=0.5")
        if name in table:
            raise UserError(f"--set {name}: is given twice, as {table[name]!r} and {value!r}")
        table[name] = value
    return table


def parse_seeds(word: str) -> int:
    """The number of seeds; raises UserError if it is not a whole number of at least 1."""
    if not word.isdecimal() or int(word) < 1:
        raise UserError(f"seeds: {word!r} is not allowed; use a whole number of at least 1")
    return int(word)


@contextmanager
def progress(silent: bool = False) -> Iterator[Narrate]:
    """A narrator for the length of some work."""
    if silent:
        yield quiet
    elif sys.stderr.isatty():
        yield from _rich()
    else:
        yield _plain()


def _plain() -> Narrate:
    began = time.monotonic()
    last = [began]

    def narrate(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - last[0] >= PLAIN_EVERY:
            last[0] = now
            print(f"{what}: {done:,} of {total:,} gradient steps, {now - began:.0f} s", file=sys.stderr, flush=True)

    return narrate


def _rich() -> Iterator[Narrate]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("gradient steps"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, object] = {}

        def narrate(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)  # pyright: ignore[reportArgumentType]

        yield narrate
