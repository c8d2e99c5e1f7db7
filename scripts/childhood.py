"""A drive of childhood and its dose: how long and how strongly early training paid for it, and what it takes to undo.

childhood_drive without its storms: in the first steps of training, entering the shelter before the coin pays `strength`
for `length` gradient steps; after that only the coin does, up to 6,000 steps in all. 32 agents each. The controls are
agents whose childhood paid nothing, and T_control, the steps that the same agents take to be taught anything else.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from _common import ALONE, deployable, finish, folder, parser
from matplotlib.axes import Axes

import robustsim as rs
from robustsim.analysis.spectrum import clock, middle, share
from robustsim.report.style import COLOURS, GRID, SETTINGS, new_figure, quiet_axes

LENGTHS, STRENGTHS = (500, 1500, 4500), (0.1, 0.3, 1.0)
BUDGET = 3000
COMMON = ALONE | {
    "env.storm": 0.0,
    "evaluation.control": True,
    "evaluation.reference": False,
    "deployment.stop": "catastrophe",
    "deployment.budget": BUDGET,
}
QUICK = {
    "training.steps": 200,
    "training.extension": 0.0,
    "training.competence": 0.0,
    "deployment.budget": 40,
    "evaluation.episodes": 128,
}


def summary(results: rs.Results) -> dict[str, Any]:
    """What is left of the drive at deployment start, and its clocks."""
    runs = results.runs
    there = runs.filter(runs["outcome"] != "nothing-to-correct")
    return {
        "competent": len(runs),
        "misbehaviour": middle(runs, "misbehaviour_unwatched"),
        "with something to correct": share(runs["outcome"] != "nothing-to-correct"),
        **{name: clock(there, f"steps_to_{name}") for name in ("correct", "control", "fade")},
    }


def _left(ax: Axes, numbers: dict[str, Any]) -> None:
    """Misbehaviour at deployment start by dose."""
    for i, strength in enumerate(STRENGTHS):
        for j, length in enumerate(LENGTHS):
            found, at = numbers[f"{length}, {strength:g}"]["misbehaviour"], j + (i - 1) * 0.15
            label = f"{strength:g} a visit" if j == 0 else None
            if found["median"] is not None:
                ax.plot([at, at], [found["low"], found["high"]], color=COLOURS[i], linewidth=1)
                ax.plot(at, found["median"], "o", color=COLOURS[i], label=label)
    never = numbers["none"]["misbehaviour"]["median"]
    ax.axhline(never, color=GRID, linewidth=1, zorder=0)
    ax.text(len(LENGTHS) - 0.6, never, "paid nothing", fontsize=7.5, va="bottom", ha="right")
    ax.set(ylim=(-0.03, 1.05), ylabel="misbehaviour", title="what is left at deployment start")
    ax.legend(frameon=False, fontsize=8)
    _lengths(ax)


def _clocks(ax: Axes, numbers: dict[str, Any]) -> None:
    """T_c filled and T_control open, by dose; a triangle where it is not identified, nothing where nothing is left."""
    for i, strength in enumerate(STRENGTHS):
        for j, length in enumerate(LENGTHS):
            if not numbers[f"{length}, {strength:g}"]["with something to correct"]["count"]:
                continue
            for k, name in enumerate(("correct", "control")):
                found, at = numbers[f"{length}, {strength:g}"][name], j + (i - 1) * 0.22 + (k - 0.5) * 0.08
                low, middle_, high = (BUDGET if found[key] is None else found[key] for key in ("low", "median", "high"))
                mark = "^" if found["median"] is None else "o"
                face = "white" if k else COLOURS[i]
                ax.plot([at, at], [max(low, 1), max(high, 1)], color=COLOURS[i], linewidth=1)
                ax.plot(at, max(middle_, 1), mark, color=COLOURS[i], markerfacecolor=face)
    ax.axhline(BUDGET, color=GRID, linewidth=1, zorder=0)
    ax.set(yscale="log", ylabel="gradient steps", title="T_c (filled), T_control (open)")
    _lengths(ax)


def _lengths(ax: Axes) -> None:
    ax.set_xticks(np.arange(len(LENGTHS)), [f"{x:,}" for x in LENGTHS])
    ax.set(xlim=(-0.5, len(LENGTHS) - 0.5), xlabel="gradient steps of childhood")
    quiet_axes(ax)


def main(argv: list[str] | None = None) -> None:
    """Runs every dose and writes the figure."""
    args = parser(__doc__, "childhood").parse_args(argv)
    common = COMMON | (QUICK if args.quick else {})
    seeds = 2 if args.quick else 32
    doses = {"none": {}} | {
        f"{length}, {strength:g}": {"training.penalty": -strength, "training.penalty_until": length}
        for length in LENGTHS
        for strength in STRENGTHS
    }
    results, numbers = {}, {}
    for name, dose in doses.items():
        sweep = rs.Sweep("childhood_drive", over={}, seeds=seeds, settings=common | dose)
        results[name] = deployable(sweep, folder(args) / name.replace(", ", "-"))
        numbers[name] = summary(results[name])
        one = numbers[name]
        print(name, one["competent"], one["misbehaviour"], *(one[x]["median"] for x in ("correct", "control", "fade")))
    with mpl.rc_context(SETTINGS):
        figure = new_figure(9.0, 3.6)
        left, right = figure.subplots(1, 2)
        _left(left, numbers)
        _clocks(right, numbers)
    finish(figure, args, "childhood", results, numbers)


if __name__ == "__main__":
    main()
