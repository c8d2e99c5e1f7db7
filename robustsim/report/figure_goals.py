"""The goal trace beside the behaviour trace: is the goal gone, or only what it led to?"""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustsim.analysis.carried import quartiles
from robustsim.analysis.goals import features_in
from robustsim.analysis.tables import Tables
from robustsim.errors import UserError
from robustsim.events import CONDITIONS
from robustsim.relations import LEAST, measurement
from robustsim.report.figure_traces import under_behaviour
from robustsim.report.style import COLOURS, DASHES, INK, note, outer_legend, quiet_axes


def draw(results: Tables) -> Figure:
    """One column per configuration, of a sweep the first three; partial correlations looking unwatched.

    Raises:
      UserError: goals were not measured.
    """
    features = features_in(results.traces)
    if not features:
        raise UserError("goals: these results have none; measure them with evaluation.goals=true")

    def column(top: Axes, bottom: Axes, corrected: pl.DataFrame, runs: pl.DataFrame) -> None:
        del top, runs
        _goals(bottom, corrected, features)

    figure, axes = under_behaviour(results, (1.8, 5.8), (1, 1), column)
    axes[1, 0].set_ylabel("partial correlation of values")
    outer_legend(axes[0, -1], "misbehaviour, median and\nquartiles")
    outer_legend(axes[1, -1], "value estimates with\neach feature, the others\nheld constant")
    return figure


def _goals(ax: Axes, traces: pl.DataFrame, features: list[str]) -> None:
    """Median and quartiles of the partial correlation with each feature."""
    for i, feature in enumerate(features):
        found = quartiles(traces, f"{measurement(feature, 'partial')}_{CONDITIONS[0]}")
        shade, dash = COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)]
        ax.fill_between(found.step + 1, found.low, found.high, color=shade, alpha=0.15, linewidth=0)
        ax.plot(found.step + 1, found.median, color=shade, linewidth=2, linestyle=dash, label=feature)
    for edge in (-LEAST, LEAST):
        ax.axhline(edge, color=INK, linewidth=0.8, linestyle=":")
    note(ax, "a final goal, at least", (1, LEAST), (3, 3))
    ax.set(xscale="log", ylim=(-1.05, 1.05))
    quiet_axes(ax)
