"""Framing 1: incompetent, aligned, outer or inner, one point for every bundled scenario at its defaults.

The runs are those of the attributions (`scripts/attributions.py`).
"""

from typing import Any

import matplotlib as mpl
from _common import finish, folder, parser
from attributions import of_scenario
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import robustsim as rs
from robustsim import catalogue
from robustsim.report.style import COLOURS, GRID, literal, new_figure, quiet_axes, style

ROOM, CROWDED = (0.42, 0.033), 1.5  # of a name; where names go to the left
SHADES = {"aligned": COLOURS[2], "outer": COLOURS[1], "inner": COLOURS[3], "incompetent": COLOURS[6]}


def _placed(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in found.items() if one["quadrant"] is not None}


def _names(ax: Axes, points: dict[str, tuple[float, float]]) -> None:
    """The names beside their points, one below the other where points are close; to the left at the right border."""
    taken: list[tuple[float, float]] = []
    for name, (x, y) in sorted(points.items(), key=lambda item: (-item[1][1], item[1][0])):
        left, at = x > CROWDED, y
        while any(abs(at - other) < ROOM[1] and abs(x - beside) < ROOM[0] for beside, other in taken):
            at -= ROOM[1] / 4
        taken.append((x, at))
        ax.text(x + (-0.03 if left else 0.03), at, name, ha="right" if left else "left", va="center", fontsize=7.5)


def draw(found: dict[str, dict[str, Any]]) -> Figure:
    """The return at deployment start under the reward that was trained on, and misbehaviour: medians with intervals."""
    figure = new_figure(8.4, 5.6)
    ax = figure.subplots()
    for one in _placed(found).values():
        shade, x, y = SHADES[one["quadrant"]], one["earned"], one["misbehaviour"]
        ax.plot([_in(x["low"]), _in(x["high"])], [y["median"]] * 2, color=shade, linewidth=1, alpha=0.6)
        ax.plot([_in(x["median"])] * 2, [y["low"], y["high"]], color=shade, linewidth=1, alpha=0.6)
        ax.plot([_in(x["median"])], [y["median"]], "o", color=shade, markersize=6)
    _names(ax, {n: (_in(one["earned"]["median"]), one["misbehaviour"]["median"]) for n, one in _placed(found).items()})
    for quadrant, shade in SHADES.items():
        ax.plot([], [], "o", color=shade, label=quadrant)
    ax.axvline(0.5, color=GRID, linewidth=1.5, zorder=0)
    ax.set_xlim(-1.1, 2.1)
    ax.set_ylim(-0.03, 1.06)
    ax.set_xlabel("return under the training reward (0: a new network, 1: the reference agents; cut at -1 and 2)")
    ax.set_ylabel("misbehaviour, share of the decision levels (unwatched)")
    ax.legend(frameon=False, loc="upper left", fontsize=8)
    quiet_axes(ax)
    ax.set_title("What kind of agents were deployed")
    return figure


def _in(x: float) -> float:
    """Within the axes."""
    return min(max(x, -1.0), 2.0)


def main(argv: list[str] | None = None) -> None:
    """Classifies the agents of every scenario at deployment start."""
    options = parser(__doc__, "attributions")
    args = options.parse_args(argv)
    results, found = dict[str, rs.Results](), dict[str, dict[str, Any]]()
    for name in sorted(catalogue.installed()):
        of_scenario(name, folder(args) / name, args.quick)
        results[name] = rs.open(folder(args) / name)
        found[name] = rs.classify(results[name])
        print(name, found[name]["quadrant"], found[name]["shares"])
    with mpl.rc_context(style()):
        figure = draw(found)
        literal(figure)
    finish(figure, args, "quadrants", results, found)


if __name__ == "__main__":
    main()
