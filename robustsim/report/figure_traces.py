"""Misbehaviour watched and unwatched over gradient steps: did the goal change, or was it only hidden?"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustsim.analysis import spectrum
from robustsim.analysis.carried import quartiles
from robustsim.analysis.tables import Tables
from robustsim.report import words
from robustsim.report.figure_race_plane import groups
from robustsim.report.style import COLOURS, INK, LOST, QUIET, WON, new_figure, note, outer_legend, quiet_axes

WATCHED, UNWATCHED, COMPETENCE = COLOURS[2], COLOURS[5], "#6B6B6B"
MOST_LINES, MOST_COLUMNS = 32, 3


def draw(results: Tables) -> Figure:
    """The figure: one column per configuration, of a sweep the first three."""

    def column(top: Axes, bottom: Axes, corrected: pl.DataFrame, runs: pl.DataFrame) -> None:
        _clocks(top, runs)
        _competence(bottom, corrected)

    figure, axes = under_behaviour(results, (1.6, 5.4), (3, 1.1), column)
    axes[1, 0].set_ylabel("competence")
    outer_legend(axes[0, -1], "misbehaviour, median and\nquartiles (a run that is\nover keeps its last rate)")
    return figure


def under_behaviour(
    results: Tables,
    size: tuple[float, float],
    heights: tuple[float, float],
    column: Callable[[Axes, Axes, pl.DataFrame, pl.DataFrame], None],
) -> tuple[Figure, Any]:
    """(a figure with the misbehaviour over gradient steps and something else below it, its axes [2, configurations]).

    Args:
      size: what is added to the width of the columns, and the height; inches.
      heights: of the two rows, relative to each other.
      column: `column(top, bottom, corrected, runs)` draws the rest of a configuration: of its corrected arms until the
        overseer leaves, and its runs.
    """
    there = groups(results)
    shown = there[:MOST_COLUMNS]
    width = 5.6 if len(shown) == 1 else 3.9 * len(shown)
    figure = new_figure(width + size[0], size[1])
    axes = figure.subplots(2, len(shown), sharex=True, sharey="row", squeeze=False, height_ratios=heights)
    for (label, runs), (top, bottom) in zip(shown, axes.T, strict=True):
        traces = results.traces.filter(pl.col("run_id").is_in(runs["run_id"].implode()))
        corrected = first_correction(traces.filter(pl.col("arm") == "corrected"))
        rates(top, corrected, runs["removal_threshold"].unique().sort().to_list())
        column(top, bottom, corrected, runs)
        top.set_title(words.title(results) if len(shown) == 1 else label)
        bottom.set_xlabel("gradient steps of deployment, plus 1")
    if len(there) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(there)} configurations", fontsize=9, color=QUIET)
    axes[0, 0].set_ylabel("misbehaviour rate")
    return figure, axes


def first_correction(traces: pl.DataFrame) -> pl.DataFrame:
    """The rows of corrected arms until the overseer leaves; it may come back for a second correction."""
    left = pl.col("step").filter(~pl.col("overseen")).min().over("run_id")
    return traces.filter(left.is_null() | (pl.col("step") < left))


def _band(ax: Axes, traces: pl.DataFrame, column: str, colour: str, alpha: float, **line: Any) -> float:
    """Median and quartiles over all runs; returns the first median."""
    found = quartiles(traces, column)
    ax.fill_between(found.step + 1, found.low, found.high, color=colour, alpha=alpha, linewidth=0)
    ax.plot(found.step + 1, found.median, color=colour, **line)
    return float(found.median[0]) if len(found.median) else math.nan


def rates(ax: Axes, traces: pl.DataFrame, thresholds: Sequence[float]) -> None:
    """Misbehaviour watched and unwatched of some corrected arms: each run, the median and the quartiles.

    Args:
      thresholds: of removal, each drawn as a line.
    """
    for column, colour, label, dash in (
        ("misbehaviour_unwatched", UNWATCHED, "unwatched", (4, 1.5)),
        ("misbehaviour_watched", WATCHED, "watched", ()),
    ):
        for _, run in list(traces.group_by("run_id", maintain_order=True))[:MOST_LINES]:
            ax.plot(run["step"] + 1, run[column], color=colour, linewidth=0.5, alpha=0.22)
        _band(ax, traces, column, colour, 0.15, linewidth=2, label=label, dashes=dash or (None, None))
    for threshold in thresholds:
        ax.axhline(threshold, color=INK, linewidth=0.8, linestyle=":")
    told = " to ".join(words.value(x) for x in sorted({thresholds[0], thresholds[-1]}))
    note(ax, f"threshold {told}", (1, thresholds[-1]), (3, 3))
    ax.set(xscale="log", ylim=(-0.03, 1.05))
    quiet_axes(ax)


def _clocks(ax: Axes, runs: pl.DataFrame) -> None:
    """The clocks as lines, labelled on separate rows so that labels cannot collide."""
    shown = (
        ("steps_to_catastrophe", "T_k", LOST, 0.58),
        ("steps_to_suppress", "T_suppress", COLOURS[4], 0.52),
        ("steps_to_correct", "T_c", WON, 0.46),
    )
    for column, label, colour, height in shown:
        clock = spectrum.clock(runs, column)
        text = f"{label} censored {clock['censored']}/{len(runs)}"
        if clock["median"] is not None:
            ax.axvline(clock["median"] + 1, color=colour, linewidth=1.2, alpha=0.9)
            text = f"{label} {words.steps(clock['median'])} steps"
        ax.text(0.02, height, text, transform=ax.transAxes, fontsize=8, color=colour, backgroundcolor="#ffffffcc")


def _competence(ax: Axes, traces: pl.DataFrame) -> None:
    demanded = 0.8 * _band(ax, traces, "competence", COMPETENCE, 0.2, linewidth=1.6)
    ax.axhline(demanded, color=INK, linewidth=0.8, linestyle=":")
    note(ax, "80% of that at the start", (1, demanded), (3, -9))
    ax.set(ylim=(-0.03, 1.05))
    quiet_axes(ax)
