"""The spectrum: every scenario of the gallery as a row, ordered by the race and the margin.

A point is a run, in the colour of what came first: the margin is log10 of the harm up to T_c over the threshold k, so
left of 0 the race is won. An arrow is a run that was never corrected. The bar is the median's 95% interval, the diamond
the median, in the colour of P(catastrophe first), which stands at the right with the position, log10(T_c / T_k).
"""

from typing import Any

import matplotlib as mpl
from _common import finish, folder, parser
from gallery import collect

import robustsim as rs
from robustsim.analysis import measures
from robustsim.analysis.spectrum import catastrophe_first, position
from robustsim.report.figure_spectrum import draw_runs, ordered
from robustsim.report.style import SETTINGS, new_figure


def draw(results: dict[str, rs.Results]) -> tuple[Any, dict[str, Any]]:
    """The figure and its numbers."""
    rows = ordered([(name, found.runs) for name, found in results.items()])
    with mpl.rc_context(SETTINGS):
        figure = new_figure(9.6, 0.3 * len(rows) + 1.3)
        ax = figure.subplots()
        draw_runs(ax, rows)
        ax.set_title("in time (left) or too late (right)")
    numbers = {
        name: {
            "margin": measures.bounded(runs, "margin"),
            "position": position(runs),
            "p_catastrophe_first": catastrophe_first(runs),
            "inertia": measures.inertia(runs),
            "runs": len(runs),
        }
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
