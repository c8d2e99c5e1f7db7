"""The provenance of a figure, stored beside it, so that it can be reproduced."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from robustsim import files
from robustsim.analysis.tables import Tables
from robustsim.report.figures import save


def publish(
    figure: Figure,
    stem: Path,
    command: str,
    results: Mapping[str, Tables],
    numbers: dict[str, Any],
    published: Mapping[str, Any] | None = None,
) -> None:
    """Writes a figure as `stem.svg` and `stem.png`, and `stem.json` with their provenance.

    Args:
      command: the command that reproduces it.
      results: the results behind it, by name.
      numbers: the numbers that the figure shows.
      published: what is said of results that were not made anew.
    """
    for ending in (".svg", ".png"):
        save(figure, stem.with_suffix(ending))
    note(stem, command, results, numbers, published)


def note(
    stem: Path,
    command: str,
    results: Mapping[str, Tables],
    numbers: dict[str, Any],
    published: Mapping[str, Any] | None = None,
) -> None:
    """Writes `stem.json`, the provenance of a figure; arguments as :func:`publish`."""
    made_of = dict(published or {}) | {
        name: {
            "scenario": r.scenario,
            "seeds": len(r.manifest["what"]["seeds"]),
            "swept": r.manifest["what"]["swept"],
            "source_sha256": r.manifest["what"]["source_sha256"],
            "versions": r.manifest["versions"],
            "worker_seconds": r.manifest["worker_seconds"],
        }
        for name, r in results.items()
    }
    text = (
        json.dumps({"command": command, "results": dict(sorted(made_of.items())), "numbers": numbers}, indent=2) + "\n"
    )
    files.write_atomically(stem.with_suffix(".json"), text.encode())
