"""Drawing a figure by its name: a figure is a file `figure_NAME.py` beside this one with a function `draw(results)`."""

import importlib
import io
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from robustsim import report
from robustsim.analysis.tables import Tables
from robustsim.errors import UserError, nearest
from robustsim.report import place
from robustsim.report.style import literal, style

PREFIX = "figure_"
FORMATS = ("svg", "png", "pdf")


def names() -> list[str]:
    """The figures that can be drawn."""
    modules = (module.name for module in pkgutil.iter_modules(report.__path__))
    return sorted(name[len(PREFIX) :].replace("_", "-") for name in modules if name.startswith(PREFIX))


def check_ending(out: str | Path | None) -> None:
    """Raises UserError where a file would not be one of FORMATS."""
    if out is not None and Path(out).suffix[1:] not in FORMATS:
        raise UserError(f"out: {str(out)!r} has an unknown ending; use one of {', '.join('.' + f for f in FORMATS)}")


def draw(results: Tables, name: str, out: str | Path | None = None) -> Figure:
    """The figure `name` of some results; with `out`, also written there.

    Raises:
      UserError: the figure or format is unknown, the file cannot be written, or no run has finished.
    """
    if name not in names():
        raise UserError(f"figure: {name!r} is unknown; {nearest(name, names())}")
    check_ending(out)
    if results.runs.is_empty():
        failed = len(results.failed)
        raise UserError(
            f"figure: {f'all {failed} runs failed' if failed else 'no run of these results has finished yet'}"
        )
    module = importlib.import_module(f"robustsim.report.{PREFIX}{name.replace('-', '_')}")
    function: Callable[[Tables], Figure] = module.draw
    with mpl.rc_context(style()):
        figure = function(results)
        literal(figure)
        if out is not None:
            save(figure, Path(out))
    return figure


def save(figure: Figure, out: Path) -> None:
    """Writes a figure; the same figure is the same bytes.

    Raises:
      UserError: the file cannot be written.
    """
    kind, buffer = out.suffix[1:], io.BytesIO()
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with mpl.rc_context(style()):
        figure.savefig(buffer, format=kind, metadata=metadata, dpi=160)
    place.write(out, buffer.getvalue())
