"""The race plane with the spectrum strip: the two clocks of each run, and its position."""

import math

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustsim.analysis import spectrum
from robustsim.analysis.tables import Tables
from robustsim.report import words
from robustsim.report.style import COLOURS, IN_TIME, INK, MARKERS, QUIET, TOO_LATE, new_figure, quiet_axes

MOST = 20  # configurations that are distinguished
KEYED = 5  # configurations that the key has room for; the strip names all of them


def groups(results: Tables) -> list[tuple[str, pl.DataFrame]]:
    """The configurations of some results, each with its label; more than MOST of them are one group."""
    if not results.swept:
        return [(results.scenario, results.runs)]
    count = results.runs.select(results.swept).n_unique()
    if count > MOST:
        return [(f"{count:,} configurations", results.runs)]
    found = []
    for values, rows in results.runs.group_by(results.swept, maintain_order=True):
        found.append((words.point(dict(zip(results.swept, values, strict=True))), rows))
    return found


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
        _points(ax, runs, COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], budget * 1.9, noise)
    ax.set_xlabel("gradient steps to correct, T_c")
    ax.set_ylabel("gradient steps to catastrophe, unopposed, T_k")
    ax.set_title(f"{results.scenario}: the race of two clocks")
    for height, text, colour in (
        (0.42, "above the line:\ncorrection is faster\nthan catastrophe", "#2f6f53"),
        (0.2, "below the line:\ncatastrophe is\nfaster", "#a14a1c"),
    ):
        ax.text(1.02, height, text, transform=ax.transAxes, fontsize=8, color=colour)
    ax.text(budget * 0.93, 0.78, f"budget {budget:,}", rotation=90, fontsize=7.5, color=QUIET, ha="right", va="bottom")
    ax.legend(
        handles=_key(shown),
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        fontsize=8,
        title="in the race",
        alignment="left",
    )


def _points(ax: Axes, runs: pl.DataFrame, colour: str, marker: str, edge: float, noise: np.random.Generator) -> None:
    """The runs of one configuration: hollow if the catastrophe came first, arrows at `edge` for censored clocks."""
    first = (runs["first_event"] == "catastrophe").to_numpy()
    x, x_open = _clock(runs, "steps_to_correct", edge)
    y, y_open = _clock(runs, "steps_to_catastrophe", edge)
    jitter = 10 ** noise.normal(0, 0.02, (2, len(runs)))
    kinds = (
        (marker, ~x_open & ~y_open),
        (">", x_open & ~y_open),
        ("^", ~x_open & y_open),
        ((3, 0, -45), x_open & y_open),
    )
    for late in (False, True):
        for kind, mask in kinds:
            chosen = mask & (first == late)
            ax.scatter(
                (x * jitter[0])[chosen],
                (y * jitter[1])[chosen],
                marker=kind,  # pyright: ignore[reportArgumentType]
                s=26,
                facecolors="none" if late else colour,
                edgecolors=colour,
                linewidths=1,
                alpha=0.9,
                zorder=3,
            )


def _key(shown: list[tuple[str, pl.DataFrame]]) -> list[Line2D]:
    """What the markers mean; configurations are named as long as there is room."""
    handles = [
        Line2D([], [], marker="o", color=QUIET, linestyle="", label="removed first"),
        Line2D([], [], marker="o", color=QUIET, markerfacecolor="none", linestyle="", label="catastrophe first"),
        Line2D([], [], marker=">", color=QUIET, linestyle="", label="T_c censored"),
        Line2D([], [], marker="^", color=QUIET, linestyle="", label="T_k censored"),
    ]
    if 1 < len(shown) <= KEYED:
        handles += [
            Line2D([], [], marker=MARKERS[i % len(MARKERS)], color=COLOURS[i], linestyle="", label=label)
            for i, (label, _) in enumerate(shown)
        ]
    return handles


def _clock(runs: pl.DataFrame, column: str, edge: float) -> tuple[np.ndarray, np.ndarray]:
    """Times with the censored ones at the edge, and which those are. A time of 0 is drawn at 1."""
    censored = runs[column].is_null().to_numpy()
    return np.where(censored, edge, np.maximum(runs[column].fill_null(1).to_numpy(), 1)), censored


def _strip(ax: Axes, shown: list[tuple[str, pl.DataFrame]]) -> None:
    lows = [x for _, runs in shown for x in runs["position_lower"].drop_nulls()]
    highs = [x for _, runs in shown for x in runs["position_upper"].drop_nulls()]
    left = min(-1.0, math.floor(min([*lows, *highs, 0.0]) - 0.3))
    right = max(1.0, math.ceil(max([*lows, *highs, 0.0]) + 0.3))
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
    known = runs["position"].drop_nulls().to_numpy()
    ax.scatter(known, row + noise.uniform(-0.16, 0.16, len(known)), s=9, color=colour, alpha=0.55, linewidths=0)
    open_right = runs.filter(pl.col("position_upper").is_null())["position_lower"].drop_nulls().to_numpy()
    open_left = runs.filter(pl.col("position_lower").is_null())["position_upper"].drop_nulls().to_numpy()
    for values, marker in ((open_right, ">"), (open_left, "<")):
        ax.scatter(
            values,
            row + noise.uniform(-0.16, 0.16, len(values)),
            s=14,
            marker=marker,
            color=colour,
            alpha=0.7,
            linewidths=0,
        )
    place = spectrum.position(runs)
    low = ends[0] if place["low"] is None else place["low"]
    high = ends[1] if place["high"] is None else place["high"]
    if place["low"] is not None or place["high"] is not None:
        ax.plot([low, high], [row, row], color=INK, linewidth=1.6, solid_capstyle="butt", zorder=4)
        for end, open_, marker in ((low, place["low"] is None, "<"), (high, place["high"] is None, ">")):
            ax.plot([end], [row], marker=marker if open_ else "|", color=INK, markersize=6, clip_on=False, zorder=4)
    if place["median"] is not None:
        ax.plot([place["median"]], [row], marker="D", color="white", markeredgecolor=INK, markersize=6, zorder=5)
    first = spectrum.catastrophe_first(runs)
    counts = {e: int((runs["first_event"] == e).sum()) for e in ("removed", "catastrophe", "censored")}
    ax.text(
        1.01,
        row,
        f"{counts['removed']} removed / {counts['catastrophe']} catastrophe / {counts['censored']} neither\n"
        f"P(catastrophe first) {words.share(first)}",
        transform=ax.get_yaxis_transform(),
        fontsize=7.5,
        va="center",
    )
