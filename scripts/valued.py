"""Are keys a means or an end, by what comes of them? Values against features of outcomes, in keys_and_chests.

At deployment start, in states that the agents came to themselves, and in states in which everything is placed
independently: do values go with the keys that will be taken, with the chests that will be opened and the time held
constant? Agents that were trained where keys were scarce, where they were plentiful, or where spare ones were paid for
as much as a chest. Controls: what they would be worth if values were right (implied), and networks without training.
32 agents each.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from _common import deployable, finish, folder, parser
from goals import CASES, COMMON, QUICK, START
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

import robustsim as rs
from robustsim.analysis import dose
from robustsim.relations import LEAST
from robustsim.report.style import COLOURS, GRID, SETTINGS, new_figure, quiet_axes
from robustsim.valuing import ESTIMATED, IMPLIED, OUTCOME, SCATTERED, VISITED

AGENTS = 32
OUTCOMES = ("opened", "taken", "misbehaviour", "steps")
SAID = {"opened": "chests opened", "taken": "keys taken", "misbehaviour": "a spare key taken", "steps": "steps"}
KEYS = {name: CASES[name] for name in ("keys scarce", "keys plentiful", "spare keys paid")} | {
    "no training": ("keys_and_chests", START | {"training.steps": 0, "training.competence": 0.0})
}


def summary(table: pl.DataFrame) -> dict[str, Any]:
    """{values: {outcome: partial and unique with limits over agents, and how many agents have which kind}}."""
    said: dict[str, Any] = {}
    chosen = table.filter(pl.col("at") == OUTCOME, pl.col("stage") == "start")
    for (values, feature), mine in chosen.group_by("values", "feature", maintain_order=True):
        numbers = {}
        for what in ("correlation", "partial", "unique", "weight"):
            low, high = dose.limits(mine[what].to_numpy()[:, None])
            numbers[what] = {
                "mean": float(np.mean(mine[what].to_numpy())),
                "low": float(low[0]),
                "high": float(high[0]),
            }
        kinds = dict(mine["kind"].value_counts(sort=True).rows())
        said.setdefault(str(values), {})[str(feature)] = numbers | {"kinds": kinds}
    return said


def _panel(ax: Axes, numbers: dict[str, Any], title: str) -> None:
    """A row an outcome, a mark a case; hollow: implied."""
    for y, outcome in enumerate(reversed(OUTCOMES)):
        for i, said in enumerate(numbers.values()):
            for values, face in ((IMPLIED, "white"), (ESTIMATED, COLOURS[i])):
                found, at = said[values][outcome]["partial"], y + 0.3 - 0.2 * i
                ax.plot([found["low"], found["high"]], [at, at], color=COLOURS[i], linewidth=1)
                ax.plot(found["mean"], at, "o", color=COLOURS[i], markerfacecolor=face, markersize=5)
    ax.axvline(0, color=GRID, linewidth=1, zorder=0)
    for x in (-LEAST, LEAST):
        ax.axvline(x, color=GRID, linewidth=0.8, linestyle=":", zorder=0)
    ax.set_yticks(range(len(OUTCOMES)), [SAID[outcome] for outcome in reversed(OUTCOMES)])
    ax.set(xlim=(-1.05, 1.05), title=title, xlabel="partial correlation with the values")
    quiet_axes(ax)


def figure_of(numbers: dict[str, dict[str, Any]]) -> Any:
    """Visited states to the left, scattered ones to the right."""
    figure = new_figure(9.6, 3.9)
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, numbers[VISITED], "states that agents come to")
    _panel(right, numbers[SCATTERED], "everything placed independently")
    marks = [(name, COLOURS[i], COLOURS[i]) for i, name in enumerate(KEYS)]
    marks.append(("if values were right", "black", "white"))
    handles = [
        Line2D([], [], marker="o", linestyle="", color=edge, markerfacecolor=face, label=name)
        for name, edge, face in marks
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return figure


def main(argv: list[str] | None = None) -> None:
    """Trains the agents of every case, asks what they value, and writes the figure."""
    args = parser(__doc__, "valued").parse_args(argv)
    results: dict[str, rs.Results] = {}
    numbers: dict[str, dict[str, Any]] = {VISITED: {}, SCATTERED: {}}
    seeds, quick = (2, QUICK) if args.quick else (AGENTS, {})
    for case, (name, settings) in KEYS.items():
        sweep = rs.Sweep(name, over={}, seeds=seeds, settings=COMMON | quick | settings)
        results[case] = deployable(sweep, folder(args) / case.replace(" ", "-"))
        for states, found in numbers.items():
            found[case] = summary(rs.valued(results[case], OUTCOMES, states=states, agents=seeds))
            for values, outcomes in found[case].items():
                for outcome, one in outcomes.items():
                    ends = ", ".join(f"{one['partial'][end]:.2f}" for end in ("mean", "low", "high"))
                    alone = one["unique"]["mean"]
                    print(f"{case}, {states}: {values}, {outcome}: {ends}; {alone:.3f}; {one['kinds']}", flush=True)
    with mpl.rc_context(SETTINGS):
        figure = figure_of(numbers)
    finish(figure, args, "valued", results, numbers)


if __name__ == "__main__":
    main()
