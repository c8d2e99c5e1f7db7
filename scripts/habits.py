"""Two clocks of one correction: pulls within a trial, until the memory heeds a fine, and gradient steps for good.

habit_bandits, 32 agents each. Three kinds of agents: one with a memory whose training deducts the fine (RL^2), the same
where training deducts nothing, so that there is no reason to heed it, and one without a memory that is trained as the
first. Left: what they do within a trial before any feedback in deployment. Middle: the first pull of a trial, when the
memory has just been wiped, during correction. Right: gradient steps until the till is not tried any more.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from _common import ALONE, finish, folder, parser, run
from matplotlib.axes import Axes

import robustsim as rs
from robustsim.analysis.carried import quartiles
from robustsim.analysis.spectrum import clock, middle
from robustsim.report.style import COLOURS, GRID, SETTINGS, new_figure, quiet_axes

AGENTS: dict[str, dict[str, Any]] = {
    "memory": {},
    "memory, never fined in training": {"env.taught": 0.0},
    "no memory": {"agent.network": "mlp"},
}
PENALTIES = (2.0, 4.0, 8.0)
PARTS = ("first_pull_watched", "later_pulls_watched", "first_pull_unwatched", "later_pulls_unwatched")
BUDGET = 600
QUICK = {"training.steps": 300, "training.competence": 0.0, "deployment.budget": 60, "evaluation.episodes": 128}


def summary(results: rs.Results) -> dict[str, Any]:
    """What a configuration does within trials at deployment start, and its clocks of gradient steps."""
    runs = results.runs
    found = {part: middle(runs, f"start_{part}") for part in PARTS}
    later = results.settings["env.pulls"] - 1
    tried = runs.select(tried=pl.col(f"start_{PARTS[0]}") + later * pl.col(f"start_{PARTS[1]}"))
    return {
        "competence": middle(runs, "competence"),
        "at the start": found,
        "pulls at the till in a watched trial": middle(tried, "tried"),
        **{name: clock(runs, name) for name in ("steps_to_correct", "steps_to_fade")},
        "at the end": {part: middle(runs, f"final_{part}") for part in PARTS},
    }


def _within(ax: Axes, numbers: dict[str, dict[str, Any]]) -> None:
    """Shares of pulls at the till at deployment start, of each kind of agent."""
    wide = 0.8 / len(AGENTS)
    for i, (agent, shade) in enumerate(zip(AGENTS, COLOURS, strict=False)):
        found = [numbers[agent][str(PENALTIES[0])]["at the start"][part] for part in PARTS]
        heights = np.array([part["median"] for part in found])
        ends = np.abs(np.array([[part["low"], part["high"]] for part in found]).T - heights)
        at = np.arange(len(PARTS)) + (i - 1) * wide
        ax.bar(at, heights, wide, color=shade, label=agent, yerr=ends, error_kw={"linewidth": 0.8})
    ax.set_xticks(range(len(PARTS)), ["first", "later", "first", "later"], fontsize=8)
    ax.set(xlabel="pulls: watched trials (left), unwatched (right)", ylabel="share at the till", ylim=(0, 1.35))
    ax.set_title("within a trial, at deployment start")
    ax.set_yticks([0, 0.5, 1])
    ax.legend(frameon=False, fontsize=7.5, loc="upper left")
    quiet_axes(ax)


def _wiped(ax: Axes, results: dict[str, rs.Results]) -> None:
    """First pulls over gradient steps, medians: solid with a memory that heeds fines, dotted with one that does not."""
    for agent, style in zip(list(AGENTS)[:2], ("-", ":"), strict=True):
        for penalty, shade in zip(PENALTIES, COLOURS, strict=False):
            rows = results[agent].where({"overseer.penalty": penalty}).traces.filter(pl.col("arm") == "corrected")
            drawn = quartiles(rows, "first_pull_unwatched")
            label = f"penalty {penalty:g}" if style == "-" else None
            ax.plot(drawn.step + 1, drawn.median, style, color=shade, label=label)
    ax.set(xscale="log", xlabel="gradient steps + 1", ylabel="first pulls at the till, unwatched", ylim=(-0.03, 1.35))
    ax.set_title("after a wipe (dotted: never fined)")
    ax.set_yticks([0, 0.5, 1])
    ax.legend(frameon=False, fontsize=7.5, loc="upper left", ncols=3)
    quiet_axes(ax)


def _clocks(ax: Axes, numbers: dict[str, dict[str, Any]]) -> None:
    """T_c by penalty; a run that is not corrected within the budget is drawn there."""
    for i, (agent, shade) in enumerate(zip(AGENTS, COLOURS, strict=False)):
        for j, penalty in enumerate(PENALTIES):
            time, at = numbers[agent][str(penalty)]["steps_to_correct"], j + (i - 1) * 0.15
            middle_, low, high = (BUDGET if time[end] is None else time[end] for end in ("median", "low", "high"))
            open_ = time["median"] is None
            ax.plot([at, at], [low, high], color=shade, linewidth=1)
            face = "white" if open_ else shade
            ax.plot(
                at, middle_, "^" if open_ else "o", color=shade, markerfacecolor=face, label=agent if not j else None
            )
    ax.axhline(BUDGET, color=GRID, linewidth=1, zorder=0)
    ax.set_xticks(range(len(PENALTIES)), [f"{x:g}" for x in PENALTIES])
    ax.set(yscale="log", xlabel="penalty for a pull at the till", ylabel="gradient steps")
    ax.set_title("T_c (open: not within the budget)")
    quiet_axes(ax)


def main(argv: list[str] | None = None) -> None:
    """Runs the three kinds of agents and writes the figure."""
    args = parser(__doc__, "habits").parse_args(argv)
    common = ALONE | {"deployment.budget": BUDGET, "evaluation.reference": False} | (QUICK if args.quick else {})
    results, numbers = {}, {}
    for i, (agent, own) in enumerate(AGENTS.items()):
        over = {"overseer.penalty": list(PENALTIES)}
        sweep = rs.Sweep("habit_bandits", over=over, seeds=2 if args.quick else 32, settings=common | own)
        results[agent] = run(sweep, folder(args) / str(i))
        numbers[agent] = {str(x): summary(results[agent].where({"overseer.penalty": x})) for x in PENALTIES}
    with mpl.rc_context(SETTINGS):
        figure = new_figure(11.4, 3.6)
        axes = figure.subplots(1, 3)
        _within(axes[0], numbers)
        _wiped(axes[1], results)
        _clocks(axes[2], numbers)
    finish(figure, args, "habits", results, numbers)
    for agent, table in numbers.items():
        for penalty, one in table.items():
            pulls = one["pulls at the till in a watched trial"]["median"]
            times = [one[name]["median"] for name in ("steps_to_correct", "steps_to_fade")]
            print(agent, penalty, one["competence"]["median"], pulls, *times)


if __name__ == "__main__":
    main()
