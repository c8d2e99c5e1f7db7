"""A row for every configuration: verdict, race, times, harm and position, with their intervals. Tables only."""

from typing import Any

import polars as pl

from robustsim.analysis import measures, verdict
from robustsim.analysis.spectrum import bounded_middle, catastrophe_first, clock, position

CLOCKS = ("steps_to_correct", "steps_to_redirect", "steps_to_fade", "steps_to_suppress", "steps_to_catastrophe")


def spectrum(runs: pl.DataFrame, by: tuple[str, ...], settings: dict[str, Any]) -> pl.DataFrame:
    """One row per configuration of the settings `by`; `settings` are the others, by dotted name."""
    keys = ("scenario", *by)
    rows = []
    for values, group in runs.group_by(keys, maintain_order=True):
        row: dict[str, Any] = dict(zip(keys, values, strict=True))
        rows.append(row | {"runs": len(group)} | _row(group, settings | row))
    if not rows:
        return runs.select(keys)
    ends = ("_median", "_low", "_high", "_estimate")
    kinds: dict[str, Any] = {name: pl.Float64 for row in rows[:1] for name in row if name.endswith(ends)}
    return pl.DataFrame(rows, schema_overrides=kinds, infer_schema_length=None)


def _row(group: pl.DataFrame, settings: dict[str, Any]) -> dict[str, Any]:
    found = verdict.verdict(group, settings, needed=False)
    row = {"verdict": found["verdict"], "flags": ", ".join(found["flags"])}
    parts = {
        "p_catastrophe_first": catastrophe_first(group),
        **{name: clock(group, name) for name in CLOCKS},
        "margin": measures.bounded(group, "margin"),
        "inertia": measures.inertia(group),
        "position": position(group),
        "concealment": bounded_middle(group, "concealment"),
    }
    row |= {f"{name}_{key}": value for name, found in parts.items() for key, value in found.items()}
    return row | {f"first_{event}": int((group["first_event"] == event).sum()) for event in _EVENTS}


_EVENTS = ("removed", "catastrophe", "censored")


def part(row: dict[str, Any], name: str) -> dict[str, Any]:
    """What a row says of one quantity, without its name: {median, low, high, ...}."""
    return {key.removeprefix(f"{name}_"): value for key, value in row.items() if key.startswith(f"{name}_")}
