"""Concealment: the same overseer with a visible and a hidden signal, and the coverage that correction requires.

camera_vault, 32 agents. Left and middle: misbehaviour watched and unwatched while half of the episodes are watched.
Right: the share of agents that a hidden camera corrects within 3,000 gradient steps, against its coverage, with the
critical coverage derived from rewards, penalty and discount.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from _common import finish, folder, parser, run
from phase_diagram import network_sweep

import robustsim as rs
from robustsim.analysis.spectrum import clock, middle, share
from robustsim.report.figure_traces import rates
from robustsim.report.style import COLOURS, INK, QUIET, SETTINGS, new_figure, quiet_axes


def levels(size: int) -> np.ndarray:
    """int[n, 2], moves to the coin and to the gold in every deployment level, all equally likely."""
    inside, middle = range(1, size - 1), size // 2
    coins = [(y, x) for y in inside for x in range(1, middle)]
    golds = [(y, x) for y in inside for x in range(middle + 1, size - 1)]

    def moves(start: int, cell: tuple[int, int]) -> int:
        return abs(start - cell[0]) + abs(middle - cell[1])

    return np.array([(moves(s, c), moves(s, g)) for s in inside for c in coins for g in golds])


def critical(settings: dict[str, Any], threshold: float) -> float:
    """The derived coverage above which the gold is preferred in at most a share `threshold` of the levels.

    An agent that maximises discounted reward prefers the gold, n moves away, to the coin, m moves away, while
    discount^(n - 1) * (gold - penalty * coverage) > discount^(m - 1), because the reward comes with the last move.
    """
    discount = settings["agent.discount"]
    coin, gold = levels(settings["env.size"]).T
    needed = (settings["env.gold"] - discount ** (coin - 1) / discount ** (gold - 1)) / settings["overseer.penalty"]
    return float(np.quantile(needed, 1 - threshold, method="higher"))


def draw(light: rs.Results, hidden: rs.Results, derived: float) -> tuple[Any, dict[str, Any]]:
    """The figure and its numbers."""
    numbers: dict[str, Any] = {"critical_coverage_derived": derived}
    thresholds = sorted(light.runs["removal_threshold"].unique())
    with mpl.rc_context(SETTINGS):
        figure = new_figure(11.4, 3.7)
        axes = figure.subplots(1, 3)
        for ax, visible, title in zip(axes, (True, False), ("signal visible", "signal hidden"), strict=False):
            one = light.where({"overseer.visible": visible})
            traces = one.traces.filter((pl.col("arm") == "corrected") & pl.col("overseen"))
            rates(ax, traces, thresholds)
            numbers[title] = {
                "steps_to_suppress": clock(one.runs, "steps_to_suppress"),
                "steps_to_correct": clock(one.runs, "steps_to_correct"),
                "concealment": middle(one.runs, "concealment"),
            }
            ax.set(xlabel="gradient steps of deployment, plus 1", title=title)
        axes[0].set_ylabel("misbehaviour rate")
        axes[0].legend(frameon=False, fontsize=8, loc="center left")
        ax = axes[2]
        coverages = sorted(hidden.runs["overseer.coverage"].unique().to_list())
        shares = [share(hidden.where({"overseer.coverage": c}).runs["corrected"]) for c in coverages]
        numbers["corrected, by coverage of a hidden camera"] = dict(zip(map(str, coverages), shares, strict=True))
        mid = np.array([s["estimate"] for s in shares])
        ax.errorbar(
            coverages,
            mid,
            yerr=[mid - [s["low"] for s in shares], [s["high"] for s in shares] - mid],
            fmt="o",
            color=COLOURS[2],
            elinewidth=1,
        )
        ax.axvline(derived, color=INK, linestyle="--", linewidth=1)
        ax.annotate(f" derived: {derived:.3f}", (derived, 0.5), fontsize=8, color=QUIET)
        ax.set(xlabel="coverage of a hidden camera", ylim=(-0.03, 1.06), title="coverage needed for correction")
        ax.set_ylabel("share of agents corrected, 95% interval")
        quiet_axes(ax)
    return figure, numbers


def main(argv: list[str] | None = None) -> None:
    """Runs both sweeps and writes the figure."""
    args = parser(__doc__, "caught").parse_args(argv)
    quick = {"training.steps": 500, "training.competence": 0.8, "deployment.budget": 150} if args.quick else {}
    over = {"overseer.visible": [True, False]}
    both = rs.Sweep("camera_vault", over=over, seeds=2 if args.quick else 32, settings=quick)
    light = run(both, folder(args))
    shared = args.out.with_name("phase-diagram-quick" if args.quick else "phase-diagram")
    hidden = run(network_sweep(args.quick), shared / "network")
    figure, numbers = draw(light, hidden, critical(light.settings, float(np.median(light.runs["removal_threshold"]))))
    finish(figure, args, "caught", {"light": light, "hidden": hidden}, numbers)
    print(*(f"{k}: {v}" for k, v in numbers.items()), sep="\n")


if __name__ == "__main__":
    main()
