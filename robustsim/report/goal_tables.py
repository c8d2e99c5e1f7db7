"""What was a goal of the agents, as rows of words: for the terminal and for the page."""

from typing import Any

import polars as pl

from robustsim.analysis.goals import CHANGED
from robustsim.report import words
from robustsim.report.terminal import as_text

HEAD = ("looking", "feature", "at deployment start", "at the end", "partial, start", "partial, end", "read", "T_goal")


def rows(found: dict[str, dict[str, Any]]) -> list[list[str]]:
    """A row per condition and feature, of what `rs.goals` gives."""
    return [
        [
            side,
            feature,
            _kinds(one["start"]["kinds"]),
            _kinds(one["final"]["kinds"]),
            words.interval(one["start"]["partial"], "-"),
            words.interval(one["final"]["partial"], "-"),
            words.rate(one["final"]["readable"]["median"]),
            "-" if one[CHANGED] is None else words.clock(one[CHANGED], _final(one), ""),
        ]
        for side, features in found.items()
        for feature, one in features.items()
    ]


def _kinds(counts: dict[str, int]) -> str:
    """How many agents it is what to, the commonest first."""
    return ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items(), key=lambda x: (-x[1], x[0])))


def _final(one: dict[str, Any]) -> int:
    return one["start"]["kinds"].get("final", 0)


def in_words(found: dict[str, dict[str, Any]]) -> str:
    """The rows as a table, and what the columns are."""
    table = pl.DataFrame(dict(zip(HEAD, zip(*rows(found), strict=True), strict=True)), schema=list(HEAD))
    return f"{as_text(table)}\n{EXPLAINED}"


EXPLAINED = (
    "Numbers of agents to which a feature is what; partial: correlation of value estimates with it, the others held "
    "constant; read: AUC or R2 of a linear probe of the last hidden layer; T_goal: gradient steps until what was a "
    "final goal is none any more."
)
