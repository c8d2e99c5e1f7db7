"""The bundled scenarios at their defaults, 32 seeds each: race plane and traces of every one."""

import argparse
from pathlib import Path
from typing import Any

import robustsim as rs
from robustsim.cli.console import progress
from robustsim.cli.work import in_words
from robustsim.report import figures
from robustsim.report.provenance import publish

CASES: dict[str, dict[str, Any]] = {
    "camera-vault": {"scenario": "camera_vault", "over": {"overseer.visible": [True, False]}},
    "camera-vault-hidden": {
        "scenario": "camera_vault",
        "over": {},
        "settings": {"overseer.visible": False, "overseer.coverage": 1.0},
    },
    "corner-maze": {"scenario": "corner_maze", "over": {}},
    "four-rooms": {"scenario": "four_rooms", "over": {}},
}
QUICK = {
    "instil.steps": 200,
    "instil.competence": 0.0,
    "deployment.budget": 100,
    "deployment.relapse_steps": 20,
    "probe.episodes": 256,
}


def main(argv: list[str] | None = None) -> None:
    """Runs the cases and writes their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small version, in a few minutes")
    parser.add_argument("--out", type=Path, default=Path("results/first-results"))
    parser.add_argument("--only", choices=sorted(CASES), help="one case")
    args = parser.parse_args(argv)
    for name, case in CASES.items():
        if args.only not in (None, name):
            continue
        out = args.out / (f"{name}-quick" if args.quick else name)
        settings = {**case.get("settings", {}), **(QUICK if args.quick else {})}
        sweep = rs.Sweep(**{**case, "settings": settings, "seeds": 2 if args.quick else 32})
        with progress() as narrate:
            results = sweep.run(out, narrate=narrate)
        numbers = {}
        for point in results.runs.select(results.swept).unique(maintain_order=True).to_dicts() or [{}]:
            one = results.where(point) if point else results
            numbers[str(point)] = one.summary()
            print(f"{point or ''}\n{in_words(one)}")
        for figure in ("race-plane", "traces"):
            stem = (out if args.quick else Path("figures")) / f"{name}-{figure}"
            command = f"python scripts/first_results.py --only {name}"
            publish(figures.draw(results, figure), stem, command, {name: results}, numbers)
            print(f"{stem}.png")


if __name__ == "__main__":
    main()
