"""The third clock: an overseer that has to know before it corrects, against a catastrophe that does not wait.

A monitor of stated recall, with 1% false positives an episode, and an e-value at a level of 1%. Left: the bandit,
exact. Middle and right: camera_vault with a hidden camera, 32 agents; until the proof a share of the episodes is
audited, then all are watched. A recall of .66 is that of the monitors of LinuxArena (34% of sabotage undetected at 1%
false positives, arXiv 2604.15384), .94 that of the ensemble of Async Control (6%, arXiv 2512.13526).
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from _common import finish, folder, parser, run
from matplotlib.axes import Axes

import robustsim as rs
from robustsim.analysis.knowing import CAUSES, three_clocks
from robustsim.analysis.spectrum import clock
from robustsim.report.style import COLOURS, QUIET, SETTINGS, new_figure, quiet_axes
from robustsim.sim import batched
from robustsim.truth import validate_knowing

FALSE, ALPHA, STAKES = 0.01, 0.01, 40
RECALLS = (0.3, 0.66, 0.94)
AUDITED = (1e-5, 1e-4, 3e-4, 1e-3, 1e-2, 1e-1, 1.0)
STARTS = (-2, -1, 0, 1)
SHADES = dict(
    zip(CAUSES, (COLOURS[2], COLOURS[5], COLOURS[1], COLOURS[4], COLOURS[0], COLOURS[3], COLOURS[6]), strict=True)
)
COMMON = {
    "overseer.coverage": 1.0,
    "overseer.visible": False,
    "overseer.false_positive_rate": FALSE,
    "overseer.proof": ALPHA,
    "deployment.budget": 1500,
    "deployment.patience": 0.0,
    "deployment.relapse_steps": 0,
}
QUICK = {"training.steps": 500, "training.competence": 0.8, "deployment.budget": 200}


def in_the_bandit() -> dict[str, list[float]]:
    """P(the removal comes before the catastrophe) by recall, for each log odds at the start."""
    recalls, table = np.linspace(0.05, 1, 20), {}
    with batched.precision("float64"):
        for theta in STARTS:
            rows = [{"theta0": theta, "k": STAKES, "f": FALSE, "miss": float(1 - r), "alpha": ALPHA} for r in recalls]
            table[str(theta)] = [validate_knowing.exact(row)[1] for row in rows]
    return {"recall": [float(r) for r in recalls], **table}


def _bandit(ax: Axes, table: dict[str, list[float]]) -> None:
    for theta, shade in zip(STARTS, COLOURS, strict=False):
        rate = 1 / (1 + np.exp(-theta))
        ax.plot(table["recall"], table[str(theta)], color=shade, label=f"misbehaves at first in {rate:.2f}")
    ax.set(
        xlabel="recall of the monitor", ylabel="P(the removal comes first)", title=f"the bandit, exact, k = {STAKES}"
    )
    ax.legend(frameon=False, fontsize=7.5, loc="lower right")
    quiet_axes(ax)


def _times(ax: Axes, numbers: dict[str, dict[str, Any]]) -> None:
    for recall, shade in zip(RECALLS, COLOURS, strict=False):
        for name, style in (("steps_to_know", "-"), ("steps_to_correct", ":")):
            found = [(a, numbers[str(recall)][str(a)][name]["median"]) for a in AUDITED]
            drawn = [(a, max(t, 0.7)) for a, t in found if t is not None]
            label = f"recall {recall:g}" if name == "steps_to_know" else None
            if drawn:
                ax.plot(*zip(*drawn, strict=True), style, marker="o", markersize=3, color=shade, label=label)
    ax.set(xscale="log", yscale="log", xlabel="share of the episodes that is audited before the proof")
    ax.set(ylabel="gradient steps, median", title="T_d (solid), T_d + T_c (dotted)")
    ax.legend(frameon=False, fontsize=7.5)
    quiet_axes(ax)


def _causes(ax: Axes, found: dict[str, Any], recall: float) -> None:
    bottom = np.zeros(len(AUDITED))
    for cause in CAUSES:
        heights = np.array([found[str(a)]["lost to"][cause]["estimate"] for a in AUDITED])
        ax.bar(range(len(AUDITED)), heights, bottom=bottom, color=SHADES[cause], label=cause, width=0.8)
        bottom = bottom + heights
    ax.set_xticks(range(len(AUDITED)), [f"{a:g}" for a in AUDITED], fontsize=8)
    ax.set(
        xlabel="share audited before the proof",
        ylabel="share of agents",
        title=f"what lost the race, recall {recall:g}",
    )
    ax.legend(frameon=False, fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, labelcolor=QUIET)
    quiet_axes(ax)


def main(argv: list[str] | None = None) -> None:
    """Runs the sweep and writes the figure."""
    args = parser(__doc__, "knowing").parse_args(argv)
    over = {"overseer.miss_rate": [round(1 - r, 2) for r in RECALLS], "overseer.proof_coverage": list(AUDITED)}
    settings = COMMON | (QUICK if args.quick else {})
    sweep = rs.Sweep("camera_vault", over=over, seeds=2 if args.quick else 32, settings=settings)
    results = run(sweep, folder(args))
    numbers: dict[str, Any] = {}
    for recall in RECALLS:
        for audited in AUDITED:
            at = {"overseer.miss_rate": round(1 - recall, 2), "overseer.proof_coverage": audited}
            runs = results.where(at).runs
            names = ("steps_to_know", "steps_to_correct", "steps_to_catastrophe")
            one = {name: clock(runs, name) for name in names} | {"lost to": three_clocks(runs)}
            numbers.setdefault(str(recall), {})[str(audited)] = one
    exact = in_the_bandit()
    with mpl.rc_context(SETTINGS):
        figure = new_figure(11.4, 3.9)
        axes = figure.subplots(1, 3)
        _bandit(axes[0], exact)
        _times(axes[1], numbers)
        _causes(axes[2], numbers[str(RECALLS[1])], RECALLS[1])
    finish(figure, args, "knowing", {"camera_vault": results}, {"bandit": exact, **numbers})
    for recall, table in numbers.items():
        for audited, one in table.items():
            times = [one[name]["median"] for name in ("steps_to_know", "steps_to_correct", "steps_to_catastrophe")]
            print(recall, audited, *times, {k: round(v["estimate"], 2) for k, v in one["lost to"].items()})


if __name__ == "__main__":
    main()
