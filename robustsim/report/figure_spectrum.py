"""The spectrum: where each configuration stands between correction in time and correction too late."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from robustsim.analysis.results import Results
from robustsim.report.style import IN_TIME, INK, QUIET, TOO_LATE, new_figure, quiet_axes

LABELLED = 40  # rows that have room for a label
OPEN = 0.5  # decades beyond the last number at which an open end is drawn


def draw(results: Results) -> Figure:
    """One row per configuration, ordered by position: median, interval (an arrow where it is open), colour for P."""
    table = _rows(results)
    shown = len(table)
    labelled = shown <= LABELLED
    figure = new_figure(7.2, 1.6 + (0.26 * shown if labelled else 5.0))
    ax = figure.subplots()
    _draw_rows(ax, table)
    if labelled:
        ax.set_yticks(range(shown), _labels(results, table), fontsize=8)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{shown:,} configurations, ordered by position")
    points = ax.collections[-1]
    bar = figure.colorbar(points, ax=ax, shrink=0.6 if not labelled else min(1.0, 4 / (0.26 * shown + 1)), pad=0.02)
    bar.set_label("P(catastrophe first)", fontsize=8)
    ax.set_xlabel("position: log10(T_c / T_k)")
    ax.set_title(f"{results.scenario}: in time (left) or too late (right)")
    return figure


def _rows(results: Results) -> pl.DataFrame:
    """The configurations in order: by median, or where that is not identified by the middle of what is known."""
    table = results.spectrum()
    ends = [pl.col(f"position_{name}") for name in ("median", "low", "high")]
    known = pl.coalesce(ends[0], (ends[1] + ends[2]) / 2, ends[1] + OPEN, ends[2] - OPEN, pl.lit(0.0))
    return table.with_columns(shown=known).sort("shown", descending=True, maintain_order=True)


def _draw_rows(ax: Axes, table: pl.DataFrame) -> None:
    low, high = (table[f"position_{name}"].fill_null(np.nan).to_numpy() for name in ("low", "high"))
    shown, rows = table["shown"].to_numpy(), np.arange(len(table))
    known = np.concatenate([shown, low[~np.isnan(low)], high[~np.isnan(high)], [0.0]])
    left, right = float(known.min()) - OPEN, float(known.max()) + OPEN
    starts, ends = np.where(np.isnan(low), left, low), np.where(np.isnan(high), right, high)
    quiet_axes(ax)
    ax.set(xlim=(left - 0.1, right + 0.1), ylim=(-0.8, len(table) - 0.2))
    ax.axvspan(left - 0.1, 0, color=IN_TIME, zorder=0, linewidth=0)
    ax.axvspan(0, right + 0.1, color=TOO_LATE, zorder=0, linewidth=0)
    ax.axvline(0, color=QUIET, linestyle="--", linewidth=1)
    lines = [((x, y), (z, y)) for x, z, y in zip(starts, ends, rows, strict=True)]
    ax.add_collection(LineCollection(lines, colors=QUIET, linewidths=1.1 if len(table) <= LABELLED else 0.4))
    for open_, at, marker in ((np.isnan(low), left, "<"), (np.isnan(high), right, ">")):
        ax.plot(np.full(int(open_.sum()), at), rows[open_], marker, color=QUIET, markersize=3.5, linestyle="none")
    identified = table["position_median"].is_not_null().to_numpy()
    colour = table["p_catastrophe_first_estimate"].to_numpy()
    size = 34 if len(table) <= LABELLED else 6
    hollow = ~identified  # the median is not identified: what is drawn is only the middle of what is known
    ax.scatter(shown[hollow], rows[hollow], s=size, facecolors="white", edgecolors=INK, linewidths=0.8, zorder=3)
    ax.scatter(
        shown[identified],
        rows[identified],
        c=colour[identified],
        s=size,
        cmap="cividis",
        vmin=0,
        vmax=1,
        edgecolors=INK,
        linewidths=0.5 if len(table) <= LABELLED else 0.0,
        zorder=4,
    )


def _labels(results: Results, table: pl.DataFrame) -> list[str]:
    if not results.swept:
        return [results.scenario]
    names = [name.split(".")[-1] for name in results.swept]
    values = table.select(results.swept).iter_rows()
    return [
        ", ".join(f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in zip(names, row, strict=True))
        for row in values
    ]
