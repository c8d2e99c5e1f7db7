"""Gradient steps per second of several checkouts of this package, in turn on one core: what a change brought.

    python benchmarks/versions.py camera_vault BEFORE AFTER ...

Each argument after the scenario is the root of a checkout. Ratios are to the first, medians of seven rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 7


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario")
    parser.add_argument("checkouts", type=Path, nargs="+")
    args = parser.parse_args()
    children = [_child(root, args.scenario) for root in args.checkouts]
    rates: list[list[float]] = [[] for _ in children]
    for _ in range(ROUNDS):
        for child, found in zip(children, rates, strict=True):
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("go\n")
            child.stdin.flush()
            found.append(json.loads(child.stdout.readline()))
    for child in children:
        child.kill()
    middle = [statistics.median(found) for found in rates]
    rows = zip(args.checkouts, middle, strict=True)
    print(json.dumps({root.name: {"rate": round(x), "ratio": round(x / middle[0], 2)} for root, x in rows}, indent=2))


def _child(root: Path, scenario: str) -> "subprocess.Popen[str]":
    """The checkout's own side of the throughput benchmark: eight runs, 60 gradient steps, on the first core."""
    command = [sys.executable, str(root / "benchmarks" / "ours.py"), scenario, "8", "60", "0"]
    environment = {**os.environ, "PYTHONPATH": str(root.resolve())}
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    if child.stdout is None or child.stdout.readline().strip() != "ready":
        raise SystemExit(f"{root}: does not start")
    return child


if __name__ == "__main__":
    main()
