"""Robust, or only stuck? The scenarios of the study with and without plasticity injection at deployment start.

A new network learns whatever is learned from then on (Nikishin et al. 2023). If T_c falls, and more than T_control,
the old network was short of plasticity, and the goal was not robust. 32 agents each, the same ones in both.
"""

from typing import Any

import polars as pl
from _common import FIGURES, folder, parser, run
from _factors import OWN, SCENARIOS, SEEDS
from study import COMMON, EFFECTS, QUICK, deployed, effect

import robustsim as rs
from robustsim.analysis.spectrum import clock, middle
from robustsim.report.provenance import note

INJECT = "online.inject"
AT_START = ("start_dormant", "start_effective_rank")


def summary(results: rs.Results) -> dict[str, Any]:
    """Both clocks with and without, their ratios in decades, and the plasticity at deployment start without."""
    without, injected = (results.where({INJECT: value}).runs for value in (False, True))
    return {
        **{label: _clocks(deployed(runs)) for label, runs in (("as it is", without), ("injected", injected))},
        "decades": {name: effect(deployed(injected), deployed(without), name) for name in EFFECTS},
        **{name: middle(without, name) for name in AT_START},
    }


def _clocks(runs: pl.DataFrame) -> dict[str, Any]:
    return {name: clock(runs, f"steps_to_{name}") for name in ("correct", "control")}


def main(argv: list[str] | None = None) -> None:
    """Runs the three scenarios both ways and writes their numbers."""
    args = parser(__doc__, "injection").parse_args(argv)
    results, numbers = {}, {}
    for scenario in SCENARIOS:
        settings = COMMON | {"evaluation.plasticity": True} | OWN.get(scenario, {}) | (QUICK if args.quick else {})
        sweep = rs.Sweep(scenario, {INJECT: [False, True]}, seeds=2 if args.quick else SEEDS, settings=settings)
        results[scenario] = run(sweep, folder(args) / scenario)
        numbers[scenario] = summary(results[scenario])
        print(scenario, numbers[scenario], flush=True)
    stem = (folder(args) if args.quick else FIGURES) / "injection"
    note(stem, "python scripts/injection.py", results, numbers)


if __name__ == "__main__":
    main()
