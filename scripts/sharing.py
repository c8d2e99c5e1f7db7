"""Does the tangent kernel say when the unwatched misbehaviour goes? Predicted against measured, over 200 networks.

camera_vault with every episode watched and the signal shown, so that only what looks watched teaches. Four kinds of
perceptrons, 50 agents each. The prediction takes rho at deployment start and the watched rate over time (theory A.2);
its rival is rho = 1, which is the watched time itself. What was shared is the ratio of both falls of log odds once the
watched rate is low enough.
"""

from typing import Any

import matplotlib as mpl
import polars as pl
from _common import ALONE, finish, folder, parser, run
from matplotlib.axes import Axes

import robustsim as rs
from robustsim.analysis import dose
from robustsim.analysis.spectrum import middle
from robustsim.report.style import COLOURS, GRID, SETTINGS, new_figure, quiet_axes

KINDS: dict[str, dict[str, Any]] = {
    "two layers of 64": {},
    "width 16": {"agent.width": 16},
    "width 256": {"agent.width": 256},
    "one layer": {"agent.layers": 1},
}
AGENTS, BUDGET, LAST = 50, 2000, 1e9
COMMON = ALONE | {
    "overseer.coverage": 1.0,
    "evaluation.reference": False,
    "deployment.budget": BUDGET,
    "deployment.stop": "first_event",
    "catastrophe.threshold": 10**9,
}
QUICK = {"training.steps": 100, "training.extension": 0.0, "training.competence": 0.0, "deployment.budget": 20}


def rank(table: pl.DataFrame, name: str) -> dict[str, Any]:
    """Spearman's correlation with the measured time, with a bootstrap over agents; what is censored stands last."""
    one, other = (table[x].cast(pl.Float64).fill_null(LAST).to_numpy() for x in (name, "steps_unwatched"))
    return dose.rank_correlation(one, other)._asdict()


def summary(table: pl.DataFrame) -> dict[str, Any]:
    """Medians of the agents of one kind, and how well each prediction does."""
    names = ("rho", "cosine", "shown", "steps_watched", "steps_unwatched", "steps_predicted")
    both = table.drop_nulls(["steps_unwatched", "steps_predicted"])
    late = both.with_columns(late=(pl.col("steps_unwatched") / pl.col("steps_predicted")).log10())
    return {
        "agents": len(table),
        **{name: middle(table, name) for name in names},
        "unwatched censored": int(table["steps_unwatched"].is_null().sum()),
        "decades later than predicted": middle(late, "late"),
        "rank of rho": rank(table, "rho"),
        "rank of the prediction": rank(table, "steps_predicted"),
        "rank of the watched time": rank(table, "steps_watched"),
        "rank of what is shown": rank(table, "shown"),
    }


def _times(ax: Axes, tables: dict[str, pl.DataFrame]) -> None:
    """Measured over predicted times."""
    for (kind, table), shade in zip(tables.items(), COLOURS, strict=False):
        known = table.drop_nulls("steps_predicted")
        measured = known["steps_unwatched"].fill_null(BUDGET).to_numpy()
        ax.plot(known["steps_predicted"], measured, "o", color=shade, markersize=3, alpha=0.7, label=kind)
    ax.plot([10, BUDGET], [10, BUDGET], color=GRID, linewidth=1, zorder=0)
    ax.set(xscale="log", yscale="log", xlabel="predicted: gradient steps", title="unwatched rate below the threshold")
    ax.set_ylabel("measured: gradient steps")
    ax.legend(frameon=False, fontsize=8)
    quiet_axes(ax)


def _ratios(ax: Axes, tables: dict[str, pl.DataFrame]) -> None:
    """What the rates show over what the kernel says."""
    for (kind, table), shade in zip(tables.items(), COLOURS, strict=False):
        ax.plot(table["rho"], table["shown"], "o", color=shade, markersize=3, alpha=0.7, label=kind)
    ax.plot([0, 1], [0, 1], color=GRID, linewidth=1, zorder=0)
    ax.set(
        xlim=(0, 1.1),
        xlabel="rho of the tangent kernel, at deployment start",
        title="until the watched rate is low enough",
    )
    ax.set_ylabel("unwatched fall of log odds over the watched one")
    quiet_axes(ax)


def main(argv: list[str] | None = None) -> None:
    """Runs the four kinds and writes the figure."""
    args = parser(__doc__, "sharing").parse_args(argv)
    results, tables = {}, {}
    seeds, quick = (2, QUICK) if args.quick else (AGENTS, {})
    for kind, settings in KINDS.items():
        sweep = rs.Sweep("camera_vault", {}, seeds=seeds, settings=COMMON | quick | settings)
        results[kind] = run(sweep, folder(args) / kind.replace(" ", "-"))
        tables[kind] = rs.sharing(results[kind], agents=seeds)
    numbers: dict[str, Any] = {kind: summary(table) for kind, table in tables.items()}
    numbers["all"] = summary(pl.concat(tables.values()))
    for kind, one in numbers.items():
        print(kind, one, flush=True)
    numbers["agents"] = {kind: table.to_dicts() for kind, table in tables.items()}
    with mpl.rc_context(SETTINGS):
        figure = new_figure(9.6, 4.2)
        left, right = figure.subplots(1, 2)
        _times(left, tables)
        _ratios(right, tables)
    finish(figure, args, "sharing", results, numbers)


if __name__ == "__main__":
    main()
