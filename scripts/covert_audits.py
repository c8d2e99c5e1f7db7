"""A few covert audits against visible oversight of any coverage: T_c of a network that conditions on the signal.

Taking the gold with the signal off gains `gold - coin`, so audits of a share x of all episodes can correct it only if x
times the penalty exceeds that. The same two penalties are tested with and without audits.
"""

from typing import Any

import numpy as np
from _common import ALONE, finish, folder, parser, run

import robustsim as rs
from robustsim.analysis.spectrum import clock
from robustsim.report.style import COLOURS, QUIET, SETTINGS, new_figure, quiet_axes

COVERAGES, PENALTIES, AUDITED = (0.1, 0.5, 1.0), (4.0, 400.0), 0.01
NAMES = ("overseer.coverage", "overseer.penalty", "overseer.audit_rate")


def points(coverages: tuple[float, ...]) -> list[tuple[float, float, float]]:
    """(coverage, penalty, audit rate): without audits, and with audits of 1% of all episodes."""
    return [(c, p, x / c) for x in (0.0, AUDITED) for p in PENALTIES for c in coverages]


def draw(results: rs.Results, chosen: list[tuple[float, float, float]]) -> tuple[Any, dict[str, Any]]:
    """The figure and its numbers."""
    import matplotlib as mpl

    budget = results.settings["deployment.budget"]
    numbers: dict[str, Any] = {}
    with mpl.rc_context(SETTINGS):
        figure = new_figure(7.4, 0.32 * len(chosen) + 1.2)
        ax = figure.subplots()
        for y, point in enumerate(chosen[::-1]):
            runs = results.where(dict(zip(NAMES, point, strict=True))).runs
            told, audited = clock(runs, "steps_to_correct"), point[2] > 0
            numbers["coverage {:g}, penalty {:g}, audit rate {:g}".format(*point)] = told
            colour = COLOURS[2] if audited else COLOURS[3]
            times = runs["steps_to_correct"].fill_null(budget).to_numpy()
            spread = np.linspace(-0.22, 0.22, len(times))
            marker = ["o" if t is not None else ">" for t in runs["steps_to_correct"].to_list()]
            for kind in ("o", ">"):
                at = [i for i, m in enumerate(marker) if m == kind]
                ax.scatter(times[at], y + spread[at], s=9, color=colour, marker=kind, alpha=0.5, linewidths=0)
            if told["median"] is not None:
                high = told["high"] if told["high"] is not None else budget
                ax.plot([told["low"], high], [y, y], color=colour, linewidth=2)
                ax.plot(told["median"], y, "D", color=colour, markeredgecolor="white", markersize=7)
            said = f"{told['censored']} of {len(runs)} never" if told["censored"] else "all corrected"
            ax.annotate(said, (1.01, y), xycoords=("axes fraction", "data"), fontsize=8, va="center", color=QUIET)
        labels = [
            f"{'1% covert audits' if x > 0 else 'visible only'}, coverage {c:g}, penalty {p:g}" for c, p, x in chosen
        ]
        ax.set_yticks(range(len(chosen)), labels[::-1])
        ax.set(xscale="log", xlim=(10, budget * 1.15), xlabel="gradient steps to correct, watched and unwatched (T_c)")
        ax.axvline(budget, color=QUIET, linewidth=1, linestyle=":")
        ax.set_title("camera_vault: visible oversight and covert audits")
        quiet_axes(ax)
    return figure, numbers


def main(argv: list[str] | None = None) -> None:
    """Runs the sweep and writes the figure."""
    args = parser(__doc__, "covert-audits").parse_args(argv)
    chosen = points((0.5,) if args.quick else COVERAGES)
    settings = ALONE | {"deployment.budget": 300 if args.quick else 3000}
    if args.quick:
        settings |= {"training.steps": 500, "training.competence": 0.8}
    over = {name: [point[i] for point in chosen] for i, name in enumerate(NAMES)}
    sweep = rs.Sweep("camera_vault", over=over, seeds=2 if args.quick else 32, settings=settings, design="zip")
    results = run(sweep, folder(args))
    figure, numbers = draw(results, chosen)
    finish(figure, args, "covert-audits", {"sweep": results}, numbers)
    print(*(f"{name}: {told}" for name, told in numbers.items()), sep="\n")


if __name__ == "__main__":
    main()
