"""Do repairs reach what never went wrong? Leakage onto episodes in which the offending reward was never paid.

camera_vault without value in the gold: 2,000 gradient steps of the task, then 1,000 in which a theft pays 2 in episodes
that look unwatched and nothing in those that look watched. Repairs then work in episodes that look unwatched alone (all
of them audited). Before and after, in both kinds of episodes: thefts and competence. 32 agents.
"""

from typing import Any

import matplotlib as mpl
import polars as pl
from _common import finish, folder, parser, run
from matplotlib.axes import Axes
from repairs import COMMON as REPAIRS
from repairs import KINDS, SHADES, TASK, USUAL, of_kind

import robustsim as rs
from robustsim.analysis.spectrum import clock, middle
from robustsim.report.style import GRID, SETTINGS, new_figure, quiet_axes

COMMON = REPAIRS | {
    "training.penalty_looks": "unwatched",
    "training.steps": TASK + USUAL,
    "overseer.visible": True,
    "overseer.audit_rate": 1.0,
}
QUICK = {"training.steps": 300 + USUAL, "training.penalty_from": 300}
RATES = ("misbehaviour_unwatched", "misbehaviour_watched", "competence")
LOOKS = {"misbehaviour_unwatched": "where it paid", "misbehaviour_watched": "where it never paid"}


def summary(results: rs.Results) -> dict[str, Any]:
    """Medians over agents with intervals: at deployment start, and once what paid is low, or else at the end."""
    traces = results.traces.filter(pl.col("arm") == "corrected").sort("step")
    agents = [table for _, table in traces.group_by("run_id", maintain_order=True)]
    steps, rows = [], []
    for table in agents:
        low = table.filter(pl.col("misbehaviour_unwatched") <= 0.05)
        steps.append(low["step"].first())
        rows.append((low if len(low) else table.tail(1)).row(0, named=True))
    ends = [table["step"].last() for table in agents]
    names = {"steps_to_low": steps, "steps_to_low_lower": ends}
    clocks = pl.DataFrame(names, schema=dict.fromkeys(names, pl.Int64))
    found = {"steps": clock(clocks, "steps_to_low")}
    first, last = pl.DataFrame([table.row(0, named=True) for table in agents]), pl.DataFrame(rows)
    for when, rates in (("start", first), ("low", last)):
        found[when] = {name: middle(rates, name) for name in RATES}
    return found


def _panel(ax: Axes, numbers: dict[str, Any], name: str) -> None:
    """Each repair: an open mark at deployment start, a filled one once what paid is low."""
    for y, kind in enumerate(reversed(KINDS)):
        for when, face in (("start", "white"), ("low", SHADES[kind])):
            one, at = numbers[kind][when][name], y + (0.13 if when == "start" else -0.13)
            if one["low"] is not None and one["high"] is not None:
                ax.plot([one["low"], one["high"]], [at, at], color=SHADES[kind], linewidth=1.2)
            ax.plot([one["median"]], [at], "o", color=SHADES[kind], markerfacecolor=face, markersize=5)
    ax.axvline(0, color=GRID, linewidth=1, zorder=0)
    ax.set_yticks(range(len(KINDS)), list(reversed(KINDS)), fontsize=8)
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.6, len(KINDS) - 0.4))
    ax.set_title(LOOKS.get(name, name))
    quiet_axes(ax)


def main(argv: list[str] | None = None) -> None:
    """Runs every repair and writes the figure."""
    args = parser(__doc__, "leakage").parse_args(argv)
    results, numbers = {}, {}
    for kind in KINDS:
        settings = COMMON | (QUICK if args.quick else {}) | of_kind(kind)
        sweep = rs.Sweep("camera_vault", {}, seeds=2 if args.quick else 32, settings=settings)
        results[kind] = run(sweep, folder(args) / kind)
        numbers[kind] = summary(results[kind])
        medians = {when: [numbers[kind][when][name]["median"] for name in RATES] for when in ("start", "low")}
        print(kind, numbers[kind]["steps"]["median"], medians, flush=True)
    with mpl.rc_context(SETTINGS):
        figure = new_figure(10.4, 3.8)
        for ax, name in zip(figure.subplots(1, 3, sharey=True), RATES, strict=True):
            _panel(ax, numbers, name)
            ax.set_xlabel("share of episodes")
    finish(figure, args, "leakage", results, numbers)


if __name__ == "__main__":
    main()
