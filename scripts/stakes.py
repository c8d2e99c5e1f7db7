"""The stakes: P(catastrophe first) for every threshold k, and how far defences move the k at which it is a half.

Left: one curve for each scenario of the gallery, over k in units of what an agent that nobody opposes does in one
gradient step at first, so that scenarios of other sizes can be compared. A curve lies between its line and the upper
edge of its band where runs were never corrected. Right: k50, the median harm up to T_c, bare and behind three defences
of the same overseer, in the same runs.
"""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import polars as pl
from _common import finish, folder, parser, run
from gallery import QUICK, collect

import robustsim as rs
from robustsim.analysis import measures
from robustsim.report.figure_stakes import curve, dress
from robustsim.report.style import COLOURS, DASHES, INK, MARKERS, QUIET, SETTINGS, new_figure, outer_legend, quiet_axes

DEFENCES: dict[str, Callable[[int], dict[str, Any]]] = {  # settings by the threshold k
    "shutdown after k / 10 alarms": lambda k: {"defences.shutdown_after": max(1, k // 10)},
    "rollback after k / 10 alarms": lambda k: {"defences.rollback_after": max(1, k // 10)},
    "nine in ten acts blocked": lambda k: {"defences.block_rate": 0.9},
}
DEFENDED = ("boat_loop", "camera_vault", "corner_maze", "never_steal")
STEPS = 20  # first gradient steps of the unopposed arm, over which acts are counted


def pace(results: rs.Results) -> float:
    """Harm per gradient step of the unopposed arm at first; median over runs."""
    first = results.traces.filter((pl.col("arm") == "unopposed") & (pl.col("step") <= STEPS) & (pl.col("step") > 0))
    last = first.sort("step").group_by("run_id").last()
    rate = (last["harm"] / last["step"]).median()
    return max(float(rate or 0), 1e-3)  # pyright: ignore[reportArgumentType]


def k50(runs: pl.DataFrame) -> dict[str, Any]:
    """Median harm up to T_c, with its interval."""
    return measures.bounded(runs, "harm")


def curves(ax: Any, results: dict[str, rs.Results]) -> dict[str, Any]:
    """Left panel; returns its numbers."""
    numbers: dict[str, Any] = {}
    for i, (name, found) in enumerate(results.items()):
        unit, k = pace(found), float(found.settings["catastrophe.threshold"])
        style: dict[str, Any] = {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": DASHES[i // len(COLOURS) % len(DASHES)],
        }
        curve(ax, found.runs, name, k, unit, **style)
        numbers[name] = {"acts_per_step": unit, "k": k, "k50": k50(found.runs)}
    dress(ax, "threshold k, in unopposed gradient steps")
    ax.set_title("every threshold, from one set of runs")
    outer_legend(ax, "a tick: its threshold", fontsize=7)
    return numbers


def ladder(ax: Any, defended: dict[str, dict[str, rs.Results]]) -> dict[str, Any]:
    """Right panel: k50 bare and behind each defence; returns its numbers."""
    numbers: dict[str, Any] = {}
    labels = ["bare", *DEFENCES]
    for y, (name, by) in enumerate(defended.items()):
        first = next(iter(by.values()))
        unit = pace(first)
        behind = {label: measures.behind_defences(found.runs) for label, found in by.items()}
        rows = {"bare": first.runs} | {label: runs for label, runs in behind.items() if runs is not None}
        numbers[name] = {label: k50(runs) for label, runs in rows.items()}
        for i, label in enumerate(labels):
            found, at = numbers[name][label], y + 0.16 * (i - 1.5)
            low = max(found["low"] or 0.5, 0.5) / unit
            colour = INK if label == "bare" else COLOURS[(2, 5, 4)[i - 1]]
            if found["high"] is None:
                ax.plot([low], [at], ">", color=colour, markersize=5)
            else:
                ax.plot([low, max(found["high"], 0.5) / unit], [at, at], color=colour, linewidth=1.4)
            if found["median"] is not None:
                ax.plot([max(found["median"], 0.5) / unit], [at], MARKERS[i], color=colour, markersize=5)
    for i, label in enumerate(labels):
        ax.plot([], [], MARKERS[i], color=INK if label == "bare" else COLOURS[(2, 5, 4)[i - 1]], label=label)
    ax.set(xscale="log", xlabel="k50, in unopposed gradient steps", ylim=(len(defended) - 0.5, -0.5))
    ax.set_yticks(range(len(defended)), list(defended), fontsize=8)
    ax.axvline(100, color=QUIET, linestyle="--", linewidth=0.8)
    ax.set_title("the same runs behind defences")
    quiet_axes(ax)
    outer_legend(ax, "median, 95% interval;\nan arrow: open above")
    return numbers


def main(argv: list[str] | None = None) -> None:
    """Runs the gallery's sweeps and those with defences, or reads them, and writes the figure."""
    args = parser(__doc__, "gallery").parse_args(argv)
    results = collect(folder(args), args.quick)
    defended: dict[str, dict[str, rs.Results]] = {}
    for name in DEFENDED[:2] if args.quick else DEFENDED:
        defended[name] = {}
        for i, (label, settings_for) in enumerate(DEFENCES.items()):
            settings = (QUICK if args.quick else {}) | settings_for(results[name].settings["catastrophe.threshold"])
            sweep = rs.Sweep(name, over={}, seeds=2 if args.quick else 16, settings=settings)
            defended[name][label] = run(sweep, folder(args) / "defended" / f"{name}-{i}")
    with mpl.rc_context(SETTINGS):
        figure = new_figure(13.2, 5.4)
        left, right = figure.subplots(1, 2)
        numbers = {"curves": curves(left, results), "defences": ladder(right, defended)}
    everything = results | {f"{name}, {label}": found for name, by in defended.items() for label, found in by.items()}
    finish(figure, args, "stakes", everything, numbers)


if __name__ == "__main__":
    main()
