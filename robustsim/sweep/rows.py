"""From the two arms of a run to its row in the table, and to the rows of its traces."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import polars as pl

from robustsim import files
from robustsim.sim.agents import Trained
from robustsim.sim.outcome import Record, outcome_of
from robustsim.sim.reference import Reference
from robustsim.sim.track import ARMS, CORRECTED, Track
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run, env_values, flatten
from robustsim.sweep import columns, store, trace_columns
from robustsim.sweep.columns import INDEX
from robustsim.sweep.plan import Plan
from robustsim.sweep.trace_columns import Point
from robustsim.types import Tree


class About(NamedTuple):
    """What the rows of a run say beside what became of it: the agent it began with, and its reference agents."""

    trained: Trained
    reference: Reference | None = None


def tables(plan: Plan, index: int, about: About, arms: Sequence[Track]) -> dict[str, pl.DataFrame]:
    """What one run adds to the tables `runs` and `traces`, from its arms as `arms_of` orders them."""
    run, factory = plan.run(index), plan.factory
    records = factory(**env_values(run.settings)).recorded
    made_from = record(factory, run, about, arms)
    swept = {name: flatten(run.settings)[name] for name in plan.swept}
    values = columns.row(columns.of_runs(records), made_from)
    whole = {name: values.pop(name) for name in ("run_id", "scenario", "seed")}
    points = [point for arm in arms if arm.phase in ARMS for point in _points(made_from, arm)]
    traces = [columns.row(trace_columns.of_traces(records), point) for point in points]
    return {
        "runs": store.table([{INDEX: index, **whole, **swept, **values}], columns.of_runs(records), plan.kinds),
        "traces": store.table([{INDEX: index, **trace} for trace in traces], trace_columns.of_traces(records)),
    }


def counts(runs: pl.DataFrame) -> dict[str, int]:
    """How runs ended, for progress reports."""
    return {
        "corrected": int(runs["corrected"].sum()),
        "catastrophe_first": int((runs["first_event"] == "catastrophe").sum()),
        "censored": int((runs["first_event"] == "censored").sum()),
    }


def run_id(factory: ScenarioFactory, run: Run) -> str:
    """16 hexadecimal digits: a hash of everything that a run is."""
    what = [factory.name, factory.source_hash, sorted(flatten(run.settings).items()), run.seed]
    return files.digest(repr(what).encode())[:16]


def record(factory: ScenarioFactory, run: Run, about: About, arms: Sequence[Track]) -> Record:
    """Everything that the columns of a run are made from."""
    agent, trained = run.settings.agent, about.trained
    return Record(
        run_id=run_id(factory, run),
        scenario=factory.name,
        seed=run.seed,
        settings=run.settings,
        training_competence=trained.competence,
        training_steps=trained.steps,
        training_feedback=trained.course.feedback,
        weight_norm=_norm(trained.agent.params),
        env_steps=agent.num_envs * agent.rollout_steps / arms[0].stride,
        outcome=outcome_of(run.settings, *arms),
        reference=about.reference,
        start_rms=_rms(trained.agent),
    )


def _norm(params: Tree) -> float:
    leaves = [np.asarray(x, np.float64) for x in jax.tree.leaves(params)]
    return math.sqrt(sum(float((x**2).sum()) for x in leaves))


def _rms(agent: Tree) -> float | None:
    """Root mean square of the gradients that an optimizer of Adam's kind remembers; None of any other."""
    found = [leaf for _, tree in optax.tree_utils.tree_get_all_with_path(agent, "nu") for leaf in jax.tree.leaves(tree)]
    leaves = [np.asarray(x, np.float64).ravel() for x in found]
    return math.sqrt(float(np.concatenate(leaves).mean())) if leaves else None


def _points(made_from: Record, arm: Track) -> list[Point]:
    left, back = (math.inf if step is None else step for step in (arm.withdrawn, arm.returned))

    def overseen(step: int) -> bool:
        return arm.phase == CORRECTED and not left < step <= back

    about: dict[str, Any] = {"run_id": made_from.run_id, "seed": made_from.seed, "arm": arm.phase}
    return [
        Point(**about, env_steps=made_from.env_steps, overseen=overseen(reading.step), reading=reading)
        for reading in arm.readings
    ]
