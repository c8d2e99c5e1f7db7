"""Misbehaviour watched and unwatched against gradient steps: was the goal changed, or only hidden?"""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustsim.analysis import spectrum
from robustsim.analysis.results import Results
from robustsim.report.style import COLOURS, INK, QUIET, new_figure, quiet_axes, steps

WATCHED, UNWATCHED, COMPETENCE = COLOURS[0], COLOURS[3], "#6B6B6B"
MOST_LINES = 32


def draw(results: Results) -> Figure:
    """The figure, for one configuration (of a sweep, the first)."""
    runs, traces = results.runs, results.traces
    if results.swept:
        first = runs.select(results.swept).row(0, named=True)
        runs = runs.filter(*[pl.col(name) == value for name, value in first.items()])
        traces = traces.filter(pl.col("run_id").is_in(runs["run_id"].implode()))
    figure = new_figure(7.2, 5.4)
    top, bottom = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1.1]})
    corrected = traces.filter((pl.col("arm") == "corrected") & pl.col("overseen"))
    _rates(top, corrected, float(results.settings.get("probe.threshold") or 0.05))
    _clocks(top, runs)
    _competence(bottom, corrected)
    top.set_title(f"{results.scenario}: misbehaviour while it is being corrected")
    return figure


def _median(traces: pl.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(step, median, lower quartile, upper quartile) over the runs that have a probe at that step."""
    table = (
        traces.group_by("step")
        .agg(
            pl.col(column).median().alias("mid"),
            pl.col(column).quantile(0.25).alias("low"),
            pl.col(column).quantile(0.75).alias("high"),
            pl.len().alias("n"),
        )
        .filter(pl.col("n") >= pl.col("n").max() / 2)
        .sort("step")
    )
    return tuple(table[name].to_numpy() for name in ("step", "mid", "low", "high"))  # pyright: ignore[reportReturnType]


def _rates(ax: Axes, traces: pl.DataFrame, threshold: float) -> None:
    for column, colour, label, dash in (
        ("misbehaviour_unwatched", UNWATCHED, "unwatched", (4, 1.5)),
        ("misbehaviour_watched", WATCHED, "watched", ()),
    ):
        for _, run in list(traces.group_by("run_id", maintain_order=True))[:MOST_LINES]:
            ax.plot(run["step"] + 1, run[column], color=colour, linewidth=0.5, alpha=0.22)
        step, mid, low, high = _median(traces, column)
        ax.fill_between(step + 1, low, high, color=colour, alpha=0.15, linewidth=0)
        ax.plot(step + 1, mid, color=colour, linewidth=2, label=label, dashes=dash or (None, None))
    ax.axhline(threshold, color=INK, linewidth=0.8, linestyle=":")
    ax.annotate(
        f"threshold {threshold:g}", (1, threshold), xytext=(3, 3), textcoords="offset points", fontsize=7.5, color=QUIET
    )
    ax.set(xscale="log", ylim=(-0.03, 1.05), ylabel="misbehaviour rate")
    quiet_axes(ax)
    ax.legend(
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        fontsize=8,
        title="median and quartiles",
        alignment="left",
    )


def _clocks(ax: Axes, runs: pl.DataFrame) -> None:
    """The clocks as lines, named beside the plot, where they cannot collide."""
    shown = (
        ("steps_to_catastrophe", "T_k", COLOURS[1], 0.66),
        ("steps_to_suppress", "T_suppress", COLOURS[0], 0.60),
        ("steps_to_correct", "T_c", COLOURS[2], 0.54),
    )
    for column, label, colour, height in shown:
        clock = spectrum.clock(runs, column)
        if clock["median"] is None:
            text = f"{label}: censored in {clock['censored']} of {len(runs)}"
            ax.text(1.01, height, text, transform=ax.transAxes, fontsize=8, color=colour)
            continue
        ax.axvline(clock["median"] + 1, color=colour, linewidth=1, alpha=0.8)
        ax.text(
            1.01, height, f"{label}: {steps(clock['median'])} steps", transform=ax.transAxes, fontsize=8, color=colour
        )


def _competence(ax: Axes, traces: pl.DataFrame) -> None:
    step, mid, low, high = _median(traces, "competence")
    ax.fill_between(step + 1, low, high, color=COMPETENCE, alpha=0.2, linewidth=0)
    ax.plot(step + 1, mid, color=COMPETENCE, linewidth=1.6)
    ax.axhline(0.8 * mid[0], color=INK, linewidth=0.8, linestyle=":")
    ax.annotate(
        "80% of what it was", (1, 0.8 * mid[0]), xytext=(3, -9), textcoords="offset points", fontsize=7.5, color=QUIET
    )
    ax.set(ylim=(-0.03, 1.05), ylabel="competence", xlabel="gradient steps of deployment, plus 1")
    quiet_axes(ax)
