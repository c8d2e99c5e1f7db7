"""Progress on stderr: a bar in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from robustsim.sweep.execution import Narrate, quiet

if TYPE_CHECKING:
    from robustsim.sweep.progress import Status

PLAIN_EVERY = 10.0  # seconds between two plain lines


@contextmanager
def progress(silent: bool = False) -> Iterator[Narrate]:
    """A function that reports progress while some work lasts."""
    if silent:
        yield quiet
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(bar_width=20), TimeElapsedColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task("starting", total=None)
            yield lambda state: bars.update(
                task, completed=state.done + state.flying, total=state.runs, description=_line(state)
            )
    else:
        yield _plain()


def _plain() -> Narrate:
    last = time.monotonic()

    def narrate(state: "Status") -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_EVERY:
            last = time.monotonic()
            print(_line(state), file=sys.stderr, flush=True)

    return narrate


def _line(state: "Status") -> str:
    """A status in one line."""
    from robustsim.sweep.progress import duration, ends

    doing = "training" if state.training else f"{state.done + state.flying} of {state.runs} runs ({ends(state)})"
    left = "" if state.seconds_left is None else f", {duration(state.seconds_left)} left"
    failed = f", {len(state.failed)} failed" if state.failed else ""
    return f"{doing}{failed}, {state.rate:,.0f} gradient steps/s, compiled {state.compile_seconds:.0f} s{left}"
