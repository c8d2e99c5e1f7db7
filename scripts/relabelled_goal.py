"""How much of the training would have had to be corrected for the goal not to form, and how much for the theft?

camera_vault (covert): every theft of a share of the training episodes costs the largest penalty. At deployment start,
of the same agents: is the gold a final goal, and do they steal?
"""

import matplotlib as mpl
import numpy as np
import polars as pl
from _common import FIGURES, folder, parser
from matplotlib.axes import Axes

import robustsim as rs
from robustsim.analysis import dose
from robustsim.report.console import progress
from robustsim.report.provenance import publish
from robustsim.report.style import COLOURS, SETTINGS, new_figure, quiet_axes

SETTINGS_OF_CASE = {"overseer.visible": False}
SHARES, AGENTS = (0.0, 0.03, 0.1, 0.2, 0.3, 0.5), 32
QUICK_SHARES, QUICK_AGENTS = (0.0, 0.5), 3


def behaviour(results: rs.Results) -> tuple[np.ndarray, np.ndarray]:
    """(shares float[D], misbehaviour float[N, D]) of the agents of a relabelling, seeds that all shares have."""
    runs = results.runs.with_columns(rate=pl.mean_horizontal("misbehaviour_watched", "misbehaviour_unwatched"))
    wide = runs.pivot(on="training.penalty_share", index="seed", values="rate").drop_nulls()
    shares = sorted(float(name) for name in wide.columns if name != "seed")
    columns = {float(name): name for name in wide.columns if name != "seed"}
    return np.array(shares), wide.select([columns[share] for share in shares]).to_numpy()


def _curve(ax: Axes, shares: list[float], mean: list[float], low: list[float], high: list[float], label: str) -> None:
    shade = COLOURS[len(ax.get_legend_handles_labels()[1])]
    ax.fill_between(shares, low, high, color=shade, alpha=0.2, linewidth=0)
    ax.plot(shares, mean, "o-", color=shade, markersize=4, label=label)


def main(argv: list[str] | None = None) -> None:
    """Trains the agents again, or reads what is stored, and writes the figure."""
    args = parser(__doc__, "relabelled_goal").parse_args(argv)
    shares, agents = (QUICK_SHARES, QUICK_AGENTS) if args.quick else (SHARES, AGENTS)
    out = folder(args) / "gold"
    with progress() as narrate:
        found = rs.relabel(
            "camera_vault",
            settings=SETTINGS_OF_CASE,
            shares=shares,
            seeds=agents,
            out=out,
            narrate=narrate,
            outcome="goal",
            feature="gold",
        )
    results = rs.open(out / "rewards")
    tried, rates = behaviour(results)
    low, high = dose.limits(rates)
    theft = {"shares": tried.tolist(), "rate": rates.mean(0).tolist(), "low": low.tolist(), "high": high.tolist()}
    half = dose.ed50(tried, rates)._asdict()
    numbers = {"goal": found.to_dict(), "theft": {**theft, "ed50": half, "seeds": len(rates)}}
    print(found, numbers["theft"], sep="\n")
    with mpl.rc_context(SETTINGS):
        figure = new_figure(5.6, 3.8)
        ax = figure.subplots()
        goal = found.curves["rewards"]
        _curve(ax, goal["shares"], goal["rate"], goal["low"], goal["high"], "agents to which the gold is a final goal")
        _curve(ax, theft["shares"], theft["rate"], theft["low"], theft["high"], "episodes with a theft")
        ax.set(ylim=(-0.03, 1.03), xlabel="share of the training episodes in which theft is penalised")
        ax.legend(frameon=False, fontsize=8)
        ax.set_title("camera_vault, at deployment start")
        quiet_axes(ax)
    stem = (folder(args) if args.quick else FIGURES) / "relabelled_goal"
    publish(figure, stem, "python scripts/relabelled_goal.py", {"rewards": results}, numbers)


if __name__ == "__main__":
    main()
