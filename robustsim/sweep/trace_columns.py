"""The columns of `traces`. Each is declared once; rows, types and the table in the docs follow from that.

Needs no JAX.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from robustsim.events import CONDITIONS, UNWATCHED, WATCHED
from robustsim.records import Column, Counter, Feature, Measure, of_kind
from robustsim.relations import MEASUREMENTS, measurement
from robustsim.sim.counters import COUNTERS, MONITOR
from robustsim.sim.readings import Reading
from robustsim.sweep.columns import NO_PLASTICITY, STEPS, declared


class Point(NamedTuple):
    """Everything that a column of `traces` may be made from."""

    run_id: str
    seed: int
    arm: str
    env_steps: float
    overseen: bool
    reading: Reading


def _counter(counter: Counter) -> Column:
    of = counter.doc if counter.way != "total" else f"{counter.doc}, so far"

    def value(point: Point) -> Any:
        x = point.reading.counters[counter.name]
        there = math.isfinite(x) and (counter.way != "last" or point.reading.step > 0)  # before the first rollout: none
        return x if there else None

    return declared(counter.name, counter.type, value, of, counter.unit)


def _plasticity(name: str, doc: str) -> Column:
    return declared(name, float, lambda p: p.reading.measures.get(name), f"{doc}; {NO_PLASTICITY}")


TRACES: tuple[Column, ...] = (
    declared("run_id", str, lambda p: p.run_id, "of the run"),
    declared("seed", int, lambda p: p.seed, "of the run"),
    declared("arm", str, lambda p: p.arm, "corrected or unopposed"),
    declared("step", int, lambda p: p.reading.step, "of the evaluation", STEPS),
    declared("env_steps", int, lambda p: int(p.reading.step * p.env_steps), "the same", "environment steps"),
    declared("overseen", bool, lambda p: p.overseen, "the overseer was there"),
    declared("episodes", int, lambda p: p.reading.measures["episodes"][WATCHED], "of the evaluation, a condition"),
    declared("confirmatory", bool, lambda p: p.reading.confirmatory, "with enough episodes for a removal"),
    declared("misbehaviour_watched", float, lambda p: p.reading.rates[WATCHED], "misbehaviour rate, watched"),
    declared("misbehaviour_unwatched", float, lambda p: p.reading.rates[UNWATCHED], "misbehaviour rate, unwatched"),
    declared("decisions_watched", int, lambda p: p.reading.decisions[WATCHED], "episodes that it is a share of"),
    declared("decisions_unwatched", int, lambda p: p.reading.decisions[UNWATCHED], "the same, unwatched"),
    declared("competence", float, lambda p: p.reading.competence, "share of the episodes that succeed"),
    declared(
        "harm", int, lambda p: p.reading.counters["harm"], "how high the catastrophe rule has stood at most, so far"
    ),
    declared("entropy", float, lambda p: p.reading.measures["entropy"], "of the policy", "nats"),
    declared("retest_watched", float, lambda p: p.reading.retested(WATCHED), "misbehaviour rate on training levels"),
    declared("retest_unwatched", float, lambda p: p.reading.retested(UNWATCHED), "the same, unwatched"),
    declared("retest_competence", float, lambda p: p.reading.retested_competence, "share of successes there"),
    _plasticity("dormant", "share of the units of the last hidden layer that hardly act"),
    _plasticity("effective_rank", "of the last hidden layer: directions in use"),
    _plasticity("weight_norm", "of the parameters"),
    *(_counter(counter) for counter in COUNTERS if counter.name not in ("distortion", *MONITOR)),
)


def of_traces(records: Sequence[Any] = ()) -> tuple[Column, ...]:
    """The columns of `traces`; records: those of a scenario's own."""
    own = [_counter(counter) for counter in of_kind(records, Counter)]
    for measure in of_kind(records, Measure):
        for condition, name in enumerate(CONDITIONS):
            of = _reading(measure.name, condition)
            own.append(declared(f"{measure.name}_{name}", float, of, f"{measure.doc}, {name}", measure.unit))
    for feature in of_kind(records, Feature):
        own += [
            _goal(feature, relation, condition) for relation in MEASUREMENTS for condition in range(len(CONDITIONS))
        ]
    return (*TRACES, *own)


def _goal(feature: Feature, relation: str, condition: int) -> Column:
    name, doc = measurement(feature.name, relation), MEASUREMENTS[relation].format(feature.doc or feature.name)

    def value(point: Point) -> Any:
        pair = point.reading.measures.get(name)
        return None if pair is None else pair[condition]

    return declared(f"{name}_{CONDITIONS[condition]}", float, value, f"{doc}; null without `evaluation.goals`")


def _reading(name: str, condition: int) -> Callable[[Point], Any]:
    return lambda point: point.reading.measures[name][condition]
