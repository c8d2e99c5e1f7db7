"""Progress: a bar in a terminal, a line in a notebook, plain lines on stderr elsewhere."""

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
    elif in_notebook():
        with _in_cell() as narrate:
            yield narrate
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


@contextmanager
def for_people(narrate: Narrate | None) -> Iterator[Narrate]:
    """What the user chose to hear; None: progress where somebody is there to see it, in a notebook or a terminal."""
    if narrate is not None:
        yield narrate
    else:
        with progress(silent=not (in_notebook() or sys.stderr.isatty())) as shown:
            yield shown


def in_notebook() -> bool:
    """Whether this runs in a cell of a notebook."""
    shell = sys.modules.get("IPython")
    return shell is not None and "ipykernel" in sys.modules and shell.get_ipython() is not None


@contextmanager
def _in_cell() -> Iterator[Narrate]:
    """One line of the cell's output, which changes, and is gone at the end."""
    from IPython.display import display  # pyright: ignore[reportMissingImports]

    def shown(text: str) -> dict[str, str]:
        return {"text/plain": text}

    line = display(shown("starting"), raw=True, display_id=True)
    yield lambda state: line.update(shown(_line(state)), raw=True)
    line.update(shown(""), raw=True)


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
    rate = f", {state.rate:,.0f} gradient steps/s" if state.rate else ""  # nothing is known of it at first
    compiled = f", compiled {state.compile_seconds:.0f} s" if state.compile_seconds >= 1 else ""
    return f"{doing}{failed}{rate}{compiled}{left}"
