"""Can T_c be told from deployment start? Forecasts scored on every scenario at its defaults, 32 agents each.

Concordance for censored times, on the odd seeds; the even ones say which way round a forecast counts. Scenarios
of fewer than 16 agents with something to correct are left out.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import polars as pl
from _common import ALONE, deployable, finish, folder, parser
from matplotlib.axes import Axes

import robustsim as rs
from robustsim import catalogue
from robustsim.forecasting import ACROSS, TOGETHER, WITHIN
from robustsim.forecasts import BUNDLED
from robustsim.report.style import COLOURS, GRID, SETTINGS, new_figure, quiet_axes

AGENTS, FEWEST = 32, 16
LEFT_OUT = ("bandit", "four_rooms", "habit_bandits", "never_steal")  # no image of one state, memory, or a table alone
COMMON = ALONE | {
    "evaluation.reference": False,
    "evaluation.plasticity": True,
    "deployment.stop": "catastrophe",
    "catastrophe.threshold": 10**9,
}
QUICK = {"training.steps": 50, "training.extension": 0.0, "training.competence": 0.0, "deployment.budget": 20}
QUICK_SCENARIOS = ("camera_vault", "coin_corridor")


def table(scores: pl.DataFrame) -> str:
    """The scores as a table in Markdown."""
    rows = ["| forecast | within scenarios | across scenarios |", "|---|---|---|"]
    docs = {one.name: one.doc[:1].lower() + one.doc[1:].rstrip(".") for one in BUNDLED}
    for name in scores["forecast"].unique(maintain_order=True):
        cells = [_cell(scores.row(by_predicate=_is(name, scope), named=True)) for scope in (WITHIN, ACROSS)]
        rows.append(f"| `{name}`: {docs.get(name, 'all of them, a ridge regression')} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _is(name: str, scope: str) -> pl.Expr:
    return (pl.col("forecast") == name) & (pl.col("scope") == scope)


def _cell(row: dict[str, Any]) -> str:
    if row["concordance"] is None:
        return "-"
    return f"{row['concordance']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _panel(ax: Axes, scores: pl.DataFrame, scope: str) -> None:
    """One row a forecast; dots of single scenarios behind the one of all."""
    names = scores["forecast"].unique(maintain_order=True).to_list()
    for y, name in enumerate(reversed(names)):
        mine = scores.filter(pl.col("forecast") == name)
        if scope == WITHIN:
            single = mine.filter(~pl.col("scope").is_in([WITHIN, ACROSS]))["concordance"].drop_nulls()
            ax.plot(single, [y] * len(single), "|", color=GRID, markersize=7)
        row = mine.filter(pl.col("scope") == scope).row(0, named=True)
        if row["concordance"] is not None:
            shade = COLOURS[3] if name == TOGETHER else COLOURS[0]
            ax.plot([row["low"], row["high"]], [y, y], color=shade, linewidth=1.4)
            ax.plot([row["concordance"]], [y], "o", color=shade, markersize=4)
    ax.axvline(0.5, color=GRID, linewidth=1, zorder=0)
    ax.set_yticks(range(len(names)), list(reversed(names)), fontsize=8)
    ax.set(xlim=(0, 1), ylim=(-0.6, len(names) - 0.4), xlabel="concordance with T_c", title=scope)
    quiet_axes(ax)


def collected(names: Sequence[str], args: Any) -> dict[str, rs.Results]:
    """The results by scenario, where enough agents have something to correct."""
    found = {}
    for name in names:
        scenario = rs.load(name)
        goals = bool(scenario(**scenario.defaults).features)
        settings = COMMON | {"evaluation.goals": goals} | (QUICK if args.quick else {})
        sweep = rs.Sweep(name, {}, seeds=2 if args.quick else AGENTS, settings=settings)
        results = deployable(sweep, folder(args) / name)
        there = int((results.runs["outcome"] != "nothing-to-correct").sum()) if len(results.runs) else 0
        if there >= (1 if args.quick else FEWEST):
            found[name] = results
    return found


def main(argv: list[str] | None = None) -> None:
    """Runs every scenario, scores the forecasts, and writes the figure and the table."""
    options = parser(__doc__, "forecasts")
    options.add_argument("--scenario", nargs="+", help="only these")
    args = options.parse_args(argv)
    known = [name for name in sorted(catalogue.installed()) if name not in LEFT_OUT]
    results = collected(args.scenario or (QUICK_SCENARIOS if args.quick else known), args)
    scores = rs.score_forecasts(list(results.values()))
    print(table(scores))
    with mpl.rc_context(SETTINGS):
        figure = new_figure(9.6, 0.32 * scores["forecast"].n_unique() + 1.4)
        left, right = figure.subplots(1, 2, sharey=True)
        _panel(left, scores, WITHIN)
        _panel(right, scores, ACROSS)
    some = f" --scenario {' '.join(args.scenario)}" if args.scenario else ""
    finish(figure, args, "forecasts", results, {"scores": scores.to_dicts()}, some)


if __name__ == "__main__":
    main()
