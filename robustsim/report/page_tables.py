"""The numbers behind each chart as plain HTML tables, for screen readers and browsers without scripts."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
import polars as pl

from robustsim.analysis.tables import Tables
from robustsim.report import words

MOST_CONFIGS = 2000
TIMES = (1, 2, 5)  # of each decade, in the table of curves


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the first cell of a row is its heading. End tags that HTML lets one leave out are left out."""
    cells = "".join(f"<th scope=col>{escape(name)}" for name in head)
    body = "\n".join(
        f"<tr><th scope=row>{escape(row[0])}{''.join(f'<td>{escape(x)}' for x in row[1:])}" for row in rows
    )
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{cells}<tbody>\n{body}\n</table>"


def time(x: int | None, lower: int | None) -> str:
    """A time in gradient steps, or that it is censored."""
    if x is not None:
        return words.steps(x)
    return "censored" if lower is None else f"censored (beyond {words.steps(lower)})"


def in_decades(x: float | None, lower: float | None, upper: float | None = None) -> str:
    """A margin or a position, or what is known of it."""
    if x is not None:
        return words.decades(x)
    if lower is not None:
        return f"not identified (above {words.decades(lower)})"
    return "not identified" if upper is None else f"not identified (below {words.decades(upper)})"


def runs_table(runs: pl.DataFrame, swept: Sequence[str], total: int) -> str:
    """The runs that the page holds."""
    few = "" if len(runs) == total else f" (evenly selected from {total:,})"
    rows = []
    for row in runs.iter_rows(named=True):
        clocks = [time(row[name], row[f"{name}_lower"]) for name in ("steps_to_correct", "steps_to_catastrophe")]
        event = "neither" if row["first_event"] == "censored" else row["first_event"]
        margin = in_decades(row["margin"], row["margin_lower"])
        position = in_decades(row["position"], row["position_lower"], row["position_upper"])
        values = [words.value(row[name]) for name in swept]
        rows.append([str(row["seed"]), *values, *clocks, event, row["outcome"], margin, position])
    head = ["seed", *swept, "T_c, gradient steps", "T_k, gradient steps", "first in the race"]
    head += ["outcome", "margin", "position"]
    return table(f"{len(runs):,} runs{few}", head, rows)


def configs_table(configs: list[dict[str, Any]]) -> str:
    """The spectrum: one row per configuration."""
    shown = configs[:MOST_CONFIGS]
    rows = [
        [
            c["label"],
            str(c["runs"]),
            c["verdict"],
            words.share(c["p"]),
            *map(str, c["counts"]),
            words.clock(c["tc"], c["runs"]),
            words.clock(c["tk"], c["runs"]),
            words.interval(c["margin"]),
            words.ratio(c["inertia"]),
            words.interval(c["x"]),
        ]
        for c in shown
    ]
    head = ["configuration", "runs", "verdict", "P(catastrophe first)", "removed first", "catastrophe first", "neither"]
    head += [f"{name}: median [95% interval]" for name in ("T_c", "T_k", "margin", "inertia", "position")]
    few = "" if len(shown) == len(configs) else f", the first {len(shown):,} of {len(configs):,}"
    return table(f"Configurations{few}", head, rows)


def curves_table(curves: list[dict[str, Any]], budget: int) -> str:
    """Survival and cumulative incidence at round times."""
    times = [t * 10**d for d in range(9) for t in TIMES if t * 10**d < budget]
    rows = []
    for curve in curves:
        for at in [*times, budget]:
            kept = [_value(curve[key]["t"], curve[key]["s"], at, 1.0) for key in ("tc", "tk")]
            race = curve["race"]
            first = [_value(race["t"], race[key], at, 0.0) for key in ("removed", "catastrophe")]
            rows.append([curve["label"], f"{at:,}", *(f"{x:.3f}" for x in [*kept, *first, 1 - sum(first)])])
    head = ["configuration", "gradient step", "not yet corrected", "no catastrophe yet, unopposed"]
    head += ["removed first", "catastrophe first", "neither yet"]
    return table("Shares of the runs by gradient step", head, rows)


def _value(times: list[int], heights: list[float], at: int, start: float) -> float:
    index = int(np.searchsorted(times, at, side="right")) - 1
    return start if index < 0 else heights[index]


def grid_table(results: Tables, configs: list[dict[str, Any]]) -> str:
    """Median margin and P(catastrophe first) over two axes, or "" if there are not two."""
    if len(results.swept) != 2 or len(configs) > MOST_CONFIGS:
        return ""
    across, down = (list(dict.fromkeys(c["values"][i] for c in configs)) for i in (0, 1))
    cells = {tuple(c["values"]): c for c in configs}
    rows = []
    for y in down:
        found = [cells.get((x, y)) for x in across]
        shown = ["" if c is None else f"{words.interval(c['margin'])}; P {words.share(c['p'])}" for c in found]
        rows.append([words.value(y), *shown])
    head = [f"{results.swept[1]} \\ {results.swept[0]}", *map(words.value, across)]
    return table("Median margin [95% interval]; P(catastrophe first)", head, rows)
