"""What a user waits for: the first and the second start of a tiny run, and whole commands, each on one core.

    python benchmarks/starting.py

Every command is a process of its own with a cache of its own. Medians of three; the first start is cold each time.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROUNDS = 3
MAIN = "from robustsim.cli.main import main; main()"
TINY = {"deployment.budget": 20, "training.steps": 50, "training.competence": 0, "training.extension": 0}
EVEN = "overseer.coverage=" + ",".join(f"{0.05 * i:.2f}" for i in range(1, 21))
COMMANDS = {
    "help": ["--help"],
    "list": ["list"],
    "32 seeds": ["run", "camera_vault"],
    "20 coverages x 8 seeds, budget 300": [
        *("sweep", "camera_vault", "--over", EVEN, "--seeds", "8", "--workers", "1"),
        *("--set", "deployment.budget=300", "--out", "results", "--overwrite"),
    ],
}
"""Whole commands; programs are cached, agents are not."""


def main() -> None:
    """Prints one JSON object, in seconds."""
    tiny = ["run", "camera_vault", "--seeds", "1", *(x for k, v in TINY.items() for x in ("--set", f"{k}={v}"))]
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for _ in range(ROUNDS):
            shutil.rmtree(place / "cache", ignore_errors=True)
            for start in ("tiny run, cold", "tiny run, warm"):
                found.setdefault(start, []).append(seconds(tiny, place))
        for name, command in COMMANDS.items():
            if command[0] in ("run", "sweep"):
                seconds(command, place)  # compiles
            rounds = ROUNDS if len(command) == 1 else 1
            found[name] = [seconds(command, place) for _ in range(rounds)]
    print(json.dumps({name: round(statistics.median(times), 2) for name, times in found.items()}, indent=2))


def seconds(command: Sequence[str], folder: Path) -> float:
    """How long a command takes on one core, without agents of earlier ones."""
    shutil.rmtree(folder / "cache" / "agents", ignore_errors=True)
    environment = {**os.environ, "ROBUSTSIM_CACHE": str(folder / "cache")}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", MAIN, *command],
        check=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=one_core,
    )
    return time.perf_counter() - began


def one_core() -> None:
    """Keeps this process on the first core it may use."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


if __name__ == "__main__":
    main()
