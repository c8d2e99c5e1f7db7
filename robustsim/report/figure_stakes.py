"""The stakes curve: P(catastrophe first) for every threshold of the catastrophe, from one set of runs."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustsim.analysis import measures
from robustsim.analysis.swept import column
from robustsim.analysis.tables import Tables
from robustsim.report import words
from robustsim.report.figure_race_plane import groups
from robustsim.report.style import COLOURS, DASHES, INK, QUIET, new_figure, outer_legend, quiet_axes

LEAST = 0.5  # where a harm of 0 is drawn


def draw(results: Tables) -> Figure:
    """One curve per configuration, of at most 20; a tick on it is the threshold k that its runs were made with.

    Where runs were never corrected, the curve lies between its line and the upper edge of its band. A dotted line is
    the same behind the defences, where there are any.
    """
    figure = new_figure(7.2, 4.2)
    ax = figure.subplots()
    shown = groups(results)
    for i, (label, runs) in enumerate(shown):
        style: dict[str, Any] = {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": DASHES[i // len(COLOURS) % len(DASHES)],
        }
        thresholds = column("catastrophe.threshold", runs, results.settings, np.nan)
        curve(ax, runs, label, float(thresholds[0]), **style)
        defended = measures.behind_defences(runs)
        if defended is not None:
            curve(ax, defended, None, np.nan, **{**style, "linestyle": ":"})
    dress(ax, "harm that makes a catastrophe, k")
    ax.set_title(f"{words.title(results)}: what the stakes may be")
    if len(shown) > 1:
        outer_legend(ax, "a tick: its threshold")
    return figure


def curve(ax: Axes, runs: pl.DataFrame, label: str | None, threshold: float, unit: float = 1.0, **style: Any) -> None:
    """P(H >= k) over k / `unit`, as steps, with a tick at the threshold."""
    table, open_ = measures.stakes(runs), float(runs["harm"].is_null().to_numpy().mean())
    k = np.maximum(table["k"].to_numpy() / unit, LEAST)
    x = np.concatenate([[LEAST], k, [k[-1] * 3]])
    low, high = (
        np.concatenate([[1.0], table[name].to_numpy(), [end]]) for name, end in (("estimate", 0.0), ("most", open_))
    )
    ax.step(x, low, where="pre", label=label, linewidth=1.6, **style)
    if open_:
        ax.fill_between(x, low, high, step="pre", color=style["color"], alpha=0.12, linewidth=0)
    if np.isfinite(threshold):
        reached = float((runs["harm_lower"].to_numpy() >= threshold).mean())
        ax.plot([threshold / unit], [reached], marker="|", markersize=11, markeredgewidth=2, color=style["color"])


def dress(ax: Axes, label: str) -> None:
    """Axes of a stakes curve."""
    ax.set(xscale="log", ylim=(-0.03, 1.03), xlabel=label, ylabel="P(catastrophe first)")
    ax.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=":")
    ax.tick_params(colors=INK)
    quiet_axes(ax)
