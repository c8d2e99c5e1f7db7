"""What a user may have recorded: counters, measures, features, columns. Each is declared once; tables and docs follow.

A scenario lists its own in `rs.Scenario(records=[...])`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from robustsim.errors import UserError, nearest

TYPES = {"int": int, "float": float, "bool": bool, "str": str}
CHOICES = {  # by field of a counter or a measure
    "way": ("total", "mean", "last"),
    "per": ("transition", "rollout"),
    "over": ("sum", "any", "mean", "last"),
}


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What counters, measures and columns have in common.

    Raises:
      UserError: a name that is no identifier, something that is no function, or a choice that there is not.
    """

    name: str
    of: Callable[[Any], Any]
    doc: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        kind = type(self).__name__.lower()
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise UserError(f"{kind} name: {self.name!r} is not allowed; use letters, digits and '_'")
        if not callable(self.of):
            raise UserError(f"{kind} {self.name!r}: of={self.of!r} is not allowed; use a function")
        for field, options in CHOICES.items():
            value = getattr(self, field, options[0])
            if value not in options:
                raise UserError(
                    f"{kind} {self.name!r}: {field}={value!r} is not allowed; {nearest(str(value), options)}"
                )


@dataclass(frozen=True, kw_only=True)
class Counter(Recorded):
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

    type: Any = int
    way: str = "total"
    per: str = "transition"


@dataclass(frozen=True, kw_only=True)
class Measure(Recorded):
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

    over: str = "sum"


@dataclass(frozen=True, kw_only=True)
class Feature(Recorded):
    """A feature of outcomes that may be a goal (Framing 2): what value estimates are held against.

    With `evaluation.goals` each evaluation measures how the agent's value estimates go with it, alone and with the
    other features held constant, on states in which everything is placed independently. The columns of `traces` are
    `goal_NAME_correlation_*`, `goal_NAME_partial_*` and `goal_NAME_unique_*`, looking unwatched and watched.

    Attributes:
      name: of the feature.
      of: `of(state) -> float[] or bool[]`.
      doc: what it is.
      unit: of its values.
    """


@dataclass(frozen=True, kw_only=True)
class Column(Recorded):
    """A column of `runs`, made from what became of a run.

    Attributes:
      name: of the column.
      type: int, float, bool or str.
      of: `of(record) -> value`, None where there is none; the record is a :class:`robustsim.sim.outcome.Record`.
      doc: what it says.
      unit: of its values.
    """

    type: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.type not in TYPES.values():
            raise UserError(f"column {self.name!r}: type={self.type!r} is not allowed; use int, float, bool or str")


def of_kind(records: Any, kind: type) -> tuple[Any, ...]:
    """The records of one kind, in the order in which they are declared."""
    return tuple(record for record in records if isinstance(record, kind))


def check_records(records: Any, taken: Any) -> None:
    """Raises UserError where something is no record, or two have one name, or one that is taken already."""
    seen = set(taken)
    for record in records:
        if not isinstance(record, Recorded):
            raise UserError(f"records: {record!r} is not allowed; use rs.Counter, rs.Measure, rs.Feature or rs.Column")
        if record.name in seen:
            raise UserError(f"records: the name {record.name!r} is taken; choose another")
        seen.add(record.name)
