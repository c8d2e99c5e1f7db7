"""The replays of the README: an agent before, during and after correction, with a visible and a hidden signal."""

import argparse
from pathlib import Path

import robustsim as rs
from robustsim import replays
from robustsim.report import replay
from robustsim.report.console import progress
from robustsim.report.provenance import note

NAMES = {True: "camera-vault-replay", False: "camera-vault-hidden-replay"}
QUICK = {
    "training.steps": 200,
    "training.competence": 0.0,
    "deployment.budget": 100,
    "deployment.relapse_steps": 20,
    "evaluation.episodes": 256,
}


def main(argv: list[str] | None = None) -> None:
    """Runs a few agents with and without a visible signal, and records a typical one of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small version, in a minute")
    parser.add_argument("--out", type=Path, default=Path("results/films"))
    args = parser.parse_args(argv)
    out = args.out / ("quick" if args.quick else "full")
    sweep = rs.Sweep(
        "camera_vault",
        {"overseer.visible": list(NAMES)},
        seeds=2 if args.quick else 8,
        settings=QUICK if args.quick else {},
    )
    with progress() as narrate:
        results = sweep.run(out, narrate=narrate)
    for visible, name in NAMES.items():
        row = replays.picked(results, None, {"overseer.visible": str(visible).lower()})
        (recording,) = replays.make(results, [row], folder=out)
        stem = (out if args.quick else Path("figures")) / name
        size = replay.write(recording, stem.with_suffix(".gif"))
        steps = {stage.name: stage.step for stage in recording.stages}
        rates = {
            stage.name: dict(zip(("unwatched", "watched"), stage.rates, strict=True)) for stage in recording.stages
        }
        numbers = {"seed": recording.seed, "gradient_steps": steps, "misbehaviour": rates, "bytes": size}
        note(stem, "python scripts/films.py", {"films": results}, numbers)
        print(f"{stem}.gif  {size / 1000:,.0f} kB  {steps}")


if __name__ == "__main__":
    main()
