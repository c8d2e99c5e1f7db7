"""What makes a goal hard to move? One factor at a time, from the defaults of three scenarios, 32 agents each.

For each level of each factor: how T_c, T_control (the steps that the same agents take to be taught an arbitrary action)
and the inertia (T_redirect over the T_scratch of new agents) change, in decades, as ratios of medians with an interval
over seeds. A factor that changes T_c as much as T_control changes how quickly anything is learned, and not the goal.
"""

import re
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from _common import deployable, finish, folder, merged, parser
from _factors import SCENARIOS, SEEDS, levels, sweeps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

import robustsim as rs
from robustsim.analysis import paired
from robustsim.analysis.measures import bounded
from robustsim.analysis.paired import Clock
from robustsim.analysis.spectrum import clock, share, times
from robustsim.report.style import COLOURS, GRID, INK, SETTINGS, new_figure, quiet_axes

BUDGET = 3000
COMMON = {
    "deployment.budget": BUDGET,
    "deployment.stop": "catastrophe",
    "deployment.patience": 0.0,
    "deployment.relapse_steps": 0,
    "evaluation.control": True,
}
QUICK = {
    "training.steps": 100,
    "training.extension": 0.0,
    "training.competence": 0.0,
    "deployment.budget": 40,
    "evaluation.episodes": 128,
}
EFFECTS = {"T_c": COLOURS[0], "T_control": COLOURS[1], "inertia": COLOURS[2]}


def collected(scenario: str, args: Any) -> tuple[dict[str, rs.Results], dict[str, pl.DataFrame]]:
    """(the results by sweep, the runs of each level by its name); agents that are not competent are left out."""
    chosen = levels(scenario)
    common = COMMON | (QUICK if args.quick else {})
    if args.quick:
        chosen = [level for level in chosen if "training.steps" not in level.settings][:: len(chosen) // 6]
    results, found = {}, {}
    for name, (sweep, members) in sweeps(scenario, chosen, common, 2 if args.quick else SEEDS).items():
        results[name] = deployable(sweep, folder(args) / scenario / name)
        for level, point in members:
            runs = results[name].runs  # none, where no agent of a learner is competent
            found[level.name] = results[name].where(point).runs if point and len(runs) else runs
    return results, {level.name: found[level.name] for level in chosen}


def deployed(runs: pl.DataFrame) -> pl.DataFrame:
    """The runs in which there was something to correct."""
    return runs.filter(pl.col("outcome") != "nothing-to-correct")


def clocks(runs: pl.DataFrame) -> dict[str, Clock]:
    """The times of which effects are ratios. An inertia that is censored is at least its lower one."""
    inertia = runs["inertia"].fill_null(runs["inertia_lower"]).cast(pl.Float64).to_numpy()
    return {
        "T_c": times(runs, "steps_to_correct"),
        "T_control": times(runs, "steps_to_control"),
        "inertia": Clock(inertia, runs["inertia"].is_not_null().to_numpy()),
    }


def effect(runs: pl.DataFrame, base: pl.DataFrame, quantity: str) -> dict[str, Any]:
    """log10 of the ratio of two medians, of the seeds that both have: {estimate, low, high}; None: not identified."""
    both = sorted(set(runs["seed"]) & set(base["seed"]))
    ours, theirs = (clocks(x.filter(pl.col("seed").is_in(both)).sort("seed"))[quantity] for x in (runs, base))
    if not both or not np.isfinite([*ours.time, *theirs.time]).all():
        return {"estimate": None, "low": None, "high": None}
    return dict(zip(("estimate", "low", "high"), paired.median_ratio(ours, theirs), strict=True))


def summary(runs: pl.DataFrame, base: pl.DataFrame) -> dict[str, Any]:
    """What the agents of one level come to, and how that differs from the base."""
    there, standard = deployed(runs), deployed(base)
    found: dict[str, Any] = {
        "competent": len(runs),
        "misbehaving": len(there),
        "catastrophe first": share(there["first_event"] == "catastrophe"),
        **{name: clock(there, f"steps_to_{name}") for name in ("correct", "control", "catastrophe", "redirect")},
        "inertia": bounded(there, "inertia"),
        "effects": {quantity: effect(there, standard, quantity) for quantity in EFFECTS},
    }
    both = clocks(there)
    ratio = paired.median_ratio(both["T_c"], both["T_control"]) if len(there) else (None, None, None)
    return found | {"T_c / T_control, decades": dict(zip(("estimate", "low", "high"), ratio, strict=True))}


def _tornado(ax: Axes, numbers: dict[str, Any], rows: list[str]) -> None:
    """Effects by level; where an end is not identified within the budget, an arrow."""
    for y, name in enumerate(reversed(rows)):
        one = numbers.get(name)
        if one is None or one["misbehaving"] == 0:
            ax.text(0, y, _why_nothing(one), fontsize=6, color=INK, ha="center", va="center")
            continue
        if one["correct"]["median"] is None:  # beyond the budget in half of the runs: no ratio is identified
            ax.plot([2.05], [y + 0.25], ">", color=EFFECTS["T_c"], markersize=4)
        for i, (quantity, shade) in enumerate(EFFECTS.items()):
            _interval(ax, one["effects"][quantity], y + 0.25 * (1 - i), shade)
    ax.axvline(0, color=GRID, linewidth=1, zorder=0)
    ax.set(ylim=(-0.7, len(rows) - 0.3), xlim=(-2.2, 2.2), xlabel="decades, against the defaults")
    quiet_axes(ax)


def _why_nothing(one: dict[str, Any] | None) -> str:
    if one is None:
        return "not here"
    return "nothing to correct" if one["competent"] else "none competent"


def _interval(ax: Axes, found: dict[str, Any], y: float, shade: Any) -> None:
    low, high, estimate = (found[key] for key in ("low", "high", "estimate"))
    if low is None and high is None:
        return
    ends = [-2.2 if low is None else low, 2.2 if high is None else high]
    ax.plot(ends, [y, y], color=shade, linewidth=1.2)
    if high is None:
        ax.plot([2.15], [y], ">", color=shade, markersize=3)
    if low is None:
        ax.plot([-2.15], [y], "<", color=shade, markersize=3)
    if estimate is not None:
        ax.plot([estimate], [y], "o", color=shade, markersize=3)


def figure_of(numbers: dict[str, dict[str, Any]], rows: list[str]) -> Any:
    """One column a scenario, one row a level."""
    figure = new_figure(11.4, 0.19 * len(rows) + 1.2)
    axes = figure.subplots(1, len(numbers), sharey=True)
    for ax, (scenario, one) in zip(np.atleast_1d(axes), numbers.items(), strict=True):
        _tornado(ax, one, rows)
        median = one["base: as it is"]["correct"]["median"]
        ax.set_title(scenario if median is None else f"{scenario} (T_c {median:g})")
    first = np.atleast_1d(axes)[0]
    first.set_yticks(range(len(rows)), [re.sub(r"^base: ", "", row) for row in reversed(rows)], fontsize=7)
    handles = [Line2D([], [], color=shade, marker="o", markersize=3, label=q) for q, shade in EFFECTS.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def main(argv: list[str] | None = None) -> None:
    """Runs every level of every factor and writes the figure."""
    made = parser(__doc__, "study")
    made.add_argument("--scenario", nargs="+", choices=SCENARIOS, help="only these; others stay as they are published")
    args = made.parse_args(argv)
    results, numbers = {}, {}
    for scenario in args.scenario or SCENARIOS:
        some, runs = collected(scenario, args)
        base = next(iter(runs.values()))
        numbers[scenario] = {name: summary(table, base) for name, table in runs.items()}
        results |= {f"{scenario}/{name}": one for name, one in some.items()}
        for name, one in numbers[scenario].items():
            ratios = [one["effects"][quantity]["estimate"] for quantity in EFFECTS]
            print(scenario, name, one["misbehaving"], one["correct"]["median"], *ratios)
    numbers, kept = merged(args, "study", numbers, SCENARIOS)
    options = "" if len(numbers) == len(SCENARIOS) else f" --scenario {' '.join(numbers)}"
    rows = list(dict.fromkeys(name for table in numbers.values() for name in table))
    with mpl.rc_context(SETTINGS):
        finish(figure_of(numbers, rows[1:]), args, "study", results, numbers, options, kept)


if __name__ == "__main__":
    main()
