"""A critical period? How hard a goal is to correct against how long it was trained: bandit and two networks.

Three quantities: T_c; T_c / T_control, where T_control is how long the same agent takes to learn something that has
nothing to do with its goal, so that a network that learns nothing any more is told apart; and the inertia, T_c with
competence as a multiple of what a new agent takes. SGD and Adam, the latter with its state reset at deployment start
(the default) and kept.

For the bandit with the exact gradient T_c is linear: undoing n steps of training takes n steps plus a constant (the
policy clock F of docs/truth.md runs forwards and then backwards). For Adam there is no closed form, but its points are
exact too. The bandit's control is the arm that it does not prefer; it has no inertia, for its world is one decision.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from _common import ALONE, finish, folder, parser, run
from matplotlib.ticker import LogLocator, NullFormatter

import robustsim as rs
from robustsim.analysis import measures
from robustsim.analysis.paired import median_ratio
from robustsim.analysis.spectrum import clock, times
from robustsim.report.style import COLOURS, MARKERS, QUIET, SETTINGS, new_figure, quiet_axes
from robustsim.sim.batched import key_of
from robustsim.truth import theory

LENGTHS = {
    "bandit": (10, 30, 100, 300, 1000, 3000, 10_000),
    "coin_corridor": (200, 400, 800, 1600, 3200, 6400),
    "corner_maze": (500, 1000, 2000, 4000, 8000),
}
CASES = {  # (optimizer, whether its state is reset): learning rate of the bandit, and of the networks
    ("sgd", True): (1.0, 0.3),
    ("adam", True): (0.05, 0.001),
    ("adam", False): (0.05, 0.001),
}
BUDGETS = {"coin_corridor": 2000, "corner_maze": 4000}
EPS = 0.05
NAMES = ("training.steps", "agent.optimizer", "online.reset_optimizer", "agent.learning_rate")
QUANTITIES = ("gradient steps to correct, plus 1", "T_c / T_control", "inertia")


def sweeps(quick: bool) -> dict[str, rs.Sweep]:
    """The sweeps, by world."""
    made = {}
    for who, lengths in LENGTHS.items():
        chosen, network = lengths[: 2 if quick else None], who != "bandit"
        points = [(n, *case, rates[network]) for case, rates in CASES.items() for n in chosen]
        over = {name: [p[i] for p in points] for i, name in enumerate(NAMES)}
        settings: dict[str, Any] = {
            "training.competence": 0.0,
            "evaluation.control": True,
            "catastrophe.threshold": 10**6,
        }
        settings |= ALONE | {"deployment.stop": "catastrophe"}
        if network:  # overseen on until it is redirected, which takes corner_maze long
            settings |= {"deployment.budget": 100 if quick else BUDGETS[who], "deployment.patience": 2.5}
            seeds: Any = 2 if quick else 16
        else:
            settings |= {"agent.initial_logit": 0.0, "deployment.budget": 30_000}
            seeds = [s for s in range(64) if key_of(who, "control action", s)[0] % 2 == 0][:1]  # the good arm
        made[who] = rs.Sweep(who, over=over, seeds=seeds, settings=settings, design="zip")
    return made


def exact_line(lengths: np.ndarray) -> np.ndarray:
    """T_c of the continuous dynamics after n steps of training with a step of 1: n + [F(0) - F(theta_eps)]."""
    return lengths + theory.policy_clock(0.0) - theory.policy_clock(theory.log_odds(EPS))


def read(results: rs.Results, n: int, optimizer: str, reset: bool) -> dict[str, Any]:
    """The three quantities of one configuration, each {median, low, high}, with its competence."""
    runs = results.where({NAMES[0]: n, NAMES[1]: optimizer, NAMES[2]: reset}).runs
    logs = median_ratio(times(runs, "steps_to_correct"), times(runs, "steps_to_control"))
    ratio = dict(zip(("median", "low", "high"), (None if x is None else 10**x for x in logs), strict=True))
    steps = clock(runs, "steps_to_correct")
    shifted = {key: None if steps[key] is None else steps[key] + 1 for key in ("median", "low", "high")}
    return {
        QUANTITIES[0]: shifted | {"censored": steps["censored"]},
        QUANTITIES[1]: ratio,
        QUANTITIES[2]: measures.inertia(runs),
        "T_control": clock(runs, "steps_to_control"),
        "competence": float(runs["competence"].median() or 0),  # pyright: ignore[reportArgumentType]
        "misbehaviour": float(runs["misbehaviour_unwatched"].median() or 0),  # pyright: ignore[reportArgumentType]
    }


def panel(ax: Any, who: str, quantity: str, found: dict[str, dict[str, Any]]) -> None:
    """One quantity in one world: a line for each optimizer."""
    for i, (label, by_length) in enumerate(found.items()):
        known = [(int(n), c[quantity]) for n, c in by_length.items() if c[quantity]["median"] is not None]
        colour, shift = COLOURS[(0, 1, 2)[i]], 1 + 0.04 * (i - 1)
        ax.plot([n * shift for n, _ in known], [c["median"] for _, c in known], color=colour, linewidth=0.8, alpha=0.6)
        ax.plot([n * shift for n, _ in known], [c["median"] for _, c in known], MARKERS[i], color=colour, label=label)
        for n, c in known:
            if c["low"] is not None and c["high"] is not None:
                ax.plot([n * shift] * 2, [c["low"], c["high"]], color=colour, linewidth=1.4)
    ax.set(xscale="log", yscale="log")
    if who == "bandit" and quantity == QUANTITIES[0]:
        n = np.geomspace(LENGTHS[who][0], LENGTHS[who][-1], 50)
        said = f"SGD, continuous: n + {exact_line(np.zeros(1))[0]:.0f}"
        ax.plot(n, exact_line(n), color=QUIET, linestyle="--", linewidth=1.2, label=said)
    empty = all(len(line.get_xdata()) == 0 for line in ax.lines)  # pyright: ignore[reportArgumentType]
    if quantity != QUANTITIES[0]:
        ax.axhline(1, color=QUIET, linewidth=0.8, linestyle=":")
    if empty:
        ax.text(
            0.5, 0.5, "not defined, or not identified", transform=ax.transAxes, ha="center", color=QUIET, fontsize=8
        )
    for axis in (ax.xaxis, ax.yaxis):  # less than a decade has no room for two kinds of labels
        axis.set_minor_formatter(NullFormatter())
        low, high = axis.get_view_interval()
        if high / max(low, 1e-9) < 30:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
    quiet_axes(ax)


def draw(results: dict[str, rs.Results]) -> tuple[Any, dict[str, Any]]:
    """The figure and its numbers."""
    numbers: dict[str, Any] = {}
    with mpl.rc_context(SETTINGS):
        figure = new_figure(10.5, 8.4)
        axes = figure.subplots(3, len(results))
        for column, (who, found) in zip(axes.T, results.items(), strict=True):
            lengths = sorted(found.runs[NAMES[0]].unique().to_list())
            read_ = {
                optimizer if optimizer == "sgd" else f"{optimizer}, state {'reset' if reset else 'kept'}": {
                    str(n): read(found, n, optimizer, reset) for n in lengths
                }
                for optimizer, reset in CASES
            }
            numbers[who] = read_
            for ax, quantity in zip(column, QUANTITIES, strict=True):
                panel(ax, who, quantity, read_)
            column[0].set_title(who)
            column[-1].set_xlabel("gradient steps of training, n")
        for ax, quantity in zip(axes[:, 0], QUANTITIES, strict=True):
            ax.set_ylabel(quantity)
        axes[0, 0].legend(frameon=False, fontsize=8)
    return figure, numbers


def main(argv: list[str] | None = None) -> None:
    """Runs the sweeps and writes the figure."""
    args = parser(__doc__, "critical-period").parse_args(argv)
    results = {who: run(sweep, folder(args) / who) for who, sweep in sweeps(args.quick).items()}
    figure, numbers = draw(results)
    finish(figure, args, "critical-period", results, numbers)
    for who, by_case in numbers.items():
        for case, by_length in by_case.items():
            for n, found in by_length.items():
                shown = {key: value["median"] if isinstance(value, dict) else value for key, value in found.items()}
                print(who, case, n, shown)


if __name__ == "__main__":
    main()
