"""The style of every figure: colours that differ for colour-blind readers and in greyscale, and quiet axes."""

from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

# Okabe and Ito (2008); the order alternates dark and light, so that neighbours differ in greyscale too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#6B6B6B", "#B8A800")
DASHES = ("-", "--", ":")  # after all colours were used once
# Twenty shapes: matplotlib's own, then polygons and stars as (corners, kind, turn).
MARKERS: tuple[Any, ...] = (
    "o",
    "s",
    "D",
    "v",
    "P",
    "X",
    "h",
    "*",
    "p",
    "d",
    "8",
    "<",
    (4, 1, 0),
    (6, 1, 0),
    (3, 1, 0),
    (4, 1, 45),
)
MARKERS += ((3, 1, 60), (8, 1, 0), (5, 0, 36), (10, 1, 0))
INK, QUIET, GRID = "#222222", "#6b7280", "#e5e7eb"

# The race has one colour code in all figures: blue where the misbehaviour is removed first, orange where the
# catastrophe is. Shares and margins run from a light blue to a dark orange, so that greyscale keeps their order.
WON, LOST, NEITHER = COLOURS[0], COLOURS[3], COLOURS[6]
IN_TIME, TOO_LATE = "#e6f1f8", "#fbeee6"  # behind points
RACE = LinearSegmentedColormap.from_list("race", ["#d5eaf5", "#f4c79f", "#8f2f00"])

SETTINGS: Any = {
    "font.size": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "svg.hashsalt": "robustsim",  # the same figure twice is the same file
    "svg.fonttype": "none",
    "figure.dpi": 110,
}


def style() -> Any:
    """The settings of a figure: matplotlib's own and then ours, whatever stands in the user's matplotlibrc."""
    kept = ("backend", "toolbar", "interactive")  # which windows there are is the user's affair
    return {name: x for name, x in mpl.rcParamsDefault.items() if not name.startswith(kept)} | SETTINGS


class Picture(Figure):
    """A figure that a notebook shows, although no window knows of it."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, without global state."""
    return Picture(figsize=(width, height), layout="constrained")


def quiet_axes(ax: Axes) -> None:
    """Keeps only the axes that carry numbers."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)


def outer_legend(ax: Axes, title: str, **kwargs: Any) -> None:
    """A legend to the right of the axes."""
    box = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "frameon": False, "fontsize": 8}
    ax.legend(**box | kwargs, title=title, alignment="left")


def note(ax: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], **kwargs: Any) -> None:
    """A quiet remark, moved by `offset` in points from where it belongs."""
    ax.annotate(text, at, xytext=offset, textcoords="offset points", fontsize=7.5, color=QUIET, **kwargs)


def literal(figure: Figure) -> None:
    """Shows the texts of a figure as they are: a dollar in a name is a dollar. Numbers along axes stay formulas."""
    for ax in figure.axes:
        fixed = [axis for axis in (ax.xaxis, ax.yaxis) if isinstance(axis.get_major_formatter(), FixedFormatter)]
        ticks = [text for axis in fixed for text in axis.get_ticklabels()]
        legend = ax.get_legend()
        keyed = [] if legend is None else [legend.get_title(), *legend.get_texts()]
        titles = [ax.title, *(child for child in ax.get_children() if isinstance(child, Text))]
        for text in [*titles, ax.xaxis.label, ax.yaxis.label, *ax.texts, *keyed, *ticks]:
            text.set_parse_math(False)
    for text in figure.texts:  # the title above all axes among them
        text.set_parse_math(False)
