"""The commands of sweeps: sweep, status."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl

from robustsim import api
from robustsim.cli.console import parse_axes, parse_overrides, parse_part, parse_seeds, progress
from robustsim.cli.work import clock_in_words, interval_in_words, share_in_words
from robustsim.errors import UserError
from robustsim.results import Results, to_json
from robustsim.sim import lifted
from robustsim.sim.cohort import Cohort, compile_seconds
from robustsim.sim.track import UNOPPOSED, Track
from robustsim.sweep import compiled
from robustsim.sweep.executors import default_workers
from robustsim.sweep.plan import Plan, plan_precision
from robustsim.sweep.progress import duration, in_words
from robustsim.sweep.progress import status as read_status
from robustsim.sweep.run import How

CLOCKS = {"steps_to_correct": "T_c", "steps_to_catastrophe": "T_k"}
RUN_BYTES, TRACE_BYTES = 700, 90  # of a row on disk, measured
PROBES_PER_DECADE = 25  # readings of a run, in two arms


def sweep(
    spec: str,
    axes: dict[str, Any],
    how: dict[str, Any],
    seeds: str,
    overrides: tuple[str, ...],
    out: str,
    shard: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """`robustsim sweep`."""
    part = parse_part(shard)
    chosen = How(part=part, **how)
    axes = {**axes, "over": parse_axes(axes["over"])}
    asked = api.Sweep(scenario=spec, seeds=parse_seeds(seeds), settings=parse_overrides(overrides), **axes)
    if dry_run:
        _foresee(asked.plan(), chosen, as_json)
        return
    if not out:
        raise UserError("out: is needed: a directory for the results of the sweep")
    with progress(silent=as_json) as narrate:
        results = asked.run(out, how=chosen, narrate=narrate)
    if as_json:
        print(to_json({"results": out, "complete": results.complete, "spectrum": results.spectrum().to_dicts()}))
        return
    print(in_words(read_status(Path(out))))
    if results.complete:
        print(_table(results))
    print(f"results: {out}  (robustsim plot {out} --figure race-plane)")


MOST_ROWS = 40


def _table(results: Results) -> str:
    """Where each configuration stands, as a table for the terminal; all columns are in `results.spectrum()`."""
    spectrum, rows = results.spectrum(), []
    for row in spectrum.head(MOST_ROWS).to_dicts():
        clocks = {name: {k: row[f"{name}_{k}"] for k in ("median", "low", "high", "censored")} for name in CLOCKS}
        place = {k: row[f"position_{k}"] for k in ("median", "low", "high")}
        first = {k: row[f"p_catastrophe_first_{k}"] for k in ("estimate", "low", "high")}
        rows.append(
            {
                name.split(".")[-1]: f"{row[name]:.4g}" if isinstance(row[name], float) else str(row[name])
                for name in results.swept
            }
            | {"runs": str(row["runs"])}
            | {CLOCKS[name]: clock_in_words(part, row["runs"], "") for name, part in clocks.items()}
            | {"position": interval_in_words(place, "-"), "P(catastrophe first)": share_in_words(first)}
        )
    with pl.Config(
        tbl_cols=-1,
        tbl_rows=-1,
        tbl_width_chars=200,
        fmt_str_lengths=60,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
    ):
        table = str(pl.DataFrame(rows))
    more = len(spectrum) - len(rows)
    return table + (f"\nand {more:,} more configurations" if more else "")


def status(results: str, as_json: bool) -> None:
    """`robustsim status`."""
    state = read_status(Path(results))
    print(to_json(dataclasses.asdict(state)) if as_json else in_words(state))


def _foresee(plan: Plan, how: How, as_json: bool) -> None:
    """Says what a plan will do. The rate is measured: the first group is compiled and some steps are taken."""
    compiled.keep()
    workers = how.workers or default_workers()
    rate, compiling = _measure(plan, how)
    budgets = [plan.run(i).settings.deployment for i in range(0, len(plan), len(plan.seeds))]
    most = sum(2 * d.budget + d.relapse_steps for d in budgets) * len(plan.seeds)
    agents = {plan.agent_name(i) for i in range(len(plan))}
    training = len(agents) * plan.run(0).settings.training.steps
    evaluations = len(plan) * PROBES_PER_DECADE * max(1.0, float(np.log10(max(d.budget for d in budgets))))
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
        f"{table['groups']} group{'s' if table['groups'] != 1 else ''} that share{'s' if table['groups'] == 1 else ''} "
        f"a compiled program, {table['shards']} shards of up to {plan.size} runs, {table['agents']:,} agents to train"
    )
    print(
        f"compiling: about {duration(table['compile_seconds'])} the first time, {table['compiled_programs']} programs"
    )
    print(
        f"time: at most {duration(table['seconds_at_most'])} with {workers} worker{'s' if workers != 1 else ''} at "
        f"{table['gradient_steps_per_second']:,} gradient steps/s in all, if every run goes to its budget"
    )
    print(f"disk: about {table['megabytes']} MB of tables, and the checkpoints of runs in flight while it runs")


def _measure(plan: Plan, how: How, seconds: float = 2.0) -> tuple[float, float]:
    """(gradient steps per second of one worker, seconds of compiling), measured on the first group."""
    run = plan.run(0)
    with lifted.precision(plan_precision(plan)):
        began = compile_seconds()
        settings = lifted.stack([lifted.as_arrays(run.settings)])
        agents = lifted.initialise(plan.factory, settings, np.zeros((1, 2), np.uint32))
        agent = jax.tree.map(lambda x: np.asarray(x[0]), agents)
        width = how.width or (64 if lifted.side_by_side(run.settings) else 8)
        cohort = Cohort(plan.factory, run.settings, width)
        cohort.add([(Track(i, run._replace(seed=i), UNOPPOSED), agent) for i in range(width)])
        deadline = None
        while cohort.busy and (deadline is None or time.monotonic() < deadline):
            cohort.advance()
            if cohort.tally.steps and deadline is None:
                deadline = time.monotonic() + seconds
        spent = sum((cohort.tally.device_seconds, cohort.tally.evaluation_seconds, cohort.tally.host_only_seconds))
        return cohort.tally.steps / max(spent, 1e-9), compile_seconds() - began
