"""The race plane with the spectrum strip: the two clocks of each run, and its position."""

import math

import numpy as np
import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from robustsim.analysis import spectrum
from robustsim.analysis.tables import Tables
from robustsim.report import words
from robustsim.report.style import COLOURS, IN_TIME, INK, MARKERS, QUIET, TOO_LATE, new_figure, outer_legend, quiet_axes

MOST = 20  # configurations that are distinguished
SMALL = {"fontsize": 7, "labelspacing": 0.25}
KEYED = 8  # configurations that are named in the key at its usual size


def groups(results: Tables) -> list[tuple[str, pl.DataFrame]]:
    """The configurations of some results, each with its label; more than MOST of them are one group."""
    count = results.runs.select(results.swept).n_unique() if results.swept else 1
    return words.configurations(results) if count <= MOST else [(f"{count:,} configurations", results.runs)]


def draw(results: Tables) -> Figure:
    """The figure; the strip distinguishes at most 20 configurations, colour 8."""
    shown = groups(results)
    strip = 0.62 + 0.34 * len(shown)
    figure = new_figure(7.2, 4.6 + strip)
    plane, axis = figure.subplots(2, 1, gridspec_kw={"height_ratios": [4.4, strip]})
    budget = int(results.settings.get("deployment.budget") or results.traces["step"].to_numpy().max())
    _plane(plane, shown, budget, results)
    _strip(axis, shown)
    return figure


def _plane(ax: Axes, shown: list[tuple[str, pl.DataFrame]], budget: int, results: Tables) -> None:
    ends = (0.7, budget * 3.2)
    ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    quiet_axes(ax)
    ax.fill_between(ends, ends, ends[1], color=IN_TIME, zorder=0, linewidth=0)
    ax.fill_between(ends, ends[0], ends, color=TOO_LATE, zorder=0, linewidth=0)
    ax.plot(ends, ends, color=QUIET, linestyle="--", linewidth=1)
    for line in (ax.axvline, ax.axhline):
        line(budget, color=QUIET, linewidth=0.8, linestyle=":")
    noise = np.random.default_rng(0)
    for i, (_, runs) in enumerate(shown):
        _points(ax, runs, COLOURS[i % len(COLOURS)], marker_of(i), budget * 1.9, noise)
    ax.set_xlabel("gradient steps to correct, T_c")
    ax.set_ylabel("gradient steps to catastrophe, unopposed, T_k")
    ax.set_title(f"{words.title(results)}: the race of two clocks")
    ax.text(budget * 0.93, 0.78, f"budget {budget:,}", rotation=90, fontsize=7.5, color=QUIET, ha="right", va="bottom")
    outer_legend(ax, "in the race", handles=_key(shown), **({} if len(shown) <= KEYED else SMALL))


def _points(ax: Axes, runs: pl.DataFrame, colour: str, marker: str, edge: float, noise: np.random.Generator) -> None:
    """The runs of one configuration: hollow if the catastrophe came first, arrows at `edge` for censored clocks."""
    first = (runs["first_event"] == "catastrophe").to_numpy()
    x, x_open = _clock(runs, "steps_to_correct", edge)
    y, y_open = _clock(runs, "steps_to_catastrophe", edge)
    jitter = 10 ** noise.normal(0, 0.02, (2, len(runs)))
    arrows = (marker, ">", "^", (3, 0, -45))  # by which clocks are censored: none, T_c, T_k, both
    for late in (False, True):
        for number, arrow in enumerate(arrows):
            chosen = (x_open + 2 * y_open == number) & (first == late)
            ax.scatter(
                (x * jitter[0])[chosen],
                (y * jitter[1])[chosen],
                marker=arrow,  # pyright: ignore[reportArgumentType]
                s=26,
                facecolors="none" if late else colour,
                edgecolors=colour,
                linewidths=1,
                alpha=0.9,
                zorder=3,
            )


def _key(shown: list[tuple[str, pl.DataFrame]]) -> list[Artist]:
    """What the markers and the two sides mean, and the configurations."""
    meanings = (
        ("o", "removed first", QUIET),
        ("o", "catastrophe first", "none"),
        (">", "T_c censored", QUIET),
        ("^", "T_k censored", QUIET),
    )
    handles: list[Artist] = [
        Line2D([], [], marker=marker, color=QUIET, linestyle="", label=label, markerfacecolor=fill)
        for marker, label, fill in meanings
    ]
    sides = {
        "above the line: correction\nis faster than catastrophe": IN_TIME,
        "below: catastrophe is faster": TOO_LATE,
    }
    handles += [Patch(facecolor=colour, edgecolor=QUIET, linewidth=0.4, label=said) for said, colour in sides.items()]
    if len(shown) > 1:
        handles += [
            Line2D([], [], marker=marker_of(i), color=COLOURS[i % len(COLOURS)], linestyle="", label=label)
            for i, (label, _) in enumerate(shown)
        ]
    return handles


def marker_of(i: int) -> str:
    """The marker of the i-th configuration: another one when its colour comes again."""
    return MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]


def _clock(runs: pl.DataFrame, column: str, edge: float) -> tuple[np.ndarray, np.ndarray]:
    """Times with the censored ones at the edge, and which those are. A time of 0 is drawn at 1."""
    censored = runs[column].is_null().to_numpy()
    return np.where(censored, edge, np.maximum(runs[column].fill_null(1).to_numpy(), 1)), censored


def _strip(ax: Axes, shown: list[tuple[str, pl.DataFrame]]) -> None:
    ends = [x for _, runs in shown for end in ("lower", "upper") for x in runs[f"position_{end}"].drop_nulls()]
    left = min(-1.0, math.floor(min([*ends, 0.0]) - 0.3))
    right = max(1.0, math.ceil(max([*ends, 0.0]) + 0.3))
    ax.axvspan(left, 0, color=IN_TIME, linewidth=0)
    ax.axvspan(0, right, color=TOO_LATE, linewidth=0)
    quiet_axes(ax)
    ax.spines["left"].set_visible(False)
    ax.axvline(0, color=QUIET, linestyle="--", linewidth=1)
    noise = np.random.default_rng(1)
    for row, (_, runs) in enumerate(shown):
        _strip_row(ax, row, runs, (left, right), noise)
    ax.set(xlim=(left, right), ylim=(len(shown) - 0.4, -0.6))
    ax.set_yticks(range(len(shown)), [label for label, _ in shown], fontsize=8, color=INK)
    ax.set_xlabel("position, log10(T_c / T_k): left of 0: correction is faster")


def _strip_row(ax: Axes, row: int, runs: pl.DataFrame, ends: tuple[float, float], noise: np.random.Generator) -> None:
    colour = COLOURS[row % len(COLOURS)]
    known, (lower, upper) = runs["position"].drop_nulls().to_numpy(), spectrum.bounds(runs)
    ax.scatter(known, row + noise.uniform(-0.16, 0.16, len(known)), s=9, color=colour, alpha=0.55, linewidths=0)
    for open_, bound, marker in ((upper == np.inf, lower, ">"), (lower == -np.inf, upper, "<")):
        x = bound[open_ & np.isfinite(bound)]
        y = row + noise.uniform(-0.16, 0.16, len(x))
        ax.scatter(x, y, s=14, marker=marker, color=colour, alpha=0.7, linewidths=0)
    place = spectrum.position(runs)
    low = ends[0] if place["low"] is None else place["low"]
    high = ends[1] if place["high"] is None else place["high"]
    if place["low"] is not None or place["high"] is not None:
        ax.plot([low, high], [row, row], color=INK, linewidth=1.6, solid_capstyle="butt", zorder=4)
        for end, open_, marker in ((low, place["low"] is None, "<"), (high, place["high"] is None, ">")):
            ax.plot([end], [row], marker=marker if open_ else "|", color=INK, markersize=6, clip_on=False, zorder=4)
    if place["median"] is not None:
        ax.plot([place["median"]], [row], marker="D", color="white", markeredgecolor=INK, markersize=6, zorder=5)
    removed, lost, neither = (int((runs["first_event"] == e).sum()) for e in ("removed", "catastrophe", "censored"))
    ax.text(
        1.01,
        row,
        f"{removed} removed / {lost} catastrophe / {neither} neither\n"
        f"P(catastrophe first) {words.share(spectrum.catastrophe_first(runs))}",
        transform=ax.get_yaxis_transform(),
        fontsize=7.5,
        va="center",
    )
