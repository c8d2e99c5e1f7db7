"""Shared by the scripts: options, running a sweep with progress, and publishing a figure."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

import robustsim as rs
from robustsim.report.console import progress
from robustsim.report.provenance import publish

FIGURES = Path("figures")
ALONE = {"deployment.patience": 0.0, "deployment.relapse_steps": 0}  # a run ends once it is decided


def parser(doc: str | None, name: str) -> argparse.ArgumentParser:
    """`--quick` and `--out` for the script `name`, described by the first line of its docstring."""
    made = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    made.add_argument("--quick", action="store_true", help="a small version, in a few minutes")
    made.add_argument("--out", type=Path, default=Path("results") / name, help="where the runs are stored")
    return made


def folder(args: argparse.Namespace) -> Path:
    """The folder of the runs, for the full or the quick version of the script."""
    return args.out.with_name(args.out.name + "-quick") if args.quick else args.out


def run(sweep: rs.Sweep, out: Path) -> rs.Results:
    """Runs a sweep, or reads its stored results."""
    with progress() as narrate:
        return sweep.run(out, narrate=narrate)


def deployable(sweep: rs.Sweep, out: Path) -> rs.Results:
    """Runs a sweep, or reads its stored results: of the runs whose agents could be deployed. Says which could not."""
    try:
        return run(sweep, out)
    except rs.RunsFailed as error:
        print(error)
        return error.results or rs.open(out)


def attributed(case: Any, out: Path, settings: dict[str, Any], terms: rs.Terms) -> rs.Attribution:
    """Attributes a scenario, or reads what is stored."""
    try:
        return rs.Attribution.read(out)
    except rs.UserError:
        with progress() as narrate:
            return rs.attribute(case, settings=settings, out=out, terms=terms, narrate=narrate)


class Merged(NamedTuple):
    """A figure that is made part by part: its numbers by part, and what is said of the results of the older ones."""

    numbers: dict[str, Any]
    kept: dict[str, Any]


def merged(args: argparse.Namespace, name: str, new: dict[str, Any], order: Sequence[str]) -> Merged:
    """The numbers of the parts that were made now, and those of the others as they are published, in this order."""
    file = _stem(args, name).with_suffix(".json")
    old = json.loads(file.read_text()) if file.exists() else {"numbers": {}, "results": {}}
    numbers = old["numbers"] | new
    return Merged({part: numbers[part] for part in order if part in numbers}, old["results"])


def _stem(args: argparse.Namespace, name: str) -> Path:
    return (folder(args) if args.quick else FIGURES) / name


def finish(
    figure: Figure,
    args: argparse.Namespace,
    name: str,
    results: dict[str, rs.Results],
    numbers: dict[str, Any],
    options: str = "",
    kept: dict[str, Any] | None = None,
) -> None:
    """Publishes a figure: in figures/, or for the quick version next to the runs.

    Args:
      options: of its command.
      kept: what is said of those of its results that were not made anew.
    """
    stem = _stem(args, name)
    publish(figure, stem, f"python scripts/{name.replace('-', '_')}.py{options}", results, numbers, kept)
    print(f"{stem}.png")
