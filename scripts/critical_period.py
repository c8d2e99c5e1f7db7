"""A critical period? T_c against the length of training, with SGD and with Adam, for the bandit and for a network.

For the bandit with the exact gradient T_c is linear: undoing n steps of training takes n steps plus a constant (the
policy clock F of docs/truth.md runs forwards and then backwards). For Adam there is no closed form, but its points are
exact too.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from _common import ALONE, finish, folder, parser, run
from matplotlib.ticker import NullLocator

import robustsim as rs
from robustsim.analysis.spectrum import clock
from robustsim.report.style import COLOURS, MARKERS, QUIET, SETTINGS, new_figure, quiet_axes
from robustsim.truth import theory

LENGTHS = (10, 30, 100, 300, 1000, 3000, 10_000)
NETWORK_LENGTHS = (200, 400, 800, 1600, 3200, 6400)
OPTIMIZERS = {"sgd": (1.0, 0.3), "adam": (0.05, 0.001)}  # learning rate of the bandit, and of the network
EPS = 0.05
NAMES = ("training.steps", "agent.optimizer", "agent.learning_rate")


def sweeps(quick: bool) -> dict[str, rs.Sweep]:
    """The two sweeps, by learner."""
    made = {}
    for index, (who, lengths) in enumerate((("bandit", LENGTHS), ("coin_corridor", NETWORK_LENGTHS))):
        chosen = lengths[: 3 if quick else None]
        points = [(n, name, rates[index]) for name, rates in OPTIMIZERS.items() for n in chosen]
        over = {name: [p[i] for p in points] for i, name in enumerate(NAMES)}
        settings: dict[str, Any] = {"training.competence": 0.0} | ALONE
        if who == "bandit":
            settings |= {"agent.initial_logit": 0.0, "deployment.budget": 30_000}
        else:
            settings |= {"overseer.visible": False, "deployment.budget": 100 if quick else 1500}
        seeds = 1 if who == "bandit" else 2 if quick else 32
        made[who] = rs.Sweep(who, over=over, seeds=seeds, settings=settings, design="zip")
    return made


def exact_line(lengths: np.ndarray) -> np.ndarray:
    """T_c of the continuous dynamics after n steps of training with a step of 1: n + [F(0) - F(theta_eps)]."""
    return lengths + theory.policy_clock(0.0) - theory.policy_clock(theory.log_odds(EPS))


def draw(results: dict[str, rs.Results]) -> tuple[Any, dict[str, Any]]:
    """The figure and its numbers."""
    numbers: dict[str, Any] = {}
    with mpl.rc_context(SETTINGS):
        figure = new_figure(9.0, 4.0)
        for ax, (who, found) in zip(figure.subplots(1, 2), results.items(), strict=True):
            for i, name in enumerate(OPTIMIZERS):
                rows = found.runs.filter(found.runs["agent.optimizer"] == name)
                lengths = sorted(rows["training.steps"].unique().to_list())
                clocks = [clock(rows.filter(rows["training.steps"] == n), "steps_to_correct") for n in lengths]
                numbers[f"{who}, {name}"] = dict(zip(map(str, lengths), clocks, strict=True))
                known = [(n, c) for n, c in zip(lengths, clocks, strict=True) if c["median"] is not None]
                xs, ys = [n for n, _ in known], [c["median"] + 1 for _, c in known]
                ax.plot(xs, ys, MARKERS[i], color=COLOURS[2 * i], label=f"{name}, simulated", markersize=6)
                ax.plot(xs, ys, color=COLOURS[2 * i], linewidth=0.8, alpha=0.6)
                for n, c in known:
                    high = c["high"] if c["high"] is not None else found.settings["deployment.budget"]
                    ax.plot([n, n], [(c["low"] or 0) + 1, high + 1], color=COLOURS[2 * i], linewidth=1.4)
                for n, c in zip(lengths, clocks, strict=True):
                    if c["median"] is None:
                        ax.plot(n, found.settings["deployment.budget"], "^", color=COLOURS[2 * i], fillstyle="none")
            if who == "bandit":
                n = np.geomspace(LENGTHS[0], max(found.runs["training.steps"]), 50)
                ax.plot(
                    n,
                    exact_line(n),
                    color=QUIET,
                    linestyle="--",
                    linewidth=1.2,
                    label=f"SGD, continuous: n + {exact_line(np.zeros(1))[0]:.0f}",
                )
                ax.set_title("bandit: correction takes as long as training")
            else:
                ax.set_title("coin_corridor, signal hidden: a network")
            ax.set(xscale="log", yscale="log", xlabel="gradient steps of training, n")
            ax.set_ylabel("gradient steps to correct, plus 1")
            if who != "bandit":  # less than a decade each way: label the lengths and a few counts
                ax.set_xticks(sorted(found.runs["training.steps"].unique().to_list()))
                ax.set_yticks([10, 20, 50, 100])
                for axis in (ax.xaxis, ax.yaxis):
                    axis.set_major_formatter("{x:g}")
                    axis.set_minor_locator(NullLocator())
            ax.legend(frameon=False, fontsize=8)
            quiet_axes(ax)
    return figure, numbers


def main(argv: list[str] | None = None) -> None:
    """Runs both sweeps and writes the figure."""
    args = parser(__doc__, "critical-period").parse_args(argv)
    results = {who: run(sweep, folder(args) / who) for who, sweep in sweeps(args.quick).items()}
    figure, numbers = draw(results)
    finish(figure, args, "critical-period", results, numbers)
    print(*(f"{k}: {v}" for k, v in numbers.items()), sep="\n")


if __name__ == "__main__":
    main()
