"""Gradient steps per second against a peer and against the machine's own limit, all measured in turn in one run.

Workload: 16 environments x 32 steps a rollout, one gradient step a rollout, 2 x 64 tanh, clipped Adam. The peer is
rejax (PPO with one epoch and one minibatch), in an environment of its own: `--peer .venv-rejax/bin/python`. The limit
is a float32 matrix product of 1024 x 1024. Medians of five rounds. `--figure STEM` draws them.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from robustsim.report.provenance import publish
from robustsim.report.style import COLOURS, INK, new_figure, outer_legend, quiet_axes
from robustsim.spec.loading import load

HERE = Path(__file__).parent
ROUNDS = 5
SCENARIOS = ("camera_vault", "corner_maze", "four_rooms")


class Side:
    """Something that measures itself when it is asked: one process, or several at the same time."""

    def __init__(self, commands: list[list[str]]) -> None:
        self._children = [
            subprocess.Popen(c, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for c in commands
        ]
        for child in self._children:
            if child.stdout is None or child.stdout.readline().strip() != "ready":
                raise SystemExit(f"{commands[0]}: does not start")
        self.rates: list[float] = []

    def measure(self) -> None:
        """One round."""
        for child in self._children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        self.rates.append(sum(json.loads(child.stdout.readline()) for child in self._children))  # pyright: ignore[reportOptionalMemberAccess]

    @property
    def rate(self) -> float:
        """The median rate."""
        return statistics.median(self.rates)


def ours(name: str, runs: int, steps: int, cores: list[int]) -> Side:
    """This package, a process on each of some cores."""
    return Side([[sys.executable, str(HERE / "ours.py"), name, str(runs), str(steps), str(core)] for core in cores])


def operations(name: str) -> float:
    """Floating-point operations of the network in one gradient step: a forward pass to act, three more to learn."""
    factory = load(name)
    env = factory(**factory.defaults).env
    sizes = [env.observation_size + 1, 64, 64, env.num_actions + 1]
    return 4 * 2 * sum(a * b for a, b in pairwise(sizes)) * 16 * 32


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS))
    parser.add_argument("--peer", default="", help="a Python that has rejax 0.1.3 and gymnax < 1")
    parser.add_argument("--runs", type=int, default=8, help="runs in a process of ours")
    parser.add_argument("--peer-runs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--figure", type=Path, help="draws the rates of one core as STEM.png and STEM.svg")
    args = parser.parse_args()
    table = measure(args)
    print(json.dumps(table, indent=2))
    if args.figure:
        draw(table, args.scenarios, args.figure)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Rates and ratios; all sides are asked in turn."""
    sides = {"gemm, one core": ours("gemm", 1, 1, [0])}
    for name in args.scenarios:
        sides[f"{name}, one core"] = ours(name, args.runs, args.steps, [0])
        sides[f"{name}, a process on each of two cores"] = ours(name, args.runs, args.steps, [0, 1])
    if args.peer:
        command = [args.peer, str(HERE / "peer_rejax.py"), str(args.peer_runs), str(args.steps)]
        sides["rejax, one core"] = Side([[*command, "1"]])
        sides["rejax, as a user runs it"] = Side([[*command, "0"]])
    for _ in range(ROUNDS):
        for side in sides.values():
            side.measure()
    gemm = sides["gemm, one core"].rate
    table: dict[str, Any] = {"gemm_gflops_one_core": round(gemm / 1e9, 1)}
    table["gradient_steps_per_second"] = {name: round(s.rate) for name, s in sides.items() if "gemm" not in name}
    for name in args.scenarios:
        one, two = (sides[f"{name}, {how}"].rate for how in ("one core", "a process on each of two cores"))
        ratios = {"mflop_per_step": round(operations(name) / 1e6, 1), "two_cores_to_one": round(two / one, 2)}
        ratios["share_of_gemm_rate_one_core"] = round(one * operations(name) / gemm, 3)
        ratios["steps_per_second_at_gemm_rate"] = round(gemm / operations(name))
        if args.peer:
            ratios["to_rejax_one_core"] = round(one / sides["rejax, one core"].rate, 2)
            ratios["to_rejax_whole_machine"] = round(two / sides["rejax, as a user runs it"].rate, 2)
        table[name] = ratios
    return table


def draw(table: dict[str, Any], scenarios: Sequence[str], stem: Path) -> None:
    """Gradient steps per second of one core: ours, the peer's, and what the matrix products alone would allow."""
    rates, figure = table["gradient_steps_per_second"], new_figure(7.2, 0.7 + 0.6 * len(scenarios))
    ax = figure.subplots()
    at = range(len(scenarios))
    ax.barh(at, [rates[f"{name}, one core"] for name in scenarios], height=0.55, color=COLOURS[0], label="robustsim")
    limits = [table[name]["steps_per_second_at_gemm_rate"] for name in scenarios]
    ax.vlines(limits, [i - 0.38 for i in at], [i + 0.38 for i in at], color=INK, label="the matrix products alone")
    for i, name in enumerate(scenarios):
        times = f"{table[name]['to_rejax_one_core']:.2f} x rejax, " if "to_rejax_one_core" in table[name] else ""
        text = f"{times}{table[name]['share_of_gemm_rate_one_core']:.0%} of the limit"
        ax.text(max(limits[i], rates[f"{name}, one core"]), i, f"  {text}", fontsize=8, va="center")
    if "rejax, one core" in rates:
        ax.axvline(rates["rejax, one core"], color=COLOURS[3], linestyle="--", label="rejax PPO on FourRooms")
    ax.set(
        xlim=(0, 1.75 * max(limits)), yticks=at, yticklabels=scenarios, xlabel="gradient steps per second on one core"
    )
    ax.invert_yaxis()
    quiet_axes(ax)
    outer_legend(ax, "")
    publish(figure, stem, "make bench", {}, table)


if __name__ == "__main__":
    main()
