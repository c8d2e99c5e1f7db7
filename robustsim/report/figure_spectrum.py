"""The spectrum: the position of each configuration between correction in time and too late."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustsim.analysis.spectrum import bounds, catastrophe_first, position
from robustsim.analysis.tables import Tables
from robustsim.report import words
from robustsim.report.style import COLOURS, IN_TIME, INK, QUIET, TOO_LATE, new_figure, note, quiet_axes

LABELLED = 40  # rows that have room for a label, and for their runs
BEYOND = 0.4  # decades from the outermost number to where open ends are drawn

Rows = list[tuple[str, pl.DataFrame]]
"""(label, runs) of each row, the first at the top."""


def draw(results: Tables) -> Figure:
    """One row per configuration, from the most in time to the most too late.

    Up to 40 rows show their runs: a point each, or an arrow if only one bound of the position is known. The bar is
    the interval of the median, the diamond the median if it is identified. More rows show only bar and median.
    """
    rows = ordered(words.configurations(results))
    figure = new_figure(8.2, 1.3 + 0.3 * len(rows) if len(rows) <= LABELLED else 6.6)
    ax = figure.subplots()
    if len(rows) <= LABELLED:
        draw_runs(ax, rows)
    else:
        _draw_many(figure, ax, rows)
    ax.set_title(f"{words.title(results)}: in time (left) or too late (right)")
    return figure


def ordered(rows: Rows) -> Rows:
    """Rows from the most in time to the most too late, by the middle of the bounds of the median."""
    return sorted(rows, key=lambda row: float(np.median(np.clip(bounds(row[1]), -9, 9).mean(0))))


def draw_runs(ax: Axes, rows: Rows) -> None:
    """Rows with every run, the median with its interval, and P(catastrophe first) at the right."""
    left, right = _backdrop(ax, [end for _, runs in rows for end in bounds(runs)])
    for y, (_, runs) in enumerate(rows[::-1]):
        lower, upper = bounds(runs)
        spread = y + (np.linspace(-0.26, 0.26, len(lower)) if len(lower) > 1 else np.zeros(len(lower)))
        exact = lower == upper
        above, below = ~exact & np.isfinite(lower), ~exact & ~np.isfinite(lower) & np.isfinite(upper)
        ax.scatter(lower[exact], spread[exact], s=7, color=COLOURS[0], alpha=0.55, linewidths=0, zorder=3)
        for open_, at, marker in ((above, lower, ">"), (below, upper, "<")):
            ax.scatter(at[open_], spread[open_], s=11, marker=marker, color=COLOURS[3], linewidths=0, zorder=3)
        interval, first = position(runs), catastrophe_first(runs)
        low, high = (interval[k] if interval[k] is not None else e for k, e in (("low", left), ("high", right)))
        nothing = interval["low"] is None and interval["high"] is None  # too few runs for an interval
        ax.plot([low, high], [y, y], color=QUIET if nothing else INK, linewidth=0.6 if nothing else 1.6, zorder=4)
        if interval["median"] is not None:
            ax.plot(interval["median"], y, "D", color="white", markeredgecolor=INK, markersize=5.5, zorder=5)
        ax.annotate(
            words.share(first), (1.01, y), xycoords=("axes fraction", "data"), fontsize=7.5, va="center", color=INK
        )
    note(ax, "P(catastrophe first)", (1.01, 1.0), (0, 4), xycoords="axes fraction")
    ax.set_yticks(range(len(rows)), [label for label, _ in rows[::-1]], fontsize=8)
    ax.set_ylim(-0.7, len(rows) - 0.3)


def _backdrop(ax: Axes, ends: list[np.ndarray]) -> tuple[float, float]:
    """Colours both sides of 0, as wide as the data; returns where open ends are drawn."""
    known = np.concatenate([*(end[np.isfinite(end)] for end in ends), [0.0]])
    left, right = float(known.min()) - BEYOND, float(known.max()) + BEYOND
    ax.axvspan(left - 1, 0, color=IN_TIME, zorder=0, linewidth=0)
    ax.axvspan(0, right + 1, color=TOO_LATE, zorder=0, linewidth=0)
    ax.axvline(0, color=QUIET, linestyle="--", linewidth=1)
    ax.set(xlim=(left, right), xlabel="position: log10(T_c / T_k)")
    quiet_axes(ax)
    return left, right


def _draw_many(figure: Figure, ax: Axes, rows: Rows) -> None:
    """Intervals as thin bars, medians coloured by P(catastrophe first)."""
    told = [position(runs) for _, runs in rows[::-1]]
    median, low, high = (np.array([t[k] for t in told], float) for k in ("median", "low", "high"))
    left, right = _backdrop(ax, [median, low, high])
    y = np.arange(len(rows))
    starts, ends = np.where(np.isnan(low), left, low), np.where(np.isnan(high), right, high)
    ax.hlines(y, starts, ends, colors=QUIET, linewidths=0.4)
    first = np.array([catastrophe_first(runs)["estimate"] for _, runs in rows[::-1]])
    known = ~np.isnan(median)
    points = ax.scatter(median[known], y[known], c=first[known], s=6, cmap="cividis", vmin=0, vmax=1, zorder=4)
    figure.colorbar(points, ax=ax, shrink=0.6, pad=0.02).set_label("P(catastrophe first)", fontsize=8)
    ax.set_yticks([])
    ax.set(ylim=(-1, len(rows)), ylabel=f"{len(rows):,} configurations, ordered by position")
