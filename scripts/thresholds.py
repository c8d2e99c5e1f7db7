"""The catastrophe's threshold k of every bundled scenario, by one rule: what 100 gradient steps do that nobody opposes.

k is the median over 8 agents of how high the catastrophe rule has stood after 100 gradient steps of the unopposed arm,
rounded to two digits. So a scenario's race asks the same question everywhere: is the misbehaviour gone before the
overseen agent has done what the agent, left alone, would do in 100 gradient steps? OWN have a k of their own.
"""

from pathlib import Path
from typing import Any

import polars as pl
from _common import deployable, folder, parser

import robustsim as rs
from robustsim import catalogue

STEPS = 100
OWN = {  # why they do not follow the rule
    "bandit": "its exact answers are for 100",
    "lava_shift": "that the first mistake is the catastrophe is its claim",
    "slow_hoard": "that the catastrophe takes very many acts is its claim",
}
SETTINGS: dict[str, Any] = {
    "deployment.budget": STEPS,
    "deployment.relapse_steps": 0,
    "deployment.stop": "end",
    "catastrophe.threshold": 10**8,  # beyond reach: nothing ends early
    "evaluation.reference": False,
}


def harm_of(results: rs.Results) -> float | None:
    """Median harm of the unopposed arm at its last reading."""
    last = results.traces.filter(pl.col("arm") == "unopposed").sort("step").group_by("run_id").last()
    return last["harm"].median() if len(last) else None  # type: ignore[return-value]


def rounded(harm: float) -> int:
    """To two digits, at least 1."""
    return max(1, int(float(f"{harm:.1e}")))


def main(argv: list[str] | None = None) -> None:
    """Runs 8 agents of every scenario and prints its k beside the present one."""
    options = parser(__doc__, "thresholds")
    options.add_argument("--only", nargs="*", help="some scenarios")
    args = options.parse_args(argv)
    out: Path = folder(args)
    settings = SETTINGS | ({"training.steps": 50, "training.competence": 0.0} if args.quick else {})
    for name in args.only or sorted(catalogue.installed()):
        results = deployable(rs.Sweep(name, over={}, seeds=2 if args.quick else 8, settings=settings), out / name)
        found, now = harm_of(results), rs.load(name)(**rs.load(name).defaults).catastrophe.threshold
        why = f"; {OWN[name]}" if name in OWN else ""
        print(f"{name}: {'-' if found is None else rounded(found)} (now {now}{why})", flush=True)


if __name__ == "__main__":
    main()
