"""The race: cumulative incidence of what comes first in the corrected arm (Aalen and Johansen 1978)."""

from functools import partial

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustsim.analysis import survival
from robustsim.analysis.race import race
from robustsim.analysis.tables import Tables
from robustsim.report.figure_survival import panels


def draw(results: Tables) -> Figure:
    """Two panels, the removal first and the catastrophe first; one curve per configuration, of a sweep the first 20."""
    return panels(
        results,
        {
            "removed first": partial(_curve, cause=0),
            "catastrophe first": partial(_curve, cause=1),
        },
    )


def _curve(ax: Axes, label: str, runs: pl.DataFrame, colour: str, dash: str, cause: int) -> None:
    times, causes = race(runs)
    at, incidence = survival.aalen_johansen(times, causes)
    end = float(times.max())
    heights = incidence[cause]
    x, y = np.concatenate([[0.0], at, [end]]) + 1, np.concatenate([[0.0], heights, heights[-1:] if len(at) else [0.0]])
    ax.step(x, y, where="post", color=colour, linestyle=dash, linewidth=1.6, label=label)
