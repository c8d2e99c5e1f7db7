"""Repairs: an offending reward is paid for a while, and then undone in eight ways. Is their order a law?

camera_vault without value in the gold: 2,000 gradient steps of the task, then some in which every theft pays 2; 32
agents. Upper left: the bandit, exact. Upper right: misbehaviour after each repair. Lower left: steps until removal
against the dose (gradient steps of the offending reward) and the coverage. Lower right: how far the policy is from the
one before, and what is left of its competence, at the removal.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from _common import finish, folder, parser, run
from matplotlib.axes import Axes

import robustsim as rs
from robustsim.analysis.spectrum import clock, middle
from robustsim.report.style import COLOURS, INK, QUIET, SETTINGS, new_figure, quiet_axes
from robustsim.truth.validate import exact_times

TASK, OFFENCE = 2000, 2.0
KINDS = ("reversal", "clone", "penalty", "demonstration", "replay", "screen", "corrected", "silent")
SHADES: dict[str, str] = dict(zip(KINDS, [*COLOURS, INK, QUIET], strict=False))
COMMON = {
    "env.gold": 0.0,
    "training.penalty": -OFFENCE,
    "training.penalty_from": TASK,
    "training.record": 16,
    "training.extension": 0.0,
    "training.competence": 0.0,
    "overseer.penalty": OFFENCE,
    "overseer.coverage": 1.0,
    "overseer.visible": False,
    "overseer.granularity": "step",
    "deployment.stop": "first_event",
    "deployment.budget": 1000,
    "catastrophe.threshold": 10**9,
}
DOSES, COVERAGES = (400, 1000, 4000), (0.1, 0.3)
USUAL, MOST = 1000, 4000
PLACES = {"corrected": (6, 6), "demonstration": (-76, -3), "clone": (4, -12)}
BANDIT_DOSES = (25, 50, 100, 200, 400, 800)


def of_kind(kind: str) -> dict[str, Any]:
    """The settings of a repair. Reversed, the offending reward is deducted once, as much as the penalty is."""
    if kind == "silent":
        return {"overseer.coverage": 0.0}
    return {"overseer.feedback": kind} | ({"overseer.penalty": 1.0} if kind == "reversal" else {})


def cases(quick: bool) -> dict[str, dict[str, Any]]:
    """Settings by name: doses and coverages."""
    task = 300 if quick else TASK
    table = {f"dose {n}": {"training.steps": task + n} for n in DOSES[: 1 if quick else None]}
    usual = {"training.steps": task + USUAL}
    if not quick:
        table |= {f"coverage {c:g}": usual | {"overseer.coverage": c} for c in COVERAGES}
    return {name: COMMON | {"training.penalty_from": task} | own for name, own in table.items()}


def in_the_bandit() -> dict[str, list[int | None]]:
    """Gradient steps until removal by dose: exact. None: never, within 100,000."""
    base = {
        "agent.learning_rate": 0.5,
        "agent.initial_logit": -4.0,
        "training.penalty": -OFFENCE,
        "training.record": 1,
        "training.watched": 0.0,
        "overseer.visible": False,
        "overseer.penalty": OFFENCE,
        "deployment.budget": 100_000,
    }
    table: dict[str, list[int | None]] = {}
    for kind in (k for k in KINDS if k != "silent"):
        settings = [base | of_kind(kind) | {"training.steps": n} for n in BANDIT_DOSES]
        found = exact_times(settings)
        table[kind] = [int(got["both"]) if got["both"] >= 0 else None for got in found]
    return table


def summary(results: rs.Results) -> dict[str, Any]:
    """T_c, and at the removal the distance from the policy before, the competence and the misbehaviour."""
    removal = results.runs.select("run_id", step="steps_to_correct")
    last = results.traces.filter(pl.col("arm") == "corrected").join(removal, on=["run_id", "step"])
    return {
        "steps_to_correct": clock(results.runs, "steps_to_correct"),
        "moved": middle(last, "policy_moved"),
        "competence": middle(last, "competence"),
    }


def _bandit(ax: Axes, table: dict[str, list[int | None]]) -> None:
    for kind, times in table.items():
        known = [(n, t) for n, t in zip(BANDIT_DOSES, times, strict=True) if t is not None]
        if known:
            ax.plot(*zip(*known, strict=True), marker="o", markersize=3, color=SHADES[kind], label=kind)
    never = ", ".join(kind for kind, times in table.items() if not any(t is not None for t in times))
    ax.annotate(f"never: {never}", (0.03, 0.93), xycoords="axes fraction", fontsize=7.5, color=QUIET)
    ax.set(xscale="log", yscale="log", xlabel="gradient steps of the offending reward", title="the bandit, exact")
    ax.set_xticks(BANDIT_DOSES, map(str, BANDIT_DOSES))
    ax.minorticks_off()
    ax.set_ylabel("steps until removal")
    quiet_axes(ax)


def _curves(ax: Axes, found: dict[str, rs.Results]) -> None:
    for kind, results in found.items():
        traces = results.traces.filter(pl.col("arm") == "corrected")
        grid = sorted(traces["step"].unique().to_list())
        runs = [run.sort("step") for _, run in traces.group_by("run_id")]
        table = np.array([_held(run, grid) for run in runs])
        ax.plot(np.array(grid) + 1, table.mean(0), color=SHADES[kind], linewidth=1.4, label=kind)
    ax.set(xscale="log", xlabel="gradient steps of repair, plus 1", title=f"camera_vault, dose {USUAL}")
    ax.set_ylabel("misbehaviour rate, mean of 32 agents")
    ax.legend(frameon=False, fontsize=7.5)
    quiet_axes(ax)


def _held(run: pl.DataFrame, grid: list[int]) -> np.ndarray:
    """The rate at each step of a grid; after the end of a run, its last one."""
    at = np.searchsorted(run["step"].to_numpy(), grid, side="right") - 1
    return run["misbehaviour_unwatched"].to_numpy()[at]


def _times(ax: Axes, numbers: dict[str, dict[str, Any]]) -> None:
    names = list(numbers)
    for j, kind in enumerate(KINDS):
        for i, name in enumerate(names):
            found, x = numbers[name][kind]["steps_to_correct"], i + (j - 3.5) / 11
            if found["median"] is not None:
                ax.plot([x], [max(found["median"], 1)], "o", color=SHADES[kind], markersize=4)
                low, high = found["low"] or found["median"], found["high"] or MOST
                ax.plot([x, x], [max(low, 1), max(high, 1)], color=SHADES[kind], linewidth=1)
            else:
                ax.plot([x], [MOST], "^", color=SHADES[kind], markersize=5)
    ax.set(yscale="log", xticks=range(len(names)), title="steps until removal (a triangle: out of budget)")
    ax.set_xticklabels(names, fontsize=8)
    ax.set_ylabel("median, 95% interval")
    quiet_axes(ax)


def _after(ax: Axes, numbers: dict[str, Any]) -> None:
    for kind in KINDS:
        moved, competence = numbers[kind]["moved"], numbers[kind]["competence"]
        if moved["median"] is None:
            continue
        ax.plot([moved["median"]], [competence["median"]], "o", color=SHADES[kind])
        ax.plot([moved["low"], moved["high"]], [competence["median"]] * 2, color=SHADES[kind], linewidth=1)
        ax.plot([moved["median"]] * 2, [competence["low"], competence["high"]], color=SHADES[kind], linewidth=1)
        place = PLACES.get(kind, (6, 3))
        if kind == "silent":  # the same as corrected
            continue
        at = (moved["median"], competence["median"])
        ax.annotate(
            "corrected, silent" if kind == "corrected" else kind,
            at,
            xytext=place,
            textcoords="offset points",
            fontsize=7.5,
            color=INK,
        )
    ax.set(xlabel="KL(policy before || policy), nats", ylabel="competence", title=f"at the removal, dose {USUAL}")
    quiet_axes(ax)


def main(argv: list[str] | None = None) -> None:
    """Runs every repair of every case and writes the figure."""
    args = parser(__doc__, "repairs").parse_args(argv)
    found: dict[str, dict[str, rs.Results]] = {}
    for name, settings in cases(args.quick).items():
        for kind in KINDS:
            sweep = rs.Sweep("camera_vault", {}, seeds=2 if args.quick else 32, settings=settings | of_kind(kind))
            found.setdefault(name, {})[kind] = run(sweep, folder(args) / name.replace(" ", "-") / kind)
    numbers = {name: {kind: summary(one) for kind, one in kinds.items()} for name, kinds in found.items()}
    usual = f"dose {USUAL}" if f"dose {USUAL}" in found else next(iter(found))
    exact = in_the_bandit()
    with mpl.rc_context(SETTINGS):
        figure = new_figure(11.4, 7.6)
        axes = figure.subplots(2, 2)
        _bandit(axes[0, 0], exact)
        _curves(axes[0, 1], found[usual])
        _times(axes[1, 0], numbers)
        _after(axes[1, 1], numbers[usual])
    flat = {f"{name}, {kind}": one for name, kinds in found.items() for kind, one in kinds.items()}
    finish(figure, args, "repairs", flat, {"bandit": exact, **numbers})
    for name, kinds in numbers.items():
        for kind, one in kinds.items():
            print(name, kind, one["steps_to_correct"]["median"], one["moved"]["median"], one["competence"]["median"])


if __name__ == "__main__":
    main()
