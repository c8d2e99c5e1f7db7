"""Slots against lock step, cost against the number of runs, the share of evaluations, shared agents, a second start.

    python benchmarks/scheduling.py slots | linear | evaluations | shared

Stopping times are made by budgets, drawn evenly on a logarithmic scale: an overseer without penalty corrects nothing,
so every run goes to its budget.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

import jax
import numpy as np

import robustsim as rs
from robustsim.sim import batched
from robustsim.sim.cohort import Cohort
from robustsim.sim.track import CORRECTED, UNOPPOSED, Track
from robustsim.spec.loading import load
from robustsim.spec.settings import Run, for_training, resolve
from robustsim.sweep import compiled

TINY = {
    "agent.num_envs": 2,
    "agent.rollout_steps": 8,
    "agent.width": 8,
    "evaluation.episodes": 16,
    "evaluation.screen": 16,
    "overseer.penalty": 0.0,
    "catastrophe.threshold": 100_000_000,
}


def slots(runs: int, width: int, longest: int) -> dict[str, Any]:
    """Slot steps that are useful, time on the host, and the time in lock step: each batch lasts as its slowest run."""
    factory = load("camera_vault")
    budgets = np.exp(np.random.default_rng(0).uniform(np.log(10), np.log(longest), runs)).astype(int)
    tracks = [
        Track(i, Run(resolve(factory, {**TINY, "deployment.budget": int(b)}), i), UNOPPOSED)
        for i, b in enumerate(budgets)
    ]
    example = tracks[0].run.settings
    settings = batched.stack([batched.as_arrays(for_training(example))])
    agents = batched.initialise(factory, settings, np.zeros((1, 2), np.uint32))
    agent = jax.tree.map(lambda x: np.asarray(x[0]), agents)
    cohort = Cohort(factory, example, width)
    waiting = tracks[::-1]
    began = time.perf_counter()
    while waiting or cohort.busy:
        room = min(width - cohort.busy, len(waiting))
        cohort.add([(waiting.pop(), agent) for _ in range(room)])
        cohort.advance()
    done, spent = cohort.spent, time.perf_counter() - began
    lock_step = sum(width * int(budgets[i : i + width].max()) for i in range(0, runs, width))
    return {
        "runs": runs,
        "slots": width,
        "stopping_times": [10, longest],
        "gradient_steps": done.steps,
        "useful_share_of_slot_steps": round(done.steps / done.slot_steps, 4),
        "slot_steps_in_lock_step_to_ours": round(lock_step / done.slot_steps, 2),
        "seconds": round(spent, 1),
        "share_on_host_between_calls": round(done.host_only_seconds / spent, 4),
        "share_on_evaluations": round(done.evaluation_seconds / spent, 4),
    }


def linear(base: int) -> dict[str, Any]:
    """Time and memory of ten times the runs, each in a process of its own."""
    rows = {runs: _in_process("linear-one", runs) for runs in (base, 10 * base)}
    small, large = rows[base], rows[10 * base]
    return {
        "runs": [base, 10 * base],
        "seconds": [small["seconds"], large["seconds"]],
        "time_ratio": round(large["seconds"] / small["seconds"], 2),
        "peak_megabytes": [small["megabytes"], large["megabytes"]],
    }


def linear_one(runs: int) -> dict[str, Any]:
    """Seconds, after a first small sweep has compiled everything, and the peak of memory."""
    settings = {"deployment.budget": 300, "deployment.relapse_steps": 0, "agent.gradient": "sampled"}
    rs.Sweep(scenario="bandit", over={}, seeds=64, settings=settings, shard_size=64).run()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        sweep = rs.Sweep(scenario="bandit", over={}, seeds=runs, settings=settings, shard_size=64)
        sweep.run(folder + "/out", execution=rs.Execution(executor="inline"))
        spent = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(spent, 2), "megabytes": round(peak)}


def evaluations(budget: int) -> dict[str, Any]:
    """The share of evaluations in the time of deployments in which an overseer corrects nothing."""
    factory = load("camera_vault")
    run = Run(resolve(factory, {"deployment.budget": budget, "overseer.coverage": 0.1, "overseer.visible": False}), 0)
    settings = batched.stack([batched.as_arrays(for_training(run.settings))])
    agents = batched.initialise(factory, settings, np.zeros((1, 2), np.uint32))
    agent = jax.tree.map(lambda x: np.asarray(x[0]), agents)
    shares = []
    for _ in range(2):  # the first round compiles
        cohort = Cohort(factory, run.settings, 8)
        cohort.add([(Track(i, run._replace(seed=i), CORRECTED), agent) for i in range(8)])
        began = time.perf_counter()
        while cohort.busy:
            cohort.advance()
        shares.append(cohort.spent.evaluation_seconds / (time.perf_counter() - began))
    return {"budget": budget, "share_on_evaluations": round(shares[-1], 3)}


def shared() -> dict[str, Any]:
    """A hundred overseers: how many agents are trained; and what a second start of a command compiles."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ROBUSTSIM_CACHE": folder + "/cache"}
        first, second = (_in_process("shared-one", i, environment, folder) for i in (0, 1))
        return {"overseers": 100, "agents_trained": first["agents"], "first_start": first, "second_start": second}


def shared_one(which: int, folder: str) -> dict[str, Any]:
    """One start: agents that are kept, programs that are compiled rather than read from the cache."""
    asked = {"compile_requests_use_cache": 0, "cache_hits": 0}

    def listen(event: str, **_: str | int) -> None:
        name = event.rsplit("/", 1)[-1]
        asked[name] = asked.get(name, 0) + 1

    jax.monitoring.register_event_listener(listen)
    compiled.keep()
    began = time.perf_counter()
    over = {"overseer.coverage": [round(0.01 * i, 2) for i in range(1, 101)]}
    small = {**TINY, "deployment.budget": 20, "deployment.relapse_steps": 0, "training.steps": 50}
    small |= {"training.competence": 0.0, "training.extension": 0.0}
    rs.Sweep(scenario="camera_vault", over=over, seeds=1, settings=small).run(f"{folder}/out{which}")
    agents = len(os.listdir(folder + "/cache/agents"))
    compilations = asked["compile_requests_use_cache"] - asked["cache_hits"]
    return {"agents": agents, "programs_compiled": compilations, "seconds": round(time.perf_counter() - began, 1)}


def _in_process(what: str, number: int, environment: dict[str, str] | None = None, folder: str = "") -> Any:
    command = [sys.executable, __file__, what, "--number", str(number), "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--longest", type=int, default=100_000)
    parser.add_argument("--budget", type=int, default=3000)
    parser.add_argument("--base", type=int, default=1000)
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--folder", default="")
    args = parser.parse_args()
    table = {
        "slots": lambda: slots(args.runs, args.width, args.longest),
        "linear": lambda: linear(args.base),
        "linear-one": lambda: linear_one(args.number),
        "evaluations": lambda: evaluations(args.budget),
        "shared": shared,
        "shared-one": lambda: shared_one(args.number, args.folder),
    }[args.what]()
    print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
