"""A sweep of 100,000 runs on disk: opening it, grouping it, and drawing its spectrum. Limit: 3 seconds.

The runs are copies of real ones with other ids: what is measured is reading, not simulating.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

import robustsim as rs
from robustsim.sweep import store

READER = """
import sys, time
began = time.perf_counter()
import robustsim as rs
results = rs.open(sys.argv[1])
opened = time.perf_counter()
spectrum = results.spectrum()
grouped = time.perf_counter()
results.plot(sys.argv[1] + "/spectrum.png", figure="spectrum")
import json
print(json.dumps({"open": opened - began, "group": grouped - opened, "draw": time.perf_counter() - grouped,
                  "configurations": len(spectrum), "runs": len(results.runs)}))
"""


def build(folder: Path, runs: int, configurations: int, shard_size: int) -> None:
    """Writes a sweep of the wanted size out of the runs of a small one."""
    coverages = [round(0.1 + 0.8 * i / configurations, 6) for i in range(configurations)]
    settings = {"agent.gradient": "sampled", "deployment.budget": 300, "deployment.relapse_steps": 0}
    sample = rs.run("bandit", seeds=512, settings=settings)
    seeds = runs // configurations
    sweep = rs.Sweep(scenario="bandit", over={"overseer.coverage": coverages}, seeds=seeds, settings=settings)
    shards = -(-runs // shard_size)
    manifest = {
        **sample.manifest,
        "what": {**sample.manifest["what"], "swept": {"overseer.coverage": coverages}, "seeds": list(range(seeds))},
        "plan": {"runs": runs, "shards": shards, "shard_size": shard_size, "groups": 1},
    }
    del sweep
    store.write_manifest(folder, manifest)
    manifest = store.read_manifest(folder)
    for shard in range(shards):
        index = list(range(shard * shard_size, min((shard + 1) * shard_size, runs)))
        rows = sample.runs[[i % len(sample.runs) for i in index]].with_columns(
            pl.Series("run_id", [f"{i:016x}" for i in index]),
            pl.Series("seed", [i % seeds for i in index]),
            pl.Series(store.INDEX, index),
            pl.Series("overseer.coverage", [coverages[i // seeds] for i in index]),
        )
        tables = {"runs": rows, "traces": rows.select(store.INDEX, "run_id")}
        notes = {
            "runs": len(index),
            "failed": [],
            "steps": 0,
            "seconds": 0,
            "corrected": 0,
            "catastrophe_first": 0,
            "censored": 0,
        }
        store.commit(folder, manifest, shard, tables, notes)


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--configurations", type=int, default=1000)
    parser.add_argument("--shard-size", type=int, default=256)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "sweep"
        build(folder, args.runs, args.configurations, args.shard_size)
        rounds = []
        for _ in range(5):
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", READER, str(folder)], capture_output=True, text=True, check=True
            )
            rounds.append({**json.loads(done.stdout), "whole_command": time.perf_counter() - began})
        rounds.sort(key=lambda r: r["whole_command"])
        print(json.dumps({k: round(v, 2) for k, v in rounds[2].items()}, indent=2))


if __name__ == "__main__":
    main()
