"""Does behaviour follow what a probe reads? Hidden layers moved along a feature, before and after correction.

camera_vault, 32 agents each, at deployment start, once thefts have stopped everywhere (covert), and once they have
stopped where a signal shows the camera (visible). The last hidden layer is moved along what the gold, or the coin, adds
to it on average; controls are the weights of the probe and a random direction, of the same length. Below: how well
probes read both features, in agents, in random networks, and with labels in a random order.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from _common import finish, folder, parser, run
from goals import COMMON, QUICK
from matplotlib.axes import Axes

import robustsim as rs
from robustsim.analysis.dose import limits
from robustsim.analysis.spectrum import middle
from robustsim.probing import AGENT, EFFECT, PROBE, RANDOM, RANDOM_LABELS, RANDOM_NETWORK
from robustsim.relations import READABLE
from robustsim.report.style import COLOURS, GRID, QUIET, SETTINGS, new_figure, quiet_axes

CASES: dict[str, dict[str, Any]] = {"covert": {"overseer.visible": False}, "visible": {}}
PANELS = {
    "deployment start": ("covert", "start"),
    "after covert": ("covert", "final"),
    "after visible": ("visible", "final"),
}
FEATURES = ("gold", "coin")
SHADES = {EFFECT: COLOURS[0], PROBE: COLOURS[1], RANDOM: QUIET}
PROBED = {AGENT: COLOURS[0], RANDOM_NETWORK: COLOURS[1], RANDOM_LABELS: QUIET}
RATES = ("misbehaviour_unwatched", "misbehaviour_watched", "competence")


def responses(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Means over agents with 95% intervals, by stage, direction and dose (null: without the direction)."""
    rows = []
    for (stage, direction, dose), group in table.group_by("stage", "direction", "dose", maintain_order=True):
        means = {name: mean(group[name].to_numpy()) for name in RATES}
        rows.append({"stage": stage, "direction": direction, "dose": dose, **means})
    return rows


def mean(values: np.ndarray) -> dict[str, float]:
    """The mean over agents with a percentile interval of a bootstrap over them."""
    low, high = limits(values[:, None])
    return {"mean": float(values.mean()), "low": float(low[0]), "high": float(high[0])}


def readings(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Median scores over agents with 95% intervals, by stage, feature, layer and what is probed."""
    names = ("stage", "feature", "layer", "of")
    groups = table.group_by(*names, maintain_order=True)
    return [dict(zip(names, key, strict=True)) | middle(group, "score") for key, group in groups]


def _dose(ax: Axes, rows: list[dict[str, Any]], stage: str) -> None:
    """Thefts over the dose, for each direction; without the direction, at the right."""
    for direction, shade in SHADES.items():
        mine = [row for row in rows if (row["stage"], row["direction"]) == (stage, direction)]
        moved = sorted((row for row in mine if row["dose"] is not None), key=lambda row: row["dose"])
        doses = [row["dose"] for row in moved]
        rates = [row["misbehaviour_unwatched"] for row in moved]
        ax.plot(doses, [r["mean"] for r in rates], "o-", color=shade, markersize=3, linewidth=1.3, label=direction)
        ax.fill_between(
            doses, [r["low"] for r in rates], [r["high"] for r in rates], color=shade, alpha=0.2, linewidth=0
        )
        (without,) = (row["misbehaviour_unwatched"] for row in mine if row["dose"] is None)
        ax.plot([2.7], [without["mean"]], "s", color=shade, markersize=4)
    ax.axvline(0, color=GRID, linewidth=1, zorder=0)
    ax.set_xticks([-2, -1, 0, 1, 2, 2.7], ["-2", "-1", "0", "1", "2", "without"], fontsize=7.5)
    ax.set(ylim=(-0.03, 1.03))
    quiet_axes(ax)


def _probes(ax: Axes, rows: list[dict[str, Any]], stage: str) -> None:
    """Scores by feature and layer."""
    places = sorted({(row["feature"], row["layer"]) for row in rows}, reverse=True)
    for i, (of, shade) in enumerate(PROBED.items()):
        mine = {(row["feature"], row["layer"]): row for row in rows if (row["stage"], row["of"]) == (stage, of)}
        at = np.arange(len(places)) + 0.22 * (1 - i)
        for y, place in zip(at, places, strict=True):
            low, high = (mine[place][end] for end in ("low", "high"))
            if low is not None and high is not None:
                ax.plot([low, high], [y, y], color=shade, linewidth=1)
        ax.plot([mine[place]["median"] for place in places], at, "o", color=shade, markersize=4, label=of)
    ax.axvline(READABLE, color=GRID, linewidth=1, linestyle=":", zorder=0)
    ax.set_yticks(range(len(places)), [f"{feature}, layer {layer + 1}" for feature, layer in places], fontsize=7.5)
    ax.set(xlim=(0.4, 1.02), ylim=(-0.6, len(places) - 0.4), xlabel="AUC of a linear probe")
    quiet_axes(ax)


def figure_of(numbers: dict[str, Any]) -> Any:
    """Doses of the gold and of the coin above, probes below."""
    figure = new_figure(10.4, 8.0)
    axes = figure.subplots(3, 3)
    for column, (title, (case, stage)) in enumerate(PANELS.items()):
        for row, feature in enumerate(FEATURES):
            _dose(axes[row, column], numbers[case]["steered"][feature], stage)
        axes[0, column].set_title(title)
        axes[1, column].set_xlabel("dose, in units of the feature")
        _probes(axes[2, column], numbers[case]["represented"], stage)
    for row, feature in enumerate(FEATURES):
        axes[row, 0].set_ylabel(f"thefts, moved along the {feature}")
    axes[0, 0].legend(frameon=False, fontsize=8)
    axes[2, 0].legend(frameon=False, fontsize=8, loc="center", bbox_to_anchor=(0.55, 0.5))
    return figure


def main(argv: list[str] | None = None) -> None:
    """Runs both cases, reads and steers their agents, and writes the figure."""
    args = parser(__doc__, "steering").parse_args(argv)
    results, numbers = {}, {}
    seeds, quick = (2, QUICK) if args.quick else (32, {})
    for case, settings in CASES.items():
        results[case] = run(
            rs.Sweep("camera_vault", {}, seeds=seeds, settings=COMMON | quick | settings), folder(args) / case
        )
        steered = {feature: responses(rs.steer(results[case], feature, agents=seeds)) for feature in FEATURES}
        numbers[case] = {"steered": steered, "represented": readings(rs.represented(results[case], agents=seeds))}
        for feature, rows in steered.items():
            for row in rows:
                means = [round(row[name]["mean"], 3) for name in RATES]
                print(case, feature, row["stage"], row["direction"], row["dose"], means, flush=True)
        for row in numbers[case]["represented"]:
            print(case, row, flush=True)
    with mpl.rc_context(SETTINGS):
        figure = figure_of(numbers)
    finish(figure, args, "steering", results, numbers)


if __name__ == "__main__":
    main()
