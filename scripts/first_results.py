"""The bundled scenarios at their defaults, 32 seeds each: race plane and traces of every one."""

import argparse
from pathlib import Path
from typing import Any

import robustsim as rs
from robustsim.cli.console import progress
from robustsim.cli.work import in_words
from robustsim.report import figures
from robustsim.report.provenance import publish

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "camera-vault-visible": ("camera_vault", {}),
    "camera-vault-hidden": ("camera_vault", {"overseer.visible": False, "overseer.coverage": 1.0}),
    "corner-maze": ("corner_maze", {}),
    "four-rooms": ("four_rooms", {}),
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
    for name, (scenario, settings) in CASES.items():
        if args.only not in (None, name):
            continue
        out = args.out / (f"{name}-quick" if args.quick else name)
        changes = {**settings, **(QUICK if args.quick else {})}
        with progress() as narrate:
            results = rs.run(scenario, seeds=2 if args.quick else 32, settings=changes, out=out, narrate=narrate)
        print(in_words(results))
        for figure in ("race-plane", "traces"):
            stem = (out if args.quick else Path("figures")) / f"{name}-{figure}"
            command = f"python scripts/first_results.py --only {name}"
            publish(figures.draw(results, figure), stem, command, {name: results}, results.summary())
            print(f"{stem}.png")


if __name__ == "__main__":
    main()
