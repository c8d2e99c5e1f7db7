"""The Python interface."""

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict, Unpack

import numpy as np
import polars as pl

from robustsim.analysis import verdict
from robustsim.arguments import whole
from robustsim.errors import RunsFailed, StorageError, UserError
from robustsim.report import words
from robustsim.report.console import for_people
from robustsim.results import Results, open_results
from robustsim.sim.policy import with_policy
from robustsim.spec import twins
from robustsim.spec.loading import load
from robustsim.spec.scenario import ScenarioFactory
from robustsim.sweep.axes import MOST, MOST_SEEDS, Axes, Design
from robustsim.sweep.execution import Execution, Narrate
from robustsim.sweep.options import Options, Seeds
from robustsim.sweep.plan import Plan, make_plan
from robustsim.sweep.run import Finished, run_here, run_to, unheard
from robustsim.sweep.store import read_manifest

OnFinished = Callable[[Results], None]


class Growth(TypedDict, total=False):
    """How the number of seeds grows."""

    until: str
    max_seeds: int


def geomspace(low: float, high: float, count: int) -> list[float]:
    """`count` values from `low` to `high` with a constant ratio, for the axes of sweeps.

    Raises:
      UserError: an end is not above 0, or the count is below 1.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low > 0 and high > 0):
        raise UserError(f"geomspace: from {low!r} to {high!r} is not allowed; use two numbers above 0")
    whole("geomspace", count, 1, MOST)
    return [float(x) for x in np.geomspace(low, high, count)]


def twin(scenario: str | ScenarioFactory, name: str) -> dict[str, Any]:
    """The settings of a control of the scenario: `run(scenario, settings=twin(scenario, "oracle"))`.

    Args:
      scenario: what `load` returns or takes.
      name: "aligned" (half of the training levels distinguish goal and proxy), "random-init" (never trained), "oracle"
        (an overseer that sees everything covertly) or "guarded" (the tampering act is a no-op).

    Raises:
      UserError: the scenario has no such twin.
    """
    return twins.twin(load(scenario), name)


def run(
    scenario: str | ScenarioFactory,
    *,
    seeds: Seeds = 32,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    execution: Execution = Execution(),
    narrate: Narrate | None = None,
    on_finished: OnFinished | None = None,
    policy: Any = None,
    **growth: Unpack[Growth],
) -> Results:
    """Trains agents, deploys each in both arms, and measures both clocks.

    Args:
      scenario: what `load` returns or takes.
      seeds: number of independently trained agents, or which seeds.
      settings: dotted names with values that differ from the scenario's defaults.
      out: directory for the results. Finished runs in it are kept, so the same call resumes after an interruption.
      execution: where and how the work is done, and whether other results in `out` are removed.
      narrate: receives the state of the work, a `Status`, about once a second; by default it is shown in notebooks and
        terminals.
      on_finished: called, here and in the order in which they finish, with the `Results` of some runs that have just
        finished; not with those that were in `out` before.
      policy: deployed in place of trained agents: a `Policy` (see `Results.agent`) or its parameters, from where the
        scenario's own agent learns on; or a function `policy(obs float[D]) -> logits float[A]` that never learns.
      growth: until="decided" doubles the number of seeds until the verdict is, up to `max_seeds`, 256 by default.

    Raises:
      UserError: bad input. RunsFailed: some runs failed; the others are in `out`.
    """
    if policy is not None:
        scenario = with_policy(load(scenario), policy)
    sweep = Sweep(scenario=scenario, over={}, seeds=seeds, settings={} if settings is None else settings)
    if growth:
        return _until_decided(sweep, growth, out, execution=execution, narrate=narrate, on_finished=on_finished)
    return sweep.run(out, execution=execution, narrate=narrate, on_finished=on_finished)


def _until_decided(sweep: "Sweep", growth: Growth, out: str | Path | None, **how: Any) -> Results:
    """A sweep of one configuration with as many seeds as decide it. What is there is kept, so each is made once.

    Runs that failed are no reason to stop; they are raised at the end.
    """
    unknown = set(growth) - set(Growth.__annotations__)
    if unknown:
        raise TypeError(f"run() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    until, max_seeds = growth.get("until", ""), growth.get("max_seeds", 256)
    if until != "decided":
        raise UserError(f"until: {until!r} is not allowed; use 'decided'")
    if not isinstance(sweep.seeds, int):
        raise UserError("seeds: a list is not allowed with until='decided'; use a number to begin with")
    n, most = sweep.seeds, whole("max_seeds", max_seeds, sweep.seeds, MOST_SEEDS)
    with ExitStack() as stack:
        kept = out is not None
        folder = Path(out) if kept else Path(stack.enter_context(TemporaryDirectory())) / "results"
        n = max(n, grown_to(folder, most)) if kept and not how["execution"].overwrite else n
        while True:
            failed: RunsFailed | None = None
            try:
                results = replace(sweep, seeds=n).run(folder, **how)
            except RunsFailed as error:
                if error.results is None:
                    raise
                failed, results = error, error.results
            if verdict.decided(results.verdict()) or n >= most:
                results.traces  # noqa: B018  (read before a temporary folder goes)
                if not kept:
                    results.manifest.pop("folder", None)
                return _whole(results, results.failed if failed else pl.DataFrame())
            how = {**how, "execution": replace(how["execution"], overwrite=False)}
            n = min(2 * n, most)


def grown_to(folder: Path, most: int) -> int:
    """How many seeds an earlier call came to, 0 where there are no results; what else may be wrong, the run says."""
    try:
        there = len(read_manifest(folder)["what"]["seeds"])
    except (UserError, StorageError):
        return 0
    return there if there <= most else 0


def to_gymnax(scenario: str | ScenarioFactory, settings: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
    """The training phase of a scenario as `(env, params)` of gymnax 1.0, for training loops written for gymnax.

    Episodes come from the training levels. The observation is what the scenario's agent sees: the signal is part of it,
    and on in the share `training.watched` of the episodes. Rewards are the environment's own: there is no overseer.
    `robustsim.envs.export.to_gymnax` does the same for an `Environment`.

    Args:
      scenario: what `load` returns or takes.
      settings: dotted names with values that differ from the scenario's defaults.

    Raises:
      UserError: bad input, or gymnax is not installed.
    """
    from robustsim.envs import export
    from robustsim.sim.seen import training_environment
    from robustsim.spec.settings import resolve

    factory = load(scenario)
    return export.to_gymnax(*training_environment(factory, resolve(factory, settings or {})))


@dataclass(frozen=True)
class Sweep(Options):
    """A scenario with every combination of some settings' values, times seeds.

    Attributes:
      scenario: what `load` returns or takes.
      over: dotted names with the values to sweep over (or a `Range`, for designs that draw).
      settings: dotted names with one value for all.

    The others (`seeds`, `design`, `samples`, `design_seed`, `shard_size`) are those of `Options`.
    """

    scenario: str | ScenarioFactory
    over: Axes
    _: KW_ONLY
    settings: Mapping[str, Any] = field(default_factory=dict)

    def plan(self) -> Plan:
        """The runs, groups and shards of the sweep; raises UserError if it is not allowed."""
        design = Design(self.design, self.samples, self.design_seed)
        return make_plan(self.scenario, self.settings, self.over, design, self.seeds, self.shard_size)

    def run(
        self,
        out: str | Path | None = None,
        *,
        execution: Execution = Execution(),
        narrate: Narrate | None = None,
        on_finished: OnFinished | None = None,
    ) -> Results:
        """Runs it. Arguments and errors are those of :func:`run`."""
        plan = self.plan()
        finished = unheard if on_finished is None else _told(on_finished, plan.factory)
        with for_people(narrate) as told:
            if out is None:
                manifest, tables = run_here(plan, execution, told, finished)
                failed = tables["failed"]
                results = Results(**tables, manifest=manifest, complete=failed.is_empty(), factory=plan.factory)
                return _whole(results, failed)
            failed = run_to(plan, out, execution, told, finished)
        results = open_results(out)
        results.factory = plan.factory
        return _whole(results, failed)


def _told(on_finished: OnFinished, factory: ScenarioFactory) -> Finished:
    """Tells the user of finished runs."""
    return lambda manifest, tables: on_finished(Results(**tables, manifest=manifest, complete=False, factory=factory))


def _whole(results: Results, failed: pl.DataFrame) -> Results:
    """The results; raises RunsFailed, with all other runs, where some of those that were asked for failed."""
    if failed.is_empty():
        return results
    error = RunsFailed(f"scenario {results.scenario!r}: {words.failures(results)}")
    error.results = results
    raise error
