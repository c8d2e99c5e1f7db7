"""What a user may have recorded: counters, measures and columns. Each is declared once; tables and docs follow.

A scenario lists its own in `rs.Scenario(records=[...])`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from robustsim.errors import UserError, nearest

WAYS, PER = ("total", "mean", "last"), ("transition", "rollout")
OVER = ("sum", "any", "mean", "last")
TYPES = {"int": int, "float": float, "bool": bool, "str": str}


@dataclass(frozen=True, kw_only=True)
class Counter:
    """Counts, in what the agent does while it learns, the transitions for which a predicate holds.

    It is a column of that name in `traces` (so far) and in `runs` (up to the correction, or as long as the overseer is
    there).

    Attributes:
      name: of the column.
      of: `of(transition) -> bool[]`; with per="rollout", `of(overseen) -> number`, of a
        :class:`robustsim.sim.oversee.Overseen`.
      doc: what it counts.
      unit: of the count.
      type: int or float.
      way: "total", the "mean" over gradient steps, or the "last" value.
      per: "transition" or "rollout".
    """

    name: str
    of: Callable[[Any], Any]
    doc: str = ""
    unit: str = ""
    type: Any = int
    way: str = "total"
    per: str = "transition"

    def __post_init__(self) -> None:
        _check(self)
        for field, options in (("way", WAYS), ("per", PER)):
            value = getattr(self, field)
            if value not in options:
                raise UserError(
                    f"counter {self.name!r}: {field}={value!r} is not allowed; {nearest(str(value), options)}"
                )


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Measures something of the held-out episodes of each evaluation, in both conditions.

    A quantity of every transition is put together over the steps of an episode, and averaged over the episodes. The
    columns are `NAME_unwatched` and `NAME_watched` in `traces`, and `start_NAME_*` and `final_NAME_*` in `runs`.

    Attributes:
      name: of the columns.
      of: `of(transition) -> float[] or bool[]`.
      over: how an episode puts its steps together: "sum", "any" (did it hold once?), "mean" or "last".
      doc: what it measures.
      unit: of its values.
    """

    name: str
    of: Callable[[Any], Any]
    over: str = "sum"
    doc: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        _check(self)
        if self.over not in OVER:
            raise UserError(
                f"measure {self.name!r}: over={self.over!r} is not allowed; {nearest(str(self.over), OVER)}"
            )


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of `runs`, made from what became of a run.

    Attributes:
      name: of the column.
      type: int, float, bool or str.
      of: `of(record) -> value`, None where there is none; the record is a :class:`robustsim.sim.outcome.Record`.
      doc: what it says.
      unit: of its values.
    """

    name: str
    type: Any
    of: Callable[[Any], Any]
    doc: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        _check(self)
        if self.type not in TYPES.values():
            raise UserError(f"column {self.name!r}: type={self.type!r} is not allowed; use int, float, bool or str")


def _check(record: Any) -> None:
    kind = type(record).__name__.lower()
    if not isinstance(record.name, str) or not record.name.isidentifier():
        raise UserError(f"{kind} name: {record.name!r} is not allowed; use letters, digits and '_'")
    if not callable(record.of):
        raise UserError(f"{kind} {record.name!r}: of={record.of!r} is not allowed; use a function")


def of_kind(records: Any, kind: type) -> tuple[Any, ...]:
    """The records of one kind, in the order in which they are declared."""
    return tuple(record for record in records if isinstance(record, kind))


def check_records(records: Any, taken: Any) -> None:
    """Raises UserError where something is no record, or two have one name, or one that is taken already."""
    seen = set(taken)
    for record in records:
        if not isinstance(record, Counter | Measure | Column):
            raise UserError(f"records: {record!r} is not allowed; use rs.Counter, rs.Measure or rs.Column")
        if record.name in seen:
            raise UserError(f"records: the name {record.name!r} is taken; choose another")
        seen.add(record.name)
