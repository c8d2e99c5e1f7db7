"""What a sweep would do and what that would cost, before it is done: `robustsim sweep --dry-run`."""

import math
import time

import jax
import numpy as np

from robustsim.results import to_json
from robustsim.sim import batched
from robustsim.sim.cohort import Cohort
from robustsim.sim.pace import compile_seconds
from robustsim.sim.track import UNOPPOSED, Track
from robustsim.spec.settings import for_training
from robustsim.sweep import compiled
from robustsim.sweep.execution import Execution, default_workers
from robustsim.sweep.plan import Plan, plan_precision
from robustsim.sweep.progress import duration

RUN_BYTES, TRACE_BYTES = 700, 90  # of a row on disk, measured
EVALUATIONS_PER_DECADE = 25  # of a run, in two arms


def show(plan: Plan, execution: Execution, as_json: bool) -> None:
    """Reports the planned work and its cost. The rate is measured: the first group is compiled and takes some steps."""
    compiled.keep()
    workers = execution.workers or default_workers()
    rate, compiling = _measure(plan, execution)
    budgets = [plan.run(i).settings.deployment for i in range(0, len(plan), len(plan.seeds))]
    most = sum((2 + d.relearn) * d.budget + d.relapse_steps for d in budgets) * len(plan.seeds)
    agents = {plan.agent_name(i) for i in range(len(plan))}
    training = len(agents) * plan.run(0).settings.training.steps
    evaluations = len(plan) * EVALUATIONS_PER_DECADE * max(1.0, float(np.log10(max(d.budget for d in budgets))))
    table = {
        "runs": len(plan),
        "configurations": len(plan.points),
        "groups": len(plan.groups),
        "shards": len(plan.shards),
        "agents": len(agents),
        "workers": workers,
        "compiled_programs": 4 * (len(plan.groups) + 1),
        "compile_seconds": round(compiling * len(plan.groups), 1),
        "gradient_steps_per_second": round(rate * workers),
        "gradient_steps_training": training,
        "gradient_steps_at_most": most,
        "seconds_at_most": round((training + most) / (rate * workers) + compiling * len(plan.groups)),
        "megabytes": round((len(plan) * RUN_BYTES + evaluations * TRACE_BYTES) / 1e6, 2),
    }
    if as_json:
        print(to_json(table))
        return
    print(f"{table['runs']:,} runs: {table['configurations']:,} configurations x {len(plan.seeds)} seeds")
    print(
        f"{_count(table['groups'], 'group')}, each with its own compiled programs; "
        f"{_count(table['shards'], 'shard')} of up to {plan.size} runs; {_count(table['agents'], 'agent')} to train"
    )
    print(
        f"compilation: about {duration(table['compile_seconds'])} the first time, "
        f"for {table['compiled_programs']} programs"
    )
    print(
        f"time: at most {duration(table['seconds_at_most'])} with {_count(workers, 'worker')} at "
        f"{table['gradient_steps_per_second']:,} gradient steps/s in total, if every run uses its whole budget"
    )
    print(f"disk: about {table['megabytes']} MB of tables, plus the checkpoints of runs in flight")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _measure(plan: Plan, execution: Execution, seconds: float = 2.0) -> tuple[float, float]:
    """(gradient steps per second of one worker, seconds of compiling), measured on the first group."""
    run = plan.run(0)
    with batched.precision(plan_precision(plan)):
        began = compile_seconds()
        settings = batched.stack([batched.as_arrays(for_training(run.settings))])
        agents = batched.initialise(plan.factory, settings, np.zeros((1, 2), np.uint32))
        agent = jax.tree.map(lambda x: np.asarray(x[0]), agents)
        width = execution.width or (64 if batched.side_by_side(run.settings) else 8)
        cohort = Cohort(plan.factory, run.settings, width)
        cohort.add([(Track(i, run._replace(seed=i), UNOPPOSED), agent) for i in range(width)])
        deadline = math.inf
        while cohort.busy and time.monotonic() < deadline:
            cohort.advance()
            if cohort.spent.steps:
                deadline = min(deadline, time.monotonic() + seconds)
        spent = sum((cohort.spent.device_seconds, cohort.spent.evaluation_seconds, cohort.spent.host_only_seconds))
        return cohort.spent.steps / max(spent, 1e-9), compile_seconds() - began
