"""What a sweep survives: killed processes, crashes at every write, damaged files, disks that fail, killed Dask workers.

    python benchmarks/reliability.py kills --kills 300
    python benchmarks/reliability.py boundaries
    python benchmarks/reliability.py damage --files 1000
    python benchmarks/reliability.py faults
    python benchmarks/reliability.py poison --executor dask

Each prints one JSON object and ends with status 1 if a promise was broken.
"""

import argparse
import errno
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np

import robustsim as rs
from robustsim.errors import StorageError
from robustsim.sim.agents import Agents
from robustsim.sweep import checkpoint, progress, store
from robustsim.sweep.execution import Execution

INTERVAL = 0.3  # seconds between two checkpoints
SETTINGS = {
    "agent.gradient": "sampled",
    "training.steps": 400,
    "training.competence": 0.0,
    "deployment.relapse_steps": 200,
    "overseer.penalty": 0.05,
}
COVERAGES = [round(0.04 * i, 2) for i in range(1, 26)]


def sweep(seeds: int = 8, budget: int = 20_000, shard_size: int = 20) -> rs.Sweep:
    """The sweep that is disturbed: 25 coverages, sampled gradients, agents that are trained first."""
    settings = {**SETTINGS, "deployment.budget": budget}
    over = {"overseer.coverage": COVERAGES}
    return rs.Sweep(scenario="bandit", over=over, seeds=seeds, settings=settings, shard_size=shard_size)


def compare(folder: Path, wanted: rs.Results) -> dict[str, int]:
    """Runs lost and duplicated, and whether the tables are those of the sweep that was left alone."""
    got = rs.open(folder)
    ids = got.runs["run_id"]
    return {
        "lost": len(wanted.runs) - ids.n_unique(),
        "duplicated": len(ids) - ids.n_unique(),
        "different_tables": int(not got.runs.equals(wanted.runs)) + int(not got.traces.equals(wanted.traces)),
    }


# --- processes that are killed ---


def kills(count: int, seed: int, seeds: int, budget: int) -> dict[str, Any]:
    """SIGKILLs at random moments and at random write boundaries, to drivers and to workers, over and over."""
    chance = random.Random(seed)
    wanted = sweep(seeds, budget).run()
    told = {"kills": 0, "sweeps": 0, "lost": 0, "duplicated": 0, "different_tables": 0, "by": {}}
    rework: list[float] = []
    while told["kills"] < count:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "sweep"
            while told["kills"] < count:
                how = chance.choice(["driver", "driver of processes", "worker", "boundary"])
                if _life(folder, how, chance, seeds, budget, rework):
                    break
                told["kills"] += 1
                told["by"][how] = told["by"].get(how, 0) + 1
                if told["kills"] % 20 == 0:
                    print(json.dumps(told), file=sys.stderr, flush=True)
            sweep(seeds, budget).run(folder)
            for key, value in compare(folder, wanted).items():
                told[key] += value
            told["sweeps"] += 1
    told["runs"] = len(wanted.runs)
    told["checkpoint_seconds"] = INTERVAL
    told["unsaved_seconds_at_kill"] = {"median": _middle(rework), "most": round(max(rework, default=0.0), 2)}
    told["broken"] = told["lost"] + told["duplicated"] + told["different_tables"]
    return told


def _life(folder: Path, how: str, chance: random.Random, seeds: int, budget: int, rework: list[float]) -> bool:
    """One process that works on the sweep until it is killed; returns whether it came to the end instead."""
    boundary = str(chance.randint(1, 120)) if how == "boundary" else "0"
    executor = "processes" if how in ("driver of processes", "worker") else "inline"
    command = [sys.executable, __file__, "victim", str(folder), executor, boundary, str(seeds), str(budget)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.readline()  # imports are over: from here on there is something to disturb
    try:
        process.wait(chance.uniform(0.0, 8.0) if how != "boundary" else 60)
        return process.returncode == 0
    except subprocess.TimeoutExpired:
        pass
    unsaved = _unsaved(folder)
    victims = _children(process.pid) if how == "worker" else [process.pid]
    for victim in victims[:1]:
        os.kill(victim, signal.SIGKILL)
        rework += unsaved
    if how == "worker":  # the driver starts another; then it is its turn
        time.sleep(chance.uniform(0.0, 3.0))
        process.kill()
    process.wait()
    return False


def _unsaved(folder: Path) -> list[float]:
    """Seconds of work of each worker that were not in a checkpoint, by what it last told."""
    found = []
    for path in (folder / "progress").glob("*.json"):
        with suppress(OSError, ValueError, KeyError):
            found.append(json.loads(path.read_text())["unsaved_seconds"])
    return found


def _middle(values: list[float]) -> float:
    return round(sorted(values)[len(values) // 2], 2) if values else 0.0


def _children(pid: int) -> list[int]:
    try:
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def victim(folder: str, executor: str, boundary: int, seeds: int, budget: int) -> None:
    """The process that is killed; at its own `boundary`-th write boundary, if that is not 0."""
    print("ready", flush=True)
    execution = Execution(executor=executor, checkpoint=INTERVAL, workers=2 if executor == "processes" else 0)
    with boundaries_that(lambda i: os.kill(os.getpid(), signal.SIGKILL) if i == boundary else None):
        sweep(seeds, budget).run(folder, execution=execution)


# --- crashes at every write boundary ---


class Crash(BaseException):
    """What a killed process looks like from the disk's side: nothing after it is executed."""


@contextmanager
def boundaries_that(act: Callable[[int], None]) -> Iterator[list[int]]:
    """Calls `act` with a running number before and after everything that changes the disk."""
    count, real = [0], {"open": Path.open, "fsync": os.fsync, "replace": os.replace, "unlink": Path.unlink}

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def disturbed(*args: Any, **kwargs: Any) -> Any:
            for after in (False, True):
                count[0] += 1
                act(count[0])
                if not after:
                    result = function(*args, **kwargs)
            return result  # pyright: ignore[reportPossiblyUnboundVariable]

        return disturbed

    def open_(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        return (around(real["open"]) if "w" in mode else real["open"])(path, mode, *args, **kwargs)

    Path.open, os.fsync, os.replace = open_, around(os.fsync), around(os.replace)  # type: ignore[method-assign]
    Path.unlink = around(real["unlink"])  # type: ignore[method-assign]
    try:
        yield count
    finally:
        Path.open, os.fsync, os.replace = real["open"], real["fsync"], real["replace"]  # type: ignore[method-assign]
        Path.unlink = real["unlink"]  # type: ignore[method-assign]


def boundaries(seeds: int, budget: int, stride: int) -> dict[str, Any]:
    """A crash at every write boundary of a sweep, each in a directory of its own, then the same command again."""
    small = sweep(seeds, budget, shard_size=max(1, 25 * seeds // 3))
    wanted = small.run()
    execution = Execution(executor="inline", checkpoint=INTERVAL)
    told = {"crashes": 0, "boundaries": 0, "lost": 0, "duplicated": 0, "different_tables": 0}
    for at in itertools.count(1, stride):
        with tempfile.TemporaryDirectory() as name:
            os.environ["ROBUSTSIM_CACHE"] = name + "/cache"
            folder = Path(name) / "sweep"

            def crash(i: int) -> None:
                if i == at:  # noqa: B023
                    raise Crash

            try:
                with boundaries_that(crash) as count:
                    _undisturbed_thread(small, folder, execution)
                told["boundaries"] = count[0]
                break
            except Crash:
                told["crashes"] += 1
            small.run(folder, execution=execution)
            for key, value in compare(folder, wanted).items():
                told[key] += value
    return told | {"broken": told["lost"] + told["duplicated"] + told["different_tables"]}


def _undisturbed_thread(small: rs.Sweep, folder: Path, execution: Execution) -> None:
    """The sweep with its work in this thread, so that a crash in it is a crash of everything."""
    import threading

    class Here(threading.Thread):
        def start(self) -> None:
            self.run()

        def join(self, timeout: float | None = None) -> None:
            pass

        def is_alive(self) -> bool:
            return False

    real, threading.Thread = threading.Thread, Here  # type: ignore[misc]
    try:
        small.run(folder, execution=execution)
    finally:
        threading.Thread = real  # type: ignore[misc]


# --- files that are damaged ---


def damage(count: int, seed: int) -> dict[str, Any]:
    """Files that are truncated, have a byte flipped, are emptied or swapped: is each noticed before it is believed?"""
    chance = random.Random(seed)
    told: dict[str, Any] = {"files": 0, "detected": 0, "believed": [], "by": {}}
    with tempfile.TemporaryDirectory() as name:
        os.environ["ROBUSTSIM_CACHE"] = name + "/cache"
        folder = Path(name) / "sweep"
        small = sweep(4, 2000, shard_size=20)
        plan = small.plan()
        wanted = small.run(folder)
        flight = _interrupted(small, Path(name) / "flight")
        artefacts = [path for path in folder.rglob("*") if path.is_file() and path.suffix in (".json", ".parquet")]
        artefacts = [path for path in artefacts if path.parent.name != "progress"]
        artefacts += [*(Path(name) / "cache" / "agents").iterdir(), *flight]
        sound = {path: _agent(path, plan) for path in artefacts if path.suffix == ".npz"}
        for _ in range(count):
            path = chance.choice(artefacts)
            how = chance.choice(["truncated", "flipped", "emptied", "swapped"])
            others = [p for p in artefacts if p.suffixes == path.suffixes and p.read_bytes() != path.read_bytes()]
            if how == "swapped" and not others:
                how = "flipped"
            keep = path.read_bytes()
            path.write_bytes(_damaged(keep, how, chance, others))
            noticed = _noticed(path, folder, plan, wanted, sound)
            path.write_bytes(keep)
            told["files"] += 1
            told["detected"] += noticed
            key = f"{path.suffix} {how}"
            told["by"][key] = told["by"].get(key, 0) + 1
            if not noticed:
                told["believed"].append(f"{path.name} {how}")
    return told | {"broken": told["files"] - told["detected"]}


def _interrupted(small: rs.Sweep, folder: Path) -> list[Path]:
    """Checkpoints of a sweep that was stopped."""
    command = [sys.executable, __file__, "victim", str(folder), "inline", "0", "4", "200000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(folder.glob("inflight/shard*.checkpoint")):
        time.sleep(0.05)
    process.kill()
    process.wait()
    return list(folder.glob("inflight/shard*.checkpoint"))


def _damaged(data: bytes, how: str, chance: random.Random, others: list[Path]) -> bytes:
    if how == "truncated":
        return data[: chance.randrange(1, len(data))]
    if how == "emptied":
        return b""
    if how == "swapped":
        return chance.choice(others).read_bytes()
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _agent(path: Path, plan: Any) -> Any:
    """The agent in a file, as a run would find it."""
    names = {plan.agent_name(i): i for i in range(len(plan))}
    return Agents((path.parent,)).get(path.stem, plan.factory, plan.run(names[path.stem]))


def _same(a: Any, b: Any) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def _noticed(path: Path, folder: Path, plan: Any, wanted: rs.Results, sound: dict[Path, Any]) -> bool:
    """Whether nothing is read out of a damaged file, or only what was written to it."""
    if path.suffix == ".checkpoint":
        identity = store.identity(store.read_manifest(path.parent.parent))
        return checkpoint.unpack(path.read_bytes(), lambda _: [], None, identity, path.stem) is None
    if path.suffix == ".npz":
        found = _agent(path, plan)
        return found is None or _same(found, sound[path])  # a flip may hit what carries no number, as a date
    try:
        results = rs.open(folder)
        return results.runs.equals(wanted.runs) and results.traces.equals(wanted.traces) and False
    except rs.UserError:
        return True


# --- disks that fail ---


def faults(seeds: int, budget: int, stride: int) -> dict[str, Any]:
    """An I/O error, and a full disk, at every call that changes the disk: a typed error, and nothing half-committed."""
    small = sweep(seeds, budget, shard_size=max(1, 25 * seeds // 3))
    wanted = small.run()
    execution = Execution(executor="inline", checkpoint=INTERVAL)
    told: dict[str, Any] = {"faults": 0, "typed_errors": 0, "unharmed": 0, "other_errors": [], "different_tables": 0}
    told |= {"half_committed": 0, "lost": 0, "duplicated": 0}
    for code in (errno.EIO, errno.ENOSPC):
        for at in itertools.count(1, stride):
            if not _fault(small, wanted, execution, code, at, told):
                break
    names = ("half_committed", "lost", "duplicated", "different_tables")
    return told | {"broken": sum(told[n] for n in names) + len(told["other_errors"])}


def _fault(small: rs.Sweep, wanted: rs.Results, execution: Execution, code: int, at: int, told: dict[str, Any]) -> bool:
    """A sweep whose `at`-th change of the disk fails, and the same command again; False if there is no such change."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["ROBUSTSIM_CACHE"] = name + "/cache"
        folder, reached = Path(name) / "sweep", [0]

        def fail(i: int) -> None:
            reached[0] = i
            if i == at:
                raise OSError(code, os.strerror(code))

        try:
            with boundaries_that(fail):
                _undisturbed_thread(small, folder, execution)
            told["unharmed"] += reached[0] >= at
        except StorageError:
            told["typed_errors"] += 1
        except Exception as error:  # whatever is not typed breaks the promise
            told["other_errors"].append(f"{at}: {type(error).__name__}: {error}")
        if reached[0] < at:
            return False
        told["faults"] += 1
        told["half_committed"] += _half_committed(folder)
        small.run(folder, execution=execution)
        for key, value in compare(folder, wanted).items():
            told[key] += value
        return True


def _half_committed(folder: Path) -> int:
    """Shards whose mark is there while what it vouches for is not."""
    if not (folder / store.MANIFEST).exists():
        return 0
    manifest = store.read_manifest(folder)
    return sum(not store.sound(folder, mark) for mark in store.marks(folder, manifest, strict=True).values())


# --- Dask workers that are killed, and a run that kills them ---


POISON = """
import os
import jax
import jax
import numpy as np

import robustsim as rs


@rs.scenario
def poisoned(poison: float = 0.0) -> rs.Scenario:
    '''A run with poison kills the process that it runs in.'''
    grid = rs.Grid(map=rs.room(5), items={"coin": rs.Item(reward=1.0, ends=True)}, max_steps=8)

    def misbehaviour(transition):
        jax.debug.callback(lambda p: os._exit(9) if p > 0.5 else None, poison)
        return transition.reward > 0

    return rs.Scenario(
        env=grid.environment(), training_levels=grid.levels(), deployment_levels=grid.levels(),
        misbehaviour=misbehaviour,
        agent=rs.A2C(num_envs=4, rollout_steps=8, width=8), training=rs.Training(steps=0, competence=0.0),
        deployment=rs.Deployment(budget=400, relapse_steps=50), evaluation=rs.Evaluation(episodes=64, screen=16),
    )
"""


def poison(executor: str, seeds: int, killings: int, seed: int) -> dict[str, Any]:
    """Workers that are killed by a run and, now and then, from outside: the sweep ends, and lists the run."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        file, folder = Path(name) / "poisoned.py", Path(name) / "sweep"
        file.write_text(POISON)
        poisons = [0.0, 1.0, *(i / 100 for i in range(1, 7))]
        command = [sys.executable, "-m", "robustsim.cli.main", "sweep", str(file), "--seeds", str(seeds)]
        command += ["--over", "env.poison=" + ",".join(map(str, poisons)), "--out", str(folder)]
        command += ["--executor", executor, "--workers", "2", "--checkpoint", str(INTERVAL), "--shard-size", "4"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        killed = 0
        while process.poll() is None:
            time.sleep(chance.uniform(0.3, 1.5))
            workers = [c for c in _descendants(process.pid) if not _descendants(c)]
            if killed < killings and workers and list((folder / "shards").glob("*.json")):
                os.kill(chance.choice(workers), signal.SIGKILL)
                killed += 1
        _, complaint = process.communicate()
        state = progress.status(folder)
        stored = rs.open(folder).runs
        healthy = (
            rs.Sweep(scenario=str(file), over={"env.poison": [p for p in poisons if p < 0.5]}, seeds=seeds).run().runs
        )
        same = stored.sort("env.poison", "seed").equals(healthy.sort("env.poison", "seed"))
        failed = {about["env.poison"] for about, _ in state.failed}
        right = failed == {1.0} and len(state.failed) == seeds and process.returncode == 3
        return {
            "executor": executor,
            "exit_status": process.returncode,
            "runs": state.runs,
            "stored": len(stored),
            "failed": state.failed,
            "killed_from_outside": killed,
            "healthy_runs_unchanged": same,
            "complaint": complaint.strip().splitlines()[-1:],
            "broken": int(not (right and same and killed)),
        }


def _descendants(pid: int) -> list[int]:
    return [d for child in _children(pid) for d in (child, *_descendants(child))]


def main() -> None:
    """Runs one of the checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check")
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--budget", type=int, default=20_000)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--executor", default="dask")
    args = parser.parse_args()
    if args.check == "victim":
        folder, executor, *numbers = args.rest
        victim(folder, executor, *map(int, numbers))
        return
    checks: dict[str, Callable[[], dict[str, Any]]] = {
        "kills": lambda: kills(args.kills, args.seed, args.seeds, args.budget),
        "boundaries": lambda: boundaries(args.seeds, args.budget, args.stride),
        "damage": lambda: damage(args.files, args.seed),
        "poison": lambda: poison(args.executor, min(args.seeds, 2), 3, args.seed),
        "faults": lambda: faults(args.seeds, args.budget, args.stride),
    }
    told = checks[args.check]()
    print(json.dumps(told, indent=2))
    sys.exit(1 if told["broken"] else 0)


if __name__ == "__main__":
    main()
