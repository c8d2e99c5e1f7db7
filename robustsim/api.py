"""The way in from Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robustsim.analysis.results import Results
from robustsim.sim.cohort import Narrate, quiet
from robustsim.sim.loading import load
from robustsim.sim.scenario import ScenarioFactory
from robustsim.sweep.run import run_to


def geomspace(low: float, high: float, count: int) -> list[float]:
    """`count` values from `low` to `high`, each the same factor above the last; for the axes of sweeps."""
    return [float(x) for x in np.geomspace(low, high, count)]


def run(
    scenario: str | ScenarioFactory,
    *,
    seeds: int | Sequence[int] = 32,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    narrate: Narrate = quiet,
) -> Results:
    """Instils agents, deploys each in both arms, and measures both clocks.

    Args:
      scenario: what `load` returns or takes.
      seeds: how many independently trained agents, or which.
      settings: dotted names with values that differ from the scenario's defaults.
      out: a directory for the results; if it holds these very results already, they are read and not made again.
      overwrite: replace other results that are there.
      narrate: told how far the work is: `narrate(what, done, total)` in gradient steps.

    Raises:
      UserError: bad input, in one line. InstilError: agents that did not become competent.
    """
    manifest, tables = run_to(load(scenario), seeds, settings or {}, {}, out, overwrite, narrate)
    return Results(runs=tables["runs"], traces=tables["traces"], manifest=manifest)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The product of some settings' values, times seeds.

    Attributes:
      scenario: what `load` returns or takes.
      over: dotted names with the values to sweep over.
      seeds: how many agents per configuration, or which.
      settings: dotted names with one value for all.
    """

    scenario: str | ScenarioFactory
    over: Mapping[str, Sequence[Any]]
    seeds: int | Sequence[int] = 32
    settings: Mapping[str, Any] = field(default_factory=dict)

    def run(self, out: str | Path | None = None, overwrite: bool = False, narrate: Narrate = quiet) -> Results:
        """Runs it. Arguments and errors are those of :func:`run`."""
        factory = load(self.scenario)
        manifest, tables = run_to(factory, self.seeds, self.settings, self.over, out, overwrite, narrate)
        return Results(runs=tables["runs"], traces=tables["traces"], manifest=manifest)
