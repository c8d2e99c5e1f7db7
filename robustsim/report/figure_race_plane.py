"""The race plane with the spectrum strip: the two clocks of each run, and its margin."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustsim.analysis import measures, spectrum
from robustsim.analysis.tables import Tables
from robustsim.report import words
from robustsim.report.figure_spectrum import EVENTS, backdrop
from robustsim.report.style import INK, LOST, MARKERS, NEITHER, QUIET, RACE, WON, new_figure, outer_legend, quiet_axes

Marker = Any  # as matplotlib takes it
MOST = 20  # configurations that are distinguished
SMALL = {"fontsize": 7, "labelspacing": 0.25}
KEYED = 8  # configurations that are named in the key at its usual size


def groups(results: Tables) -> list[tuple[str, pl.DataFrame]]:
    """The configurations of some results, each with its label; more than MOST of them are one group."""
    count = results.runs.select(results.swept).n_unique() if results.swept else 1
    return words.configurations(results) if count <= MOST else [(f"{count:,} configurations", results.runs)]


def draw(results: Tables) -> Figure:
    """The figure, of at most 20 configurations, which differ by shape. Colours are the race's."""
    shown = groups(results)
    strip = 0.62 + 0.56 * len(shown)
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
    ax.plot(ends, ends, color=QUIET, linestyle="--", linewidth=1)
    for line in (ax.axvline, ax.axhline):
        line(budget, color=QUIET, linewidth=0.8, linestyle=":")
    noise = np.random.default_rng(0)
    for i, (_, runs) in enumerate(shown):
        _points(ax, runs, MARKERS[i % len(MARKERS)], budget * 1.9, noise)
    ax.set_xlabel("gradient steps to correct, T_c")
    ax.set_ylabel("gradient steps to catastrophe, unopposed, T_k")
    ax.set_title(f"{words.title(results)}: the race of two clocks")
    ax.text(budget * 0.93, 0.78, f"budget {budget:,}", rotation=90, fontsize=7.5, color=QUIET, ha="right", va="bottom")
    outer_legend(ax, "in the race", handles=_key(shown), **({} if len(shown) <= KEYED else SMALL))


def _points(ax: Axes, runs: pl.DataFrame, marker: Marker, edge: float, noise: np.random.Generator) -> None:
    """The runs of one configuration: hollow if the catastrophe came first, arrows at `edge` for censored clocks."""
    events = runs["first_event"].to_numpy()
    x, x_open = _clock(runs, "steps_to_correct", edge)
    y, y_open = _clock(runs, "steps_to_catastrophe", edge)
    jitter = 10 ** noise.normal(0, 0.02, (2, len(runs)))
    arrows = (marker, ">", "^", (3, 0, -45))  # by which clocks are censored: none, T_c, T_k, both
    for event, colour in EVENTS.items():
        for number, arrow in enumerate(arrows):
            chosen = (x_open + 2 * y_open == number) & (events == event)
            ax.scatter(
                (x * jitter[0])[chosen],
                (y * jitter[1])[chosen],
                marker=arrow,  # pyright: ignore[reportArgumentType]
                s=26,
                facecolors="none" if event == "catastrophe" else colour,
                edgecolors=colour,
                linewidths=1,
                alpha=0.9,
                zorder=3,
            )


def _key(shown: list[tuple[str, pl.DataFrame]]) -> list[Artist]:
    """What colours, markers and the dashed line mean, and the configurations."""
    meanings = (
        ("o", "removed first", WON, WON),
        ("o", "catastrophe first", LOST, "none"),
        ("o", "neither", NEITHER, NEITHER),
        (">", "T_c censored", QUIET, QUIET),
        ("^", "T_k censored", QUIET, QUIET),
    )
    handles: list[Artist] = [
        Line2D([], [], marker=marker, color=colour, linestyle="", label=label, markerfacecolor=fill)
        for marker, label, colour, fill in meanings
    ]
    handles.append(Line2D([], [], color=QUIET, linestyle="--", linewidth=1, label="T_c = T_k"))
    if len(shown) > 1:
        handles += [
            Line2D([], [], marker=MARKERS[i % len(MARKERS)], color=QUIET, linestyle="", label=label)
            for i, (label, _) in enumerate(shown)
        ]
    return handles


def _clock(runs: pl.DataFrame, column: str, edge: float) -> tuple[np.ndarray, np.ndarray]:
    """Times with the censored ones at the edge, and which those are. A time of 0 is drawn at 1."""
    censored = runs[column].is_null().to_numpy()
    return np.where(censored, edge, np.maximum(runs[column].fill_null(1).to_numpy(), 1)), censored


def _strip(ax: Axes, shown: list[tuple[str, pl.DataFrame]]) -> None:
    ends = backdrop(ax, [runs["margin_lower"] for _, runs in shown])
    ax.spines["left"].set_visible(False)
    noise = np.random.default_rng(1)
    for row, (_, runs) in enumerate(shown):
        _strip_row(ax, row, runs, MARKERS[row % len(MARKERS)], ends, noise)
    ax.set(ylim=(len(shown) - 0.4, -0.6))
    ax.set_yticks(range(len(shown)), [label for label, _ in shown], fontsize=8, color=INK)


def _strip_row(
    ax: Axes, row: int, runs: pl.DataFrame, marker: Marker, ends: tuple[float, float], noise: np.random.Generator
) -> None:
    lower, known = runs["margin_lower"].to_numpy(), runs["margin"].is_not_null().to_numpy()
    events, spread = runs["first_event"].to_numpy(), row + noise.uniform(-0.16, 0.16, len(runs))
    for event, colour in EVENTS.items():
        for chosen, shape in (((events == event) & known, marker), ((events == event) & ~known, ">")):
            ax.scatter(
                lower[chosen], spread[chosen], s=10, marker=shape, color=colour, alpha=0.6, linewidths=0, zorder=3
            )
    first, place = spectrum.catastrophe_first(runs), measures.bounded(runs, "margin")
    low = ends[0] if place["low"] is None else place["low"]
    high = ends[1] if place["high"] is None else place["high"]
    if place["low"] is not None or place["high"] is not None:
        ax.plot([low, high], [row, row], color=INK, linewidth=1.6, solid_capstyle="butt", zorder=4)
        for end, open_, shape in ((low, place["low"] is None, "<"), (high, place["high"] is None, ">")):
            ax.plot([end], [row], marker=shape if open_ else "|", color=INK, markersize=6, clip_on=False, zorder=4)
    if place["median"] is not None:
        colour = RACE(first["estimate"])
        ax.plot([place["median"]], [row], marker="D", color=colour, markeredgecolor=INK, markersize=6, zorder=5)
    removed, lost, neither = (int((events == event).sum()) for event in EVENTS)
    ax.text(
        1.01,
        row,
        f"{removed} removed / {lost} catastrophe / {neither} neither\n"
        f"P(catastrophe first) {words.share(first)}\n"
        f"position {words.interval(spectrum.position(runs))}\n"
        f"inertia {words.ratio(measures.inertia(runs))}",
        transform=ax.get_yaxis_transform(),
        fontsize=7.5,
        va="center",
    )
