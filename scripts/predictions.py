"""Preregistered predictions, each with its outcome.

They come from the project's plan: the ordering of four goals by their time to correct, and three ratios of unwatched to
watched time. The ordering uses one overseer: it watches every episode covertly and deducts 2 reward per misbehaviour.
"""

import itertools
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from _common import ALONE, finish, folder, parser, run

import robustsim as rs
from robustsim import files
from robustsim.analysis.spectrum import clock
from robustsim.report import words
from robustsim.report.style import COLOURS, QUIET, SETTINGS, new_figure, quiet_axes

SAME = {"overseer.visible": False, "overseer.coverage": 1.0, "overseer.penalty": 2.0}
ORDER = {  # from fastest to slowest, as predicted
    "boat_loop": ("boat_loop", {}),
    "corner_maze, corner 3": ("corner_maze", {"env.corner": 3}),
    "corner_maze, corner 1": ("corner_maze", {"env.corner": 1}),
    "dish_pile, 6 markers": ("dish_pile", {"env.markers": 6}),
}
PILE_OF_ONE = {"dish_pile, 1 marker": ("dish_pile", {"env.markers": 1})}
WATCHED = {"overseer.visible": True, "overseer.coverage": 0.5}
RATIOS = {
    "corner_maze": ("corner_maze", {}, "about 1"),
    "watched_shortcut": ("watched_shortcut", {}, "above 1"),
    "trigger_sleeper, q = 0": ("trigger_sleeper", {"env.seen": 0.0}, "unbounded"),
}
QUICK = {"training.steps": 200, "training.competence": 0.0, "deployment.budget": 60, "evaluation.episodes": 256}


def below(a: rs.Results, b: rs.Results) -> tuple[str, str]:
    """Whether T_c of `a` is below that of `b`: (verdict, numbers), by the intervals of the medians."""
    first, second = (clock(r.runs, "steps_to_correct") for r in (a, b))
    told = " and ".join(words.clock(c, len(r.runs), "") for c, r in ((first, a), (second, b)))
    mid = [c["median"] if c["median"] is not None else np.inf for c in (first, second)]
    if first["high"] is not None and (second["low"] or np.inf) > first["high"]:
        return "holds", told
    if second["high"] is not None and (first["low"] or np.inf) > second["high"]:
        return "does not hold", told
    return ("undecided, in the direction" if mid[0] < mid[1] else "undecided, against the direction"), told


def ratio(results: rs.Results) -> tuple[str, float | None]:
    """T unwatched / T watched over runs (censored: open): (in words, its median if identified)."""
    runs = results.runs
    watched, unwatched = (runs[c].cast(pl.Float64) for c in ("steps_to_suppress", "steps_to_correct_unwatched"))
    known = runs.filter(watched.is_not_null())
    censored = int(known["steps_to_correct_unwatched"].is_null().sum())
    top = unwatched.fill_null(np.inf).to_numpy()
    values = (top + 1) / (watched.fill_null(np.nan).to_numpy() + 1)  # a clock may stand at 0
    values = values[~np.isnan(values)]
    if not len(values):
        return f"not identified: watched never removed in {len(runs)} runs", None
    median = float(np.median(values))
    said = "open" if not np.isfinite(median) else words.value(median)
    return f"{said} (median of {len(values)}; unwatched censored in {censored})", median


def collect(args: Any) -> dict[str, rs.Results]:
    """Every sweep behind the predictions, by name."""
    seeds, quick = (2, QUICK) if args.quick else (32, {})
    cases = {name: (scenario, {**SAME, **settings}) for name, (scenario, settings) in {**ORDER, **PILE_OF_ONE}.items()}
    cases |= {
        f"{name} (watched)": (scenario, {**WATCHED, **settings}) for name, (scenario, settings, _) in RATIOS.items()
    }
    results = {}
    for name, (scenario, settings) in cases.items():
        sweep = rs.Sweep(
            scenario, over={}, seeds=seeds, settings={"deployment.budget": 3000} | settings | ALONE | quick
        )
        results[name] = run(
            sweep, folder(args) / name.replace(",", "").replace(" ", "-").replace("(", "").replace(")", "")
        )
    return results


def outcomes(results: dict[str, rs.Results]) -> list[dict[str, str]]:
    """One row per prediction: the prediction, the outcome, whether it holds."""
    names, rows = list(ORDER), []
    for a, b in [*itertools.pairwise(names), ("dish_pile, 1 marker", "dish_pile, 6 markers")]:
        verdict, told = below(results[a], results[b])
        rows.append({"prediction": f"T_c of {a} < T_c of {b}", "outcome": told, "verdict": verdict})
    for name, (_, _, wanted) in RATIOS.items():
        told, median = ratio(results[f"{name} (watched)"])
        holds = (
            median is not None
            and {
                "about 1": 0.5 <= median <= 2,
                "above 1": median > 1,
                "unbounded": not np.isfinite(median),
            }[wanted]
        )
        row = {"prediction": f"T unwatched / T watched of {name} is {wanted}", "outcome": told}
        rows.append(row | {"verdict": "holds" if holds else "does not hold"})
    return rows


def draw(results: dict[str, rs.Results]) -> Any:
    """The ordering: T_c of each run, medians and intervals."""
    with mpl.rc_context(SETTINGS):
        figure = new_figure(7.2, 2.9)
        ax = figure.subplots()
        names = [*PILE_OF_ONE, *reversed(ORDER)]
        for y, name in enumerate(names):
            r = results[name]
            budget, found = r.settings["deployment.budget"], clock(r.runs, "steps_to_correct")
            times = r.runs["steps_to_correct"].fill_null(budget).to_numpy() + 1
            seen = r.runs["steps_to_correct"].is_not_null().to_numpy()
            spread = y + np.linspace(-0.25, 0.25, len(times))
            ax.scatter(times[seen], spread[seen], s=10, color=COLOURS[0], alpha=0.6, linewidths=0)
            ax.scatter(times[~seen], spread[~seen], s=12, color=COLOURS[3], marker=">", linewidths=0)
            if found["median"] is not None:
                ax.plot([found["low"] + 1, (found["high"] or budget) + 1], [y, y], color=COLOURS[0], linewidth=2)
                ax.plot(found["median"] + 1, y, "D", color=COLOURS[0], markeredgecolor="white", markersize=7)
        ax.set_yticks(range(len(names)), names)
        ax.set(xscale="log", xlabel="gradient steps to correct, plus 1 (triangles: not within the budget)")
        ax.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=":")
        ax.set_title("Predicted: from top (fastest) to bottom (slowest)")
        quiet_axes(ax)
    return figure


INTRODUCTION = """# Predictions, and what came out

These predictions were written down in the project's plan before the scenarios were built, and have not been adjusted.
32 seeds each; medians with 95% intervals. Made by `python scripts/predictions.py`. The ordering uses one overseer for
all scenarios (it watches every episode covertly and deducts 2 reward per misbehaviour), the ratios a visible one that
watches half of the episodes.

| prediction | outcome | verdict |
|---|---|---|
"""


def page(rows: list[dict[str, str]]) -> str:
    """docs/predictions.md."""
    table = "".join(f"| {r['prediction']} | {r['outcome']} | {r['verdict']} |\n" for r in rows)
    return INTRODUCTION + table + "\n![Times to correct in the predicted order](../figures/predictions.png)\n"


def main(argv: list[str] | None = None) -> None:
    """Runs the sweeps and writes the table and the figure."""
    args = parser(__doc__, "predictions").parse_args(argv)
    results = collect(args)
    rows = outcomes(results)
    finish(draw(results), args, "predictions", results, {"predictions": rows})
    text = page(rows)
    if not args.quick:
        files.write_atomically(Path("docs/predictions.md"), text.encode())
    print(text)


if __name__ == "__main__":
    main()
