"""Survival of both clocks: the share of runs in which an event has not happened yet (Kaplan and Meier 1958)."""

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustsim.analysis import survival
from robustsim.analysis.tables import Tables
from robustsim.report import words
from robustsim.report.style import COLOURS, DASHES, QUIET, new_figure, outer_legend, quiet_axes

MOST = 20  # configurations that are told apart
Panel = Callable[[Axes, str, pl.DataFrame, str, str], None]
"""`panel(ax, label, runs, colour, dash)` draws one configuration."""


def draw(results: Tables) -> Figure:
    """Two panels, T_c and T_k; one curve per configuration with its pointwise 95% limits, of a sweep the first 20."""
    return panels(
        results,
        {
            "not yet corrected (T_c)": partial(_curve, column="steps_to_correct"),
            "no catastrophe yet, unopposed (T_k)": partial(_curve, column="steps_to_catastrophe"),
        },
    )


def panels(results: Tables, drawn: dict[str, Panel]) -> Figure:
    """Panels over gradient steps side by side, by their titles: all configurations in each, with one key."""
    there = words.configurations(results)
    shown = there[:MOST]
    figure = new_figure(7.6 + 1.2 * (len(shown) > 1), 3.4)
    axes = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    for ax, (title, panel) in zip(axes, drawn.items(), strict=True):
        for i, (label, runs) in enumerate(shown):
            panel(ax, label, runs, COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS)])
        ax.set(xscale="log", ylim=(-0.03, 1.03), xlabel="gradient steps of deployment, plus 1")
        ax.set_title(title)
        quiet_axes(ax)
    axes[0].set_ylabel("share of runs")
    if len(shown) > 1:
        outer_legend(axes[-1], "" if len(shown) == len(there) else f"the first {len(shown)} of {len(there):,}")
    told = f"{words.title(results)}, {len(results.runs):,} runs"
    figure.suptitle(told, fontsize=9, color=QUIET)
    return figure


def _curve(ax: Axes, label: str, runs: pl.DataFrame, colour: str, dash: str, column: str) -> None:
    runs = runs.filter(pl.col(column).is_not_null() | pl.col(f"{column}_lower").is_not_null())  # those that were run
    seen = runs[column].is_not_null().to_numpy()
    times = runs[column].fill_null(runs[f"{column}_lower"]).to_numpy()
    curve = survival.kaplan_meier(times, seen.astype(int))
    end = float(times.max()) if len(times) else 1.0
    heights = {"survival": curve.survival, "low": curve.low, "high": curve.high}
    x = np.concatenate([[0.0], curve.time, [end]]) + 1
    y, low, high = (np.concatenate([[1.0], h, h[-1:] if len(h) else [1.0]]) for h in heights.values())
    ax.fill_between(x, low, high, step="post", color=colour, alpha=0.13, linewidth=0)
    ax.step(x, y, where="post", color=colour, linestyle=dash, linewidth=1.6, label=label)
    censored = np.sort(times[~seen])
    if len(censored):  # a tick where runs were censored, as is usual
        at = np.array([survival_at(curve, t) for t in censored])
        ax.plot(censored + 1, at, "|", color=colour, markersize=5)


def survival_at(curve: survival.Survival, time: float) -> float:
    """S(time)."""
    index = int(np.searchsorted(curve.time, time, side="right")) - 1
    return 1.0 if index < 0 else float(curve.survival[index])
