"""A finished result as tables, with the questions one asks of it. Reading needs no JAX."""

import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from robustsim.analysis import placement, spectrum
from robustsim.errors import UserError
from robustsim.sweep import store

GUARDED = "tampering.guarded"


class Results:
    """What a run left behind.

    Attributes:
      manifest: what was run, with which versions, by which command.
      complete: whether every run that was planned is there (failed ones apart).
      guarded: the runs of the guarded twin, where there are some.
    """

    def __init__(
        self,
        runs: pl.DataFrame,
        traces: pl.DataFrame | Callable[[], pl.DataFrame],
        manifest: dict[str, Any],
        complete: bool = True,
        guarded: pl.DataFrame | None = None,
    ) -> None:
        self.runs = runs
        self.manifest = manifest
        self.complete = complete
        self.guarded = guarded
        self._traces = traces

    @property
    def traces(self) -> pl.DataFrame:
        """One row per run, arm and evaluation; read when it is first asked for."""
        if callable(self._traces):
            self._traces = self._traces()
        return self._traces

    @property
    def lazy(self) -> pl.LazyFrame:
        """One row per configuration and seed (columns: docs/columns.md), as a lazy table."""
        return self.runs.lazy()

    @property
    def scenario(self) -> str:
        """The scenario's name."""
        return self.manifest["what"]["scenario"]

    @property
    def settings(self) -> dict[str, Any]:
        """Every dotted name that was not swept, with its value."""
        return self.manifest["what"]["settings"]

    @property
    def swept(self) -> tuple[str, ...]:
        """The dotted names that were swept."""
        return tuple(self.manifest["what"]["swept"])

    def where(self, point: dict[str, Any]) -> "Results":
        """The results of one configuration of a sweep.

        Args:
          point: a value for each swept name.

        Raises:
          UserError: a name that was not swept, one that is missing, or a point that is not there.
        """
        if set(point) != set(self.swept):
            raise UserError(f"where: {sorted(point)} is not allowed; give a value for each of {sorted(self.swept)}")
        runs = self.runs.filter(*[pl.col(name) == value for name, value in point.items()])
        if runs.is_empty():
            raise UserError(f"where: {point} is not in the sweep; it has {self.manifest['what']['swept']}")
        what = {**self.manifest["what"], "settings": {**self.settings, **point}, "swept": {}}

        def traces() -> pl.DataFrame:
            return self.traces.filter(pl.col("run_id").is_in(runs["run_id"].implode()))

        manifest = {**self.manifest, "what": what}
        guarded = None
        if point.get(GUARDED) is False:
            guarded = self.runs.filter(*[pl.col(n) == v for n, v in {**point, GUARDED: True}.items()])
            guarded = None if guarded.is_empty() else guarded
        return Results(runs.drop(self.swept), traces, manifest, self.complete, guarded)

    def spectrum(self) -> pl.DataFrame:
        """One row per configuration: position with its interval, P(catastrophe first), clocks and counts."""
        return spectrum.spectrum(self.runs, self.swept)

    def placement(self) -> dict[str, Any]:
        """The placement of the only configuration: label, reason, and the counterfactuals it rests on.

        Tampering can be told from other failures only beside its guarded twin: in a sweep over `tampering.guarded`.
        """
        return placement.place(self.runs, self.settings, self.guarded)

    def summary(self) -> dict[str, Any]:
        """The answer for one configuration, as `robustsim run --json` prints it. None: not identified."""
        runs = self.runs
        return {
            "scenario": self.scenario,
            "config": self.settings,
            "seeds": len(runs),
            "competence": spectrum.middle(runs, "competence"),
            "misbehaviour": {
                "watched": spectrum.middle(runs, "misbehaviour_watched"),
                "unwatched": spectrum.middle(runs, "misbehaviour_unwatched"),
            },
            "steps_to_correct": spectrum.clock(runs, "steps_to_correct"),
            "steps_to_correct_unwatched": spectrum.clock(runs, "steps_to_correct_unwatched"),
            "steps_to_suppress": spectrum.clock(runs, "steps_to_suppress"),
            "steps_to_catastrophe": spectrum.clock(runs, "steps_to_catastrophe"),
            "position": spectrum.position(runs),
            "p_catastrophe_first": spectrum.catastrophe_first(runs),
            "concealment": spectrum.middle(runs, "concealment"),
            "corrections": spectrum.middle(runs, "corrections"),
            "relapsed": spectrum.share(runs["relapsed"].drop_nulls().to_numpy()),
            "incapacitated": spectrum.share(runs["incapacitated"].to_numpy()),
            "expected_misbehaviours": spectrum.middle(runs, "expected_misbehaviours"),
            "feedback_cost": spectrum.middle(runs, "feedback_cost"),
            "tampering": spectrum.middle(runs, "tampering"),
            "placement": self.placement(),
            **self._defended(),
        }

    def _defended(self) -> dict[str, Any]:
        runs = spectrum.behind_defences(self.runs)
        if runs is None:
            return {}
        return {
            "defended": {
                "steps_to_catastrophe": spectrum.clock(runs, "steps_to_catastrophe"),
                "position": spectrum.position(runs),
                "p_catastrophe_first": spectrum.catastrophe_first(runs),
                "shutdown": spectrum.share(runs["steps_to_shutdown"].is_not_null().to_numpy()),
            }
        }

    def plot(self, out: str | Path | None = None, figure: str = "race-plane") -> Any:
        """A matplotlib Figure; with `out`, also written there (the ending chooses the format)."""
        from importlib import import_module

        figures = import_module("robustsim.report.figures")  # drawing is not needed to read
        return figures.draw(self, figure, out)

    def report(
        self, out: str | Path, *, replays: int = 4, folder: str | Path | None = None, scenario: str = ""
    ) -> Path:
        """Writes one self-contained page about these results, that opens from a file; returns where it is.

        Args:
          replays: of how many typical runs to make the agents again, and to record them; 0 needs no JAX.
          folder: the results directory, which commands on the page name, and which may hold trained agents.
          scenario: the scenario's file, where the scenario is not installed.

        Raises:
          UserError: the file cannot be written, no run has finished yet, or `replays` is below 0.

        Warns where the page has to do without replays, and says why.
        """
        from importlib import import_module

        if replays < 0:
            raise UserError(f"replays: {replays} is not allowed; use a whole number of at least 0")
        if self.runs.is_empty():
            raise UserError("report: no run of these results has finished yet")
        recorded, note = [], ""
        if replays:
            recorded, note = import_module("robustsim.replays").for_page(self, replays, folder, scenario)
            if note:
                warnings.warn(note, stacklevel=2)
        page = import_module("robustsim.report.page")
        return page.write(self, out, recorded, note, "" if folder is None else str(folder))

    def __repr__(self) -> str:
        position = spectrum.position(self.runs)
        shown = "not identified" if position["median"] is None else f"{position['median']:+.2f}"
        label = self.placement()["label"]
        return f"Results({self.scenario!r}, {len(self.runs)} runs, position {shown}, placement {label!r})"

    def _repr_html_(self) -> str:
        return self.spectrum()._repr_html_()


def open_results(folder: str | Path) -> Results:
    """The results in a directory, checksums verified.

    Raises:
      UserError: it is not a results directory, is damaged, or is of another version.
    """
    if not isinstance(folder, str | os.PathLike):
        raise UserError(f"open: {folder!r} is not allowed; name a results directory")
    folder = Path(folder)
    manifest = store.read_manifest(folder)
    runs = store.read(folder, manifest, "runs")
    if runs.is_empty():
        runs = runs.with_columns(**{name: pl.lit(None) for name in manifest["what"]["swept"]})
    if file := manifest.get("scenario_file"):
        manifest["scenario_file"] = str(folder / file)
    done = store.marks(folder, manifest)
    complete = len(done) == manifest["plan"]["shards"]
    manifest["worker_seconds"] = round(sum(mark["seconds"] for mark in done.values()), 1)
    manifest["written"] = time.strftime("%Y-%m-%d", time.gmtime((folder / store.MANIFEST).stat().st_mtime))
    return Results(runs, lambda: store.read(folder, manifest, "traces"), manifest, complete)


def to_json(value: Any) -> str:
    """JSON in which a number that is not finite is null."""

    def clean(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: clean(v) for k, v in x.items()}
        if isinstance(x, list | tuple):
            return [clean(v) for v in x]
        if isinstance(x, float) and (x != x or x in (float("inf"), float("-inf"))):
            return None
        return x

    return json.dumps(clean(value), indent=2)
