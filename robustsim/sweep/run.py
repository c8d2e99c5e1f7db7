"""From a plan to results: train what is missing, take every shard to its end, wherever the work is done."""

import shlex
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import polars as pl

from robustsim import files
from robustsim.errors import Stopped, StorageError, UserError
from robustsim.sim.agents import Agents, code_hash
from robustsim.spec.remembered import remember
from robustsim.sweep import compiled, growth, layout, progress, store, unit
from robustsim.sweep.execution import Execution, Narrate, default_workers, quiet
from robustsim.sweep.executors import Dask, Inline, Processes, can_fork, make_executor
from robustsim.sweep.layout import STOP
from robustsim.sweep.locking import locked
from robustsim.sweep.place import Place, active, forget_active, place_in, unit_name
from robustsim.sweep.plan import DEPLOY, REFERENCE, Plan
from robustsim.sweep.worker import Task
from robustsim.version import VERSION

DEATHS = 2  # a unit whose worker died so often goes on run by run
STRIKES = 3  # a run that then kills so often is given up
HOPELESS = 6  # a unit whose worker dies so often before it comes to any run is given up
MANY = 32  # runs from which on processes are worth their start


Finished = Callable[[dict[str, Any], dict[str, pl.DataFrame]], None]
"""`finished(manifest, tables)` gets the tables of a shard that is done: runs, traces, failed."""


def unheard(manifest: dict[str, Any], tables: dict[str, pl.DataFrame]) -> None:
    """Where nobody waits for shards."""


def describe(plan: Plan) -> dict[str, Any]:
    """The manifest of a plan's results."""
    return {
        "what": plan.what(),
        "plan": {"runs": len(plan), "shards": len(plan.shards), "shard_size": plan.size, "groups": len(plan.groups)},
        "code": code_hash(plan.factory.packages),
        "versions": {"robustsim": VERSION, "jax": jax.__version__, "polars": pl.__version__},
        "device": jax.default_backend(),
        "command": _command(),
    }


def _command() -> str:
    """What was called, without the folders of this machine: `robustsim ...`, `python NAME.py ...` or `python`."""
    name, words = Path(sys.argv[0]).name, ["".join(c if c.isprintable() else "?" for c in x) for x in sys.argv[1:]]
    if "robustsim" in name:
        return shlex.join(["robustsim", *words])
    return shlex.join(["python", name, *words]) if name.endswith(".py") else "python"


# --- in memory ---


def run_here(
    plan: Plan, how: Execution = Execution(), narrate: Narrate = quiet, finish: Finished = unheard
) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """Does a plan in this process, and keeps nothing but trained agents; returns (manifest, tables).

    The tables are `runs`, `traces`, and `failed` (:func:`robustsim.sweep.store.failures`).
    """
    compiled.keep()
    remember(plan.factory)
    manifest = describe(plan)
    began = time.monotonic()
    finished: list[dict[str, Any]] = []

    def tell(news: dict[str, Any]) -> None:
        rate = news["steps"] / max(news["seconds"] - news["compile_seconds"], 1e-9)
        narrate(progress.summary(manifest["plan"], finished, [{**news, "rate": rate}], ()))

    agents = Agents((files.cache_folder() / "agents",), alone=True)
    place = Place(agents=agents, width=how.width, tell=tell)
    for training in plan.trainings:
        unit.train(plan, training, place)
    for references in plan.references:
        unit.refer(plan, references, place)
    for shard in plan.shards:
        finished.append(unit.deploy(plan, shard, place))
        finish(manifest, _tables(manifest, finished[-1:]))
    manifest["worker_seconds"] = round(time.monotonic() - began, 1)
    return manifest, _tables(manifest, finished)


def _tables(manifest: dict[str, Any], done: list[dict[str, Any]]) -> dict[str, pl.DataFrame]:
    """The tables of shards that were done here: runs, traces, failed."""
    tables = {name: store.join([part["tables"][name] for part in done]) for name in store.TABLES}
    return {**tables, "failed": store.failures(manifest, done)}


# --- in a directory ---


@dataclass
class _Trouble:
    """What the driver remembers of units whose workers failed."""

    deaths: Counter[tuple[str, int]] = field(default_factory=Counter)
    strikes: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    nowhere: Counter[tuple[str, int]] = field(default_factory=Counter)
    skip: dict[tuple[str, int], dict[int, str]] = field(default_factory=dict)


def run_to(
    plan: Plan, out: str | Path, how: Execution = Execution(), narrate: Narrate = quiet, finish: Finished = unheard
) -> pl.DataFrame:
    """Brings the results of a plan into a directory, from wherever they are.

    Returns those of the runs it was asked for that failed (:func:`robustsim.sweep.store.failures`).

    Raises:
      UserError: bad input, other results, or another process at work. StorageError: something cannot be written.
      Stopped: it was interrupted; what was done is saved.
    """
    compiled.keep()
    folder = Path(out)
    layout.check_place(folder)
    part = "" if how.shard is None else f"{how.shard[0]}-of-{how.shard[1]}"
    with locked(folder, part) as handle:
        manifest = describe(plan)
        if how.shard is None and not how.overwrite:
            finish = _of_others(growth.grow(folder, plan, manifest), finish)
        manifest = store.prepare(folder, manifest, how.overwrite, alone=how.shard is None)
        remember(plan.factory)
        if plan.size != manifest["plan"]["shard_size"]:
            plan = replace(plan, shard_size=manifest["plan"]["shard_size"])
        wanted = _unfinished(plan, folder, manifest, how)
        if wanted:
            alone = how.shard is None
            if alone:
                layout.sweep_away(folder)
            try:
                _do_all(plan, folder, wanted, how, handle, narrate, finish)
            finally:
                if alone:
                    layout.sweep_away(folder)
    done = store.marks(folder, manifest)
    return store.failures(manifest, [mark for index, mark in done.items() if _mine(index, how)])


def _of_others(there: frozenset[str], finish: Finished) -> Finished:
    """Tells of those runs only that were not there before."""
    if not there or finish is unheard:
        return finish

    def told(manifest: dict[str, Any], tables: dict[str, pl.DataFrame]) -> None:
        new = {n: t.filter(~pl.col("run_id").is_in(list(there))) if "run_id" in t else t for n, t in tables.items()}
        if len(new["runs"]) or len(new["failed"]):
            finish(manifest, new)

    return told


def _mine(shard: int, how: Execution) -> bool:
    return how.shard is None or shard % how.shard[1] == how.shard[0]


def _unfinished(plan: Plan, folder: Path, manifest: dict[str, Any], how: Execution) -> list[int]:
    """The shards that are still to be done, damaged ones included."""
    done = store.marks(folder, manifest)
    finished = {i for i, mark in done.items() if store.sound(folder, mark) and not (how.retry and mark["failed"])}
    return [shard.index for shard in plan.shards if shard.index not in finished and _mine(shard.index, how)]


def _do_all(
    plan: Plan, folder: Path, wanted: list[int], how: Execution, handle: int, narrate: Narrate, finish: Finished
) -> None:
    """First the agents that the wanted shards start from, then the shards."""
    place = place_in(folder.resolve(), how.width, how.checkpoint)
    needed = {plan.agent_name(i) for index in wanted for i in plan.shards[index].runs}
    trainings = [
        t.index
        for t in plan.trainings
        if any((name := plan.agent_name(i)) in needed and not place.agents.has(name) for i in t.runs)
    ]
    held = {plan.reference_name(i) for index in wanted for i in plan.shards[index].runs}
    references = [
        r.index
        for r in plan.references
        if (name := plan.reference_name(r.runs[0])) in held and place.agents.reference(name) is None
    ]
    stages = (("train", trainings), ("reference", references), ("deploy", wanted))
    kind = _executor_kind(plan, how, sum(len(units) for _, units in stages))
    workers = how.workers or min(default_workers(), max(len(units) for _, units in stages))
    executor = make_executor(kind, workers, how, (handle,), plan, place)
    worker = "worker" if how.shard is None else f"worker-{how.shard[0]}-of-{how.shard[1]}"
    skip: dict[int, dict[int, str]] = {}
    try:
        for stage, units in stages:
            about = {"kind": stage, "worker": worker, "solo": False}
            tasks = [{**about, "unit": i, "skip": skip.get(i, {}) if stage == DEPLOY else {}} for i in units]
            trouble = _drive(executor, tasks, folder, narrate, finish)
            if stage == REFERENCE:
                skip = _without_reference(plan, wanted, trouble)
    except KeyboardInterrupt:
        (folder / STOP).touch()
        executor.close()
        state = progress.status(folder)
        raise Stopped(
            f"stopped; {state.done} of {state.runs} runs are stored, and those in flight are saved: give the same "
            "command again to go on"
        ) from None
    finally:
        (folder / STOP).touch()
        executor.close()
        with suppress(OSError):
            (folder / STOP).unlink()


def _without_reference(plan: Plan, wanted: list[int], trouble: _Trouble) -> dict[int, dict[int, str]]:
    """By shard, the runs whose reference agents were given up, and why."""
    given_up = {
        plan.reference_name(plan.references[number].runs[0]): next(iter(why.values()))
        for (_, number), why in trouble.skip.items()
    }
    found = {index: {i: plan.reference_name(i) for i in plan.shards[index].runs} for index in wanted}
    return {index: {i: given_up[n] for i, n in names.items() if n in given_up} for index, names in found.items()}


def _executor_kind(plan: Plan, how: Execution, units: int) -> str:
    if how.executor:
        if how.executor != "inline" and not plan.spec:
            raise UserError(
                f"executor: {how.executor!r} is not allowed for a scenario that is not in a file of its own; use inline"
            )
        if how.executor == "processes" and not can_fork():
            raise UserError("executor: 'processes' is not allowed on this system; use inline or dask")
        return how.executor
    alone = how.shard is not None or not plan.spec or not can_fork() or jax.default_backend() != "cpu"
    return "inline" if alone or len(plan) < MANY or units < 2 or default_workers() < 2 else "processes"


def _drive(
    executor: Inline | Processes | Dask, tasks: list[Task], folder: Path, narrate: Narrate, finish: Finished
) -> _Trouble:
    """Has all tasks done, and gives those that fail another chance; returns what it had to give up."""
    waiting, out, trouble, told = deque(tasks), 0, _Trouble(), 0.0
    while waiting or out:
        while waiting and out < executor.workers:
            executor.submit(waiting.popleft())
            out += 1
        for task, outcome in executor.wait(0.5):
            out -= 1
            if outcome["status"] == "bad":
                raise UserError(outcome["message"])
            if outcome["status"] == "storage":
                raise StorageError(outcome["message"])
            if outcome["status"] != "done":
                waiting.append(_again(task, outcome["message"], folder, trouble))
            elif task["kind"] == DEPLOY and finish is not unheard:
                finish(*store.read_shard(folder, task["unit"]))
        if time.monotonic() - told >= progress.EVERY:
            told = time.monotonic()
            narrate(progress.status(folder))
    narrate(progress.status(folder))
    return trouble


def _again(task: Task, why: str, folder: Path, trouble: _Trouble) -> Task:
    """The task for another try: as it was, run by run, or without the run that is to blame.

    Raises:
      StorageError: it fails again and again, before it comes to any run.
    """
    key = task["kind"], task["unit"]
    name = unit_name(*key)
    trouble.deaths[key] += 1
    if task["solo"]:
        suspect = active(folder, name)
        if suspect is None:
            trouble.nowhere[key] += 1
            if trouble.nowhere[key] >= HOPELESS:
                raise StorageError(f"{name}: cannot be done: {why}")
        else:
            trouble.strikes[*key, suspect] += 1
            if trouble.strikes[*key, suspect] >= STRIKES:
                trouble.skip.setdefault(key, {})[suspect] = why
    forget_active(folder, name)
    return {**task, "solo": trouble.deaths[key] >= DEATHS, "skip": {**task["skip"], **trouble.skip.get(key, {})}}
