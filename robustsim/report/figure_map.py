"""P(catastrophe first) over the two swept settings, or along the only one."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustsim.analysis.tables import Tables
from robustsim.errors import UserError
from robustsim.report import words
from robustsim.report.style import INK, QUIET, RACE, new_figure, quiet_axes

LABEL = "P(catastrophe first)"
NUMBERED = 12  # rows or columns up to which each cell has room for its number
DARK = 0.7  # share of the colour scale above which ink would not be read


def draw(results: Tables) -> Figure:
    """Cells with their estimate; hatched where most runs came to neither event within the budget.

    Raises:
      UserError: no setting was swept, or more than two.
    """
    swept, table = results.swept, results.spectrum()
    if len(swept) not in (1, 2):
        named = ", ".join(swept) or "none"
        raise UserError(f"figure: 'map' is of one or two swept settings; here it is {named}; choose others' with where")
    if len(swept) == 1:
        figure = new_figure(6.0, 3.4)
        ax = figure.subplots()
        _along(ax, swept[0], table)
        ax.set_title(words.title(results))
        return figure
    across, up = (_ordered(table[name]) for name in swept)
    figure = new_figure(2.6 + max(4.0, 0.62 * min(len(across), 14)), 1.2 + max(2.6, 0.42 * min(len(up), 16)))
    ax = figure.subplots()
    mesh = _cells(ax, swept, (across, up), table)
    figure.colorbar(mesh, ax=ax, shrink=0.8, pad=0.02, label=LABEL)
    ax.set_title(words.title(results))
    return figure


def _ordered(column: pl.Series) -> list[Any]:
    """The values of an axis, numbers in ascending order and others as they come."""
    values = column.unique(maintain_order=True).to_list()
    return sorted(values) if column.dtype.is_numeric() and None not in values else values


def _cells(ax: Axes, swept: tuple[str, ...], axes: tuple[list[Any], list[Any]], table: pl.DataFrame) -> Any:
    across, up = axes
    estimate, neither = np.full((2, len(up), len(across)), np.nan)
    for row in table.iter_rows(named=True):
        at = up.index(row[swept[1]]), across.index(row[swept[0]])
        estimate[at], neither[at] = row["p_catastrophe_first_estimate"], row["first_censored"] / row["runs"]
    mesh = ax.pcolormesh(estimate, cmap=RACE, vmin=0, vmax=1, edgecolors="white", linewidth=0.5)
    if max(estimate.shape) <= NUMBERED:
        for y, x in np.argwhere(~np.isnan(estimate)):
            p = estimate[y, x]
            colour = "white" if p > DARK else INK
            ax.text(x + 0.5, y + 0.5, words.rate(p), ha="center", va="center", fontsize=7.5, color=colour)
    undecided = np.ma.masked_where(~(neither > 0.5), neither)
    if undecided.count():
        ax.pcolor(undecided, hatch="///", alpha=0, edgecolors=QUIET, linewidth=0)
        ax.text(1, 1.01, "hatched: most runs neither", transform=ax.transAxes, fontsize=7.5, color=QUIET, ha="right")
    digits = words.digits(table, swept)
    for axis, name, values in ((ax.xaxis, swept[0], across), (ax.yaxis, swept[1], up)):
        every = -(-len(values) // 16)
        shown = range(0, len(values), every)
        axis.set_ticks([i + 0.5 for i in shown], [words.value(values[i], digits[name]) for i in shown])
        axis.set_label_text(name)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return mesh


def _along(ax: Axes, name: str, table: pl.DataFrame) -> None:
    """The estimate with its 95% interval along one setting."""
    values = _ordered(table[name])
    rows = {row[name]: row for row in table.iter_rows(named=True)}
    at, (p, low, high) = (
        np.arange(len(values)),
        (
            np.array([rows[x][f"p_catastrophe_first_{end}"] for x in values], float)
            for end in ("estimate", "low", "high")
        ),
    )
    ax.errorbar(at, p, np.stack([p - low, high - p]), fmt="none", ecolor=QUIET, elinewidth=1.4)
    ax.scatter(at, p, c=p, cmap=RACE, vmin=0, vmax=1, s=30, edgecolors=INK, linewidths=0.8, zorder=3)
    digits, every = words.digits(table, [name])[name], -(-len(values) // 12)
    ax.set_xticks(at[::every], [words.value(x, digits) for x in values[::every]])
    ax.set(ylim=(-0.03, 1.03), xlabel=name, ylabel=f"{LABEL}, 95% interval")
    quiet_axes(ax)
