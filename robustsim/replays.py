"""From results to recordings: which run is shown, at which steps, and a check that it is the run of the results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from robustsim import catalogue, files
from robustsim.analysis import selection
from robustsim.analysis.tables import Tables
from robustsim.errors import UserError, nearest
from robustsim.events import CONDITIONS
from robustsim.recording import Recording
from robustsim.report import words
from robustsim.sim import batched, film
from robustsim.sim.agents import Agents
from robustsim.sim.policy import Policy, policy_of
from robustsim.sim.track import CORRECTED
from robustsim.spec.loading import load
from robustsim.spec.remembered import recall
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run, resolve
from robustsim.sweep import compiled
from robustsim.sweep.rows import run_id

Row = dict[str, Any]


def factory_of(results: Tables, scenario: str | ScenarioFactory = "", drawn: bool = True) -> ScenarioFactory:
    """The scenario that made some results.

    Args:
      scenario: what `load` takes; "" uses the scenario that was run by this process, the file that ran on this machine,
        if it has not changed, or the installed scenario of that name. Nothing that the results name is executed.
      drawn: whether it has to be drawable.

    Raises:
      UserError: it cannot be found, is not the one that was run, or cannot be drawn.
    """
    what = results.manifest["what"]
    if not scenario and results.factory is not None:
        factory = results.factory
    else:
        factory = load(scenario) if scenario else _known(results.scenario, what["source_sha256"])
    if (factory.name, factory.source_hash) != (what["scenario"], what["source_sha256"]):
        raise UserError(
            f"scenario {factory.name!r}: is not the scenario of these results, or has changed since; run it again"
        )
    if drawn:
        film.check_drawable(factory)
    return factory


def _known(name: str, source_hash: str) -> ScenarioFactory:
    """A scenario that is installed, or was run on this machine."""
    path, table = recall(source_hash), catalogue.installed()
    if path is not None and name in (entry.name for entry in catalogue.entries_of(path)):
        return load(f"{path}@{name}")
    if name in table:
        return load(name)
    raise UserError(
        f"scenario {name!r}: is not installed, and no file that ran here is the same; {nearest(name, table)}; "
        "name its file with --scenario"
    )


def typical(runs: pl.DataFrame) -> Row:
    """A run of the most common outcome, with the median time to correct (then to catastrophe) among those."""
    outcome = ["first_event", "corrected"]
    commonest = runs.group_by(outcome).len().sort("len", *outcome, descending=[True, False, False]).row(0, named=True)
    alike = runs.filter(*[pl.col(name) == commonest[name] for name in outcome])
    ordered = alike.sort("steps_to_correct", "steps_to_catastrophe", "seed", nulls_last=True)
    return ordered.row((len(ordered) - 1) // 2, named=True)


def chosen(results: Tables, count: int) -> list[Row]:
    """At most `count` runs to record: a typical one of each configuration, then others of each in turn."""
    groups = [runs for _, runs in words.configurations(results)]
    found: list[Row] = []
    while groups and len(found) < count:
        left = []
        for runs in groups[: count - len(found)]:
            row = typical(runs)
            found.append(row)
            left.append(runs.filter(pl.col("run_id") != row["run_id"]))
        groups = [runs for runs in left if len(runs)]
    return found


def picked(results: Tables, seed: int | None, point: dict[str, str]) -> Row:
    """The run of a seed and of the configuration with these values (as words); a typical run of those that match.

    Raises:
      UserError: a name was not swept, or a value or seed is not in the results.
    """
    runs = results.runs
    if runs.is_empty():
        raise UserError("replay: no run of these results has finished yet")
    runs = selection.rows(runs, selection.values_of(runs, results.swept, point, "--set"))
    if seed is not None:
        seeds = runs["seed"].unique().sort().to_list()
        if seed not in seeds:
            raise UserError(f"seed: {seed} is not in these results; they have {', '.join(map(str, seeds[:20]))}")
        runs = runs.filter(pl.col("seed") == seed)
    if runs.is_empty():
        raise UserError("replay: no run with these values and this seed has finished")
    return typical(runs)


def stages(row: Row, traces: pl.DataFrame) -> list[tuple[str, Row]]:
    """(name, row of the traces) of before, during and after the correction, at most three and at least one.

    After is the removal, or where there was none the last evaluation under the overseer. During is the first evaluation
    at which either misbehaviour rate has fallen to half of what it was, or else the one in the middle on a log scale.
    """
    overseen = traces.filter((pl.col("arm") == "corrected") & pl.col("overseen")).sort("step")
    evaluations = overseen.to_dicts()
    first, removed = evaluations[0], row["steps_to_correct"]
    last = evaluations[-1] if removed is None else next(p for p in evaluations if p["step"] >= removed)
    between = [p for p in evaluations if 0 < p["step"] < last["step"]]
    rates = [f"misbehaviour_{condition}" for condition in CONDITIONS]
    fallen = [p for p in between if any(p[r] <= first[r] / 2 < first[r] for r in rates)]
    middle = fallen[:1] or sorted(between, key=lambda p: abs(p["step"] ** 2 - last["step"]))[:1]
    found = [("before", first), *(("during", p) for p in middle)]
    return found if last["step"] == 0 else [*found, ("after", last)]


def make(
    results: Tables,
    rows: list[Row],
    *,
    episodes: int = 3,
    folder: str | Path | None = None,
    scenario: str | ScenarioFactory = "",
) -> list[Recording]:
    """Reproduces the agents of some runs and records them.

    Args:
      rows: of `results.runs`.
      episodes: how many a condition.
      folder: the results directory, which may hold trained agents.
      scenario: as :func:`factory_of`.

    Raises:
      UserError: as :func:`factory_of`, or the runs cannot be reproduced here.
    """
    compiled.keep()
    factory = factory_of(results, scenario)
    agents = _agents(folder)
    return [_make_one(factory, results, row, agents, episodes) for row in rows]


def policies_at(
    results: Tables,
    row: Row,
    arm: str,
    steps: Sequence[int],
    *,
    folder: str | Path | None,
    scenario: str | ScenarioFactory,
) -> list[Policy]:
    """The agent of one arm of a run after each of some numbers of gradient steps, in ascending order, made again.

    Raises:
      UserError: as :func:`factory_of` (it need not be drawable); or a step that the arm did not reach.
    """
    compiled.keep()
    factory = factory_of(results, scenario, drawn=False)
    agents = _agents(folder)
    run = run_of(factory, results, row)
    mine = results.traces.filter((pl.col("run_id") == row["run_id"]) & (pl.col("arm") == arm))
    last = int(mine["step"].max() or 0)  # pyright: ignore[reportArgumentType]
    for step in steps:
        if not 0 <= step <= last:
            raise UserError(
                f"step: {step!r} is not allowed; seed {row['seed']} went from 0 to {last} in the arm {arm!r}"
            )
    left, back = _absence(mine) if arm == CORRECTED else (None, None)
    with batched.precision(factory(**factory.defaults).precision):
        before = film.trained_agent(factory, run, agents)
        found = film.agents_at(factory, run, before, steps, arm, left, back)
    return [policy_of(factory, run, agent.params, step) for agent, step in zip(found, steps, strict=True)]


def deployed(results: Tables, factory: ScenarioFactory, run: Run) -> Any:
    """The agent of a run at deployment start, with the state of its optimizer, made again."""
    return film.trained_agent(factory, run, _agents(results.manifest.get("folder")))


def _absence(trace: pl.DataFrame) -> tuple[int | None, int | None]:
    """(gradient step at which the overseer left, at which it came back) in the corrected arm; None: it did not."""
    there = trace.sort("step").select("step", "overseen").rows()
    alone = [step for step, overseen in there if not overseen]
    if not alone:
        return None, None
    left = max(step for step, overseen in there if overseen and step < alone[0])
    return left, alone[-1] if there[-1][1] else None


def _agents(folder: str | Path | None) -> Agents:
    folders = [files.cache_folder() / "agents", *([] if folder is None else [Path(folder) / "agents"])]
    return Agents(tuple(folders), alone=True)


def run_of(factory: ScenarioFactory, results: Tables, row: Row) -> Run:
    """The run of a row of some results."""
    point = {name: row[name] for name in results.swept}
    return Run(resolve(factory, {**results.settings, **point}), row["seed"])


def _make_one(factory: ScenarioFactory, results: Tables, row: Row, agents: Agents, episodes: int) -> Recording:
    compiled.make_room()
    point = {name: row[name] for name in results.swept}
    run = run_of(factory, results, row)
    found = stages(row, results.traces.filter(pl.col("run_id") == row["run_id"]))
    with batched.precision(factory(**factory.defaults).precision):
        before = film.trained_agent(factory, run, agents)
        at = film.agents_at(factory, run, before, [p["step"] for _, p in found])
        same = run_id(factory, run) == row["run_id"]
        for agent, (_, p) in zip(at, found, strict=True):
            measured = film.evaluate_again(factory, run, agent, p["step"], p["episodes"])
            for i, condition in enumerate(CONDITIONS):
                decisions = int(measured["decisions"][i])
                rate = measured["misbehaved"][i] / max(decisions, 1)
                same = same and decisions == p[f"decisions_{condition}"] and rate == p[f"misbehaviour_{condition}"]
        if not same:
            raise UserError(
                f"replay: seed {row['seed']} differs here from these results, which were made by other versions or on "
                "another kind of machine; run the scenario again"
            )
        named = [(name, p["step"], (p["misbehaviour_unwatched"], p["misbehaviour_watched"])) for name, p in found]
        about = {"run_id": row["run_id"], "point": point, "corrected": row["corrected"]}
        return film.record(factory, run, at, named, about, episodes)
