"""The race over coverage and stakes: P(catastrophe first), for the bandit with its exact boundary, and for a network.

A run's path does not depend on how many misbehaviours make a catastrophe (no loss of control here), so one sweep over
coverage gives every row of the diagram: the catastrophe comes first exactly if k misbehaviours or more precede removal.
"""

from typing import Any

import numpy as np
import polars as pl
from _common import ALONE, finish, folder, parser, run
from matplotlib.patches import Rectangle

import robustsim as rs
from robustsim.analysis.spectrum import share
from robustsim.report.style import INK, QUIET, RACE, SETTINGS, new_figure
from robustsim.truth import theory

COVERAGE = "overseer.coverage"


def first_share(runs: pl.DataFrame, thresholds: np.ndarray) -> tuple[list[float], np.ndarray, np.ndarray]:
    """(coverages, P(catastrophe first), share of runs with neither within the budget), float[thresholds, n]."""
    coverages, first, neither = [], [], []
    for (coverage,), group in runs.sort(COVERAGE).group_by(COVERAGE, maintain_order=True):
        before, open_ = group["harm_lower"].to_numpy(), ~group["corrected"].to_numpy()
        coverages.append(float(coverage))  # pyright: ignore[reportArgumentType]
        first.append([share(before >= k)["estimate"] for k in thresholds])
        neither.append([float((open_ & (before < k)).mean()) for k in thresholds])
    return coverages, np.array(first).T, np.array(neither).T


def _paint(ax: Any, coverages: list[float], thresholds: np.ndarray, table: np.ndarray, neither: np.ndarray) -> Any:
    x = np.array(coverages)
    edges = np.concatenate([[x[0] - (x[1] - x[0]) / 2], (x[1:] + x[:-1]) / 2, [x[-1] + (x[-1] - x[-2]) / 2]])
    ratio = np.sqrt(thresholds[1] / thresholds[0])
    rows = np.concatenate([thresholds / ratio, [thresholds[-1] * ratio]])
    mesh = ax.pcolormesh(edges, rows, table, cmap=RACE, vmin=0, vmax=1, rasterized=True)
    for y, x in np.argwhere(neither > 0.5):  # hatched: most runs reach neither event within the budget
        ax.add_patch(
            Rectangle(
                (float(edges[x]), float(rows[y])),
                float(edges[x + 1] - edges[x]),
                float(rows[y + 1] - rows[y]),
                facecolor="none",
                edgecolor=QUIET,
                hatch="////",
                linewidth=0,
            )
        )
    ax.set(yscale="log", xlabel="coverage, share of episodes that are watched", xlim=(edges[0], edges[-1]))
    ax.set_ylim(rows[0], rows[-1])
    ax.spines[["top", "right"]].set_visible(False)
    return mesh


def draw(
    bandit: rs.Results, network: rs.Results, thresholds: tuple[np.ndarray, np.ndarray]
) -> tuple[Any, dict[str, Any]]:
    """The figure and its numbers."""
    import matplotlib as mpl

    s = bandit.settings
    jump = s["agent.logits"] * s["agent.learning_rate"] * s["overseer.penalty"]
    events = len(theory.reinforce_rates(s["agent.initial_logit"], s["evaluation.threshold"], jump))
    numbers: dict[str, Any] = {"N": events}
    with mpl.rc_context(SETTINGS):
        figure = new_figure(9.6, 4.4)
        left, right = figure.subplots(1, 2)
        for ax, results, ks in zip((left, right), (bandit, network), thresholds, strict=True):
            coverages, table, neither = first_share(results.runs, ks)
            mesh = _paint(ax, coverages, ks, table, neither)
            numbers[results.scenario] = {"coverage": coverages, "threshold": ks.tolist(), "p": table.tolist()}
        ks = np.arange(events + 1, int(thresholds[0][-1]) + 1)
        exact = np.array([theory.half_race_detection(events, int(k)) for k in ks])
        left.plot(exact, ks, color=INK, linewidth=1.6, label="exact: P = 1/2")
        cost = theory.misbehaviours_ode(s["agent.initial_logit"], s["evaluation.threshold"], jump)
        ks = np.arange(int(cost) + 1, int(thresholds[0][-1]) + 1)
        left.plot(cost / ks, ks, color=INK, linewidth=1, linestyle=":", label="expected gradient: d k = [G] / (c η p)")
        left.axhline(
            events, color=QUIET, linewidth=1, linestyle="--", label=f"k = N = {events}: below, no coverage helps"
        )
        left.set_title("bandit, with the exact boundary")
        left.set_ylabel("misbehaviours that make a catastrophe, k")
        right.set_title("camera_vault, signal hidden (hatched: neither yet)")
        left.legend(loc="upper right", fontsize=7, framealpha=0.9)
        figure.colorbar(mesh, ax=(left, right), label="P(catastrophe before removal)", shrink=0.9)  # pyright: ignore[reportPossiblyUnboundVariable]
    return figure, numbers


def network_sweep(quick: bool) -> rs.Sweep:
    """camera_vault with a hidden signal, over coverage; `scripts/caught.py` uses the same runs."""
    small = {"training.steps": 500, "training.competence": 0.8} if quick else {}
    return rs.Sweep(
        "camera_vault",
        over={COVERAGE: (0.2, 0.5, 1.0) if quick else (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)},
        seeds=2 if quick else 32,
        settings=ALONE | small | {"overseer.visible": False, "deployment.budget": 300 if quick else 3000},
    )


def main(argv: list[str] | None = None) -> None:
    """Runs both sweeps and writes the figure."""
    args = parser(__doc__, "phase-diagram").parse_args(argv)
    bandit = rs.Sweep(
        "bandit",
        over={COVERAGE: (0.2, 0.5, 1.0) if args.quick else tuple(round(0.1 * i, 1) for i in range(1, 11))},
        seeds=16 if args.quick else 200,
        settings=ALONE | {"agent.gradient": "sampled", "deployment.budget": 20_000},
    )
    results = {"bandit": run(bandit, folder(args) / "bandit")}
    results["network"] = run(network_sweep(args.quick), folder(args) / "network")
    thresholds = (np.geomspace(30, 1000, 36), np.geomspace(1e3, 1e6, 36))
    figure, numbers = draw(results["bandit"], results["network"], thresholds)
    finish(figure, args, "phase-diagram", results, numbers)


if __name__ == "__main__":
    main()
