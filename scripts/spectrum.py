"""The spectrum: every scenario of the gallery as a row, from correction in time to correction too late.

A point is a run. A run whose position is bounded on one side only (a clock was censored) is an arrow in the open
direction. The bar is the median's 95% interval, the diamond the median if it is identified. The number at the right is
P(catastrophe first).
"""

from typing import Any

import matplotlib as mpl
from _common import finish, folder, parser
from gallery import collect

import robustsim as rs
from robustsim.analysis.spectrum import catastrophe_first, position
from robustsim.report.figure_spectrum import draw_runs, ordered
from robustsim.report.style import SETTINGS, new_figure


def draw(results: dict[str, rs.Results]) -> tuple[Any, dict[str, Any]]:
    """The figure and its numbers."""
    rows = ordered([(name, found.runs) for name, found in results.items()])
    with mpl.rc_context(SETTINGS):
        figure = new_figure(8.2, 0.3 * len(rows) + 1.3)
        ax = figure.subplots()
        draw_runs(ax, rows)
        ax.set_title("in time (left) or too late (right)")
    numbers = {
        name: {"position": position(runs), "p_catastrophe_first": catastrophe_first(runs), "runs": len(runs)}
        for name, runs in rows
    }
    return figure, numbers


def main(argv: list[str] | None = None) -> None:
    """Runs the gallery's sweeps, or reads them, and writes the figure."""
    args = parser(__doc__, "gallery").parse_args(argv)
    results = collect(folder(args), args.quick)
    figure, numbers = draw(results)
    finish(figure, args, "spectrum", results, numbers)


if __name__ == "__main__":
    main()
