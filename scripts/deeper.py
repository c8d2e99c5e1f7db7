"""Does feedback on activations move a case from inner towards outer? (The seed's third footnote.)

The scenarios that are labelled `inner`, under the best feedback in deployment, with and without a penalty on plans: a
linear probe of the last hidden layer learns to foresee misbehaviour, and what it foresees is penalised too.
Labels and best feedback are those of the attributions (`scripts/attributions.py`). Where an attribution was decided
before feedback in deployment was tried, there is none to add to.
"""

from pathlib import Path
from typing import Any

from _common import FIGURES, folder, parser, run
from attributions import of_gallery

import robustsim as rs
from robustsim import levers
from robustsim.analysis.gains import gain
from robustsim.analysis.measures import bounded
from robustsim.report.provenance import note

PLANS, SEEDS, QUICK = [0.0, 0.1, 0.3, 1.0], 16, 2  # in units of the penalty on misbehaviour


def tried(name: str, found: rs.Attribution, out: Path, seeds: int) -> dict[str, rs.Results]:
    """The best feedback in deployment, with growing penalties on plans; a row per penalty."""
    online = levers.STRONG if levers.STRONG in found.levers else levers.BEST
    settings = found.levers[online]["settings"]
    plans = [plan * settings["overseer.penalty"] for plan in PLANS]
    results = run(rs.Sweep(name, {"overseer.plan_penalty": plans}, seeds=seeds, settings=settings), out)
    return {f"{plan:g}": results.where({"overseer.plan_penalty": plan}) for plan in plans}


def row(results: rs.Results, without: rs.Results) -> dict[str, Any]:
    """What a penalty on plans came to."""
    runs = results.runs
    return {
        "runs": len(runs),
        "in time": int(runs["success"].sum()),
        "removed": int(runs["corrected"].sum()),
        "harm": bounded(runs, "harm"),
        "gain": gain(without.runs, runs),
        "competence": float(runs["final_competence"].median()),  # pyright: ignore[reportArgumentType]
    }


def main(argv: list[str] | None = None) -> None:
    """Runs the cases, and prints a row for each penalty."""
    args = parser(__doc__, "deeper").parse_args(argv)
    numbers, seen = dict[str, dict[str, Any]](), dict[str, rs.Results]()
    for name, found in of_gallery().items():
        if found.label != "inner" or levers.BEST not in found.levers:
            continue
        some = tried(name, found, folder(args) / name, QUICK if args.quick else SEEDS)
        first = next(iter(some.values()))
        numbers[name], seen[name] = {plan: row(one, first) for plan, one in some.items()}, first
        for plan, one in numbers[name].items():
            print(name, f"plan penalty {plan}:", one, flush=True)
    stem = (folder(args) if args.quick else FIGURES) / "deeper"
    note(stem, "python scripts/deeper.py", seen, numbers)


if __name__ == "__main__":
    main()
