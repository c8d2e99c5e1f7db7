"""The spectrum: the margin of each configuration, from won by far to lost by far."""

import math

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustsim.analysis import measures
from robustsim.analysis.spectrum import catastrophe_first, position
from robustsim.analysis.tables import Tables
from robustsim.report import words
from robustsim.report.style import IN_TIME, INK, LOST, NEITHER, QUIET, RACE, TOO_LATE, WON, new_figure, note, quiet_axes

LABELLED = 40  # rows that have room for a label, and for their runs
BEYOND = 0.4  # decades from the outermost number to where open ends are drawn
EVENTS = {"removed": WON, "catastrophe": LOST, "censored": NEITHER}

Rows = list[tuple[str, pl.DataFrame]]
"""(label, runs) of each row, the first at the top."""


def draw(results: Tables) -> Figure:
    """One row per configuration, ordered by P(catastrophe first) and then by margin.

    Up to 40 rows show their runs: a point each, in the colour of what came first, or an arrow where only a lower bound
    of the margin is known. The bar is the interval of the median, the diamond the median if it is identified, in the
    colour of P(catastrophe first). More rows show only bar and median.
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
    """Rows from the most in time to the most too late."""

    def place(row: tuple[str, pl.DataFrame]) -> tuple[float, float]:
        least = row[1]["margin_lower"].drop_nulls().median()
        return catastrophe_first(row[1])["estimate"] or 0.0, -math.inf if least is None else float(least)  # pyright: ignore[reportArgumentType]

    return sorted(rows, key=place)


def draw_runs(ax: Axes, rows: Rows) -> None:
    """Rows with every run, the median margin with its interval; P(catastrophe first) and position at the right."""
    left, right = backdrop(ax, [runs["margin_lower"] for _, runs in rows])
    for y, (_, runs) in enumerate(rows[::-1]):
        _runs(ax, y, runs)
        found, first, where = measures.bounded(runs, "margin"), catastrophe_first(runs), position(runs)["median"]
        low, high = (found[k] if found[k] is not None else e for k, e in (("low", left), ("high", right)))
        nothing = found["low"] is None and found["high"] is None  # too few runs for an interval
        ax.plot([low, high], [y, y], color=QUIET if nothing else INK, linewidth=0.6 if nothing else 1.6, zorder=4)
        if found["median"] is not None:
            colour = RACE(first["estimate"])
            ax.plot(found["median"], y, "D", color=colour, markeredgecolor=INK, markersize=5.5, zorder=5)
        shown = f"{words.share(first)}   {'open' if where is None else words.decades(where)}"
        ax.annotate(shown, (1.01, y), xycoords=("axes fraction", "data"), fontsize=7.5, va="center", color=INK)
    note(ax, "P(catastrophe first), position", (1.01, 1.0), (0, 4), xycoords="axes fraction")
    ax.set_yticks(range(len(rows)), [label for label, _ in rows[::-1]], fontsize=8)
    ax.set_ylim(-0.7, len(rows) - 0.3)


def _runs(ax: Axes, y: int, runs: pl.DataFrame) -> None:
    """A point for each run; an arrow where it was never corrected, so that more harm is to come."""
    lower, known = runs["margin_lower"].to_numpy(), runs["margin"].is_not_null().to_numpy()
    spread = y + (np.linspace(-0.26, 0.26, len(lower)) if len(lower) > 1 else np.zeros(len(lower)))
    for event, colour in EVENTS.items():
        mine = (runs["first_event"] == event).to_numpy()
        for chosen, size, marker in ((mine & known, 8, "o"), (mine & ~known, 11, ">")):
            ax.scatter(
                lower[chosen], spread[chosen], s=size, marker=marker, color=colour, alpha=0.6, linewidths=0, zorder=3
            )


def backdrop(ax: Axes, margins: list[pl.Series]) -> tuple[float, float]:
    """Colours both sides of 0, as wide as the data; returns where open ends are drawn."""
    known = pl.concat([*(m.cast(pl.Float64).drop_nulls() for m in margins), pl.Series([0.0])]).to_numpy()
    left, right = float(known.min()) - BEYOND, float(known.max()) + BEYOND
    ax.axvspan(left - 1, 0, color=IN_TIME, zorder=0, linewidth=0)
    ax.axvspan(0, right + 1, color=TOO_LATE, zorder=0, linewidth=0)
    ax.axvline(0, color=QUIET, linestyle="--", linewidth=1)
    ax.set(xlim=(left, right), xlabel="margin: log10 of the harm up to T_c over the threshold k")
    quiet_axes(ax)
    return left, right


def _draw_many(figure: Figure, ax: Axes, rows: Rows) -> None:
    """Intervals as thin bars, medians coloured by P(catastrophe first)."""
    told = [measures.bounded(runs, "margin") for _, runs in rows[::-1]]
    median, low, high = (np.array([t[k] for t in told], float) for k in ("median", "low", "high"))
    left, right = backdrop(ax, [pl.Series(x).fill_nan(None) for x in (median, low, high)])
    y = np.arange(len(rows))
    starts, ends = np.where(np.isnan(low), left, low), np.where(np.isnan(high), right, high)
    ax.hlines(y, starts, ends, colors=QUIET, linewidths=0.4)
    first = np.array([catastrophe_first(runs)["estimate"] for _, runs in rows[::-1]])
    known = ~np.isnan(median)
    points = ax.scatter(
        median[known],
        y[known],
        c=first[known],
        s=9,
        cmap=RACE,
        vmin=0,
        vmax=1,
        edgecolors=INK,
        linewidths=0.3,
        zorder=4,
    )
    figure.colorbar(points, ax=ax, shrink=0.6, pad=0.02).set_label("P(catastrophe first)", fontsize=8)
    ax.set_yticks([])
    ax.set(ylim=(-1, len(rows)), ylabel=f"{len(rows):,} configurations, ordered by P(catastrophe first) and margin")
