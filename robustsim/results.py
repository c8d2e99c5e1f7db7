"""What a user holds of a run or a sweep: its tables, which can draw themselves. Reading needs no JAX."""

import contextlib
import json
import math
import os
import time
import warnings
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from robustsim.analysis.tables import Tables
from robustsim.errors import RunsFailed, UserError
from robustsim.levers import ACTUAL
from robustsim.sweep import store
from robustsim.sweep.layout import ATTRIBUTION


class Results(Tables):
    """The results of a run or a sweep.

    Attributes:
      runs: one row per configuration and seed (columns: docs/columns.md).
      manifest: what was run, with which versions, by which command.
      complete: whether every planned run is there.
      failed: one row per run that failed: the values of the swept names, the seed, and why.
      factory: the scenario, where these results were made by this process; None where they were read.
    """

    def _repr_html_(self) -> str:
        """What a notebook shows: the answer in words, or the table of a sweep."""
        from robustsim.report import terminal

        if self.runs.is_empty():
            return f"<pre>{escape(repr(self))}</pre>"
        return f"<pre>{escape(terminal.table(self) if self.swept else terminal.in_words(self))}</pre>"

    def plot(self, out: str | Path | None = None, figure: str = "race-plane") -> Any:
        """A matplotlib Figure; with `out`, also written there (the ending chooses the format)."""
        from robustsim.report import figures  # reading needs no matplotlib

        return figures.draw(self, figure, out)

    def export(self, out: str | Path, table: str = "runs") -> Path:
        """Writes one of the tables for another program; returns its path.

        Args:
          out: the file; its ending chooses the format: .csv, .parquet, .json, or .tex (of the spectrum only, as a
            `tabular` that needs the LaTeX package booktabs).
          table: runs, traces, spectrum or failed.

        Raises:
          UserError: an unknown table or ending, or a file that cannot be written.
        """
        from robustsim.report import export

        return export.write(self, out, table)

    def to_pandas(self, table: str = "runs") -> Any:
        """One of the tables (runs, traces, spectrum, failed) as a pandas DataFrame; what is not known is missing there.

        Raises:
          UserError: there is no such table, or pandas is not installed.
        """
        from robustsim.report import export

        return export.to_pandas(export.table_of(self, table))

    def report(
        self, out: str | Path, *, replays: int = 4, folder: str | Path | None = None, scenario: Any = ""
    ) -> Path:
        """Writes a self-contained HTML page about these results; returns its path.

        Args:
          replays: number of typical runs to reproduce and record; 0 needs no JAX.
          folder: the results directory, which the commands on the page name and which may hold trained agents.
          scenario: the scenario or its file, if it is not installed and was not run by this process.

        Raises:
          UserError: the file cannot be written, no run has finished yet, or `replays` is below 0.

        Warns, with the reason, if the page has to do without replays.
        """
        from robustsim.report import page

        if replays < 0:
            raise UserError(f"replays: {replays} is not allowed; use a whole number of at least 0")
        if self.runs.is_empty():
            raise UserError("report: no run of these results has finished yet")
        recorded, note = [], ""
        if replays:
            from robustsim import replays as films  # the only part that needs the simulator, so JAX

            try:
                recorded = films.make(self, films.chosen(self, replays), folder=folder, scenario=scenario)
            except (UserError, RunsFailed) as error:  # a page can do without recordings
                note = f"There are no replays: {error}."
                warnings.warn(note, stacklevel=2)
        about = attribution_of(self.manifest.get("folder"))
        return page.write(self, out, recorded, note, "" if folder is None else str(folder), about)

    def agent(self, seed: int, arm: str = "corrected", step: int = 0, *, scenario: Any = "") -> Any:
        """The agent of one arm of a run after `step` gradient steps of deployment, made again bit for bit: a `Policy`.

        Args:
          seed: of the run; choose the configuration of a sweep with :meth:`where` first.
          arm: "corrected" or "unopposed".
          step: 0 is the deployment start.
          scenario: the scenario or its file, if it is not installed.

        Raises:
          UserError: there is no such run, arm or step, or the scenario is not the one of these results.
        """
        from robustsim import replays  # needs the simulator, so JAX

        if arm not in ("corrected", "unopposed"):
            raise UserError(f"arm: {arm!r} is not allowed; use 'corrected' or 'unopposed'")
        rows = self.runs.filter(pl.col("seed") == seed)
        if len(rows) != 1:
            raise UserError(
                f"seed: {seed!r} has {len(rows)} runs in these results; choose one configuration with where()"
            )
        folder = self.manifest.get("folder")
        row = rows.row(0, named=True)
        (found,) = replays.policies_at(self, row, arm, [step], folder=folder, scenario=scenario)
        return found


def open_results(folder: str | Path) -> Results:
    """The results in a directory, with verified checksums; of an attribution, those of the case itself.

    Raises:
      UserError: the directory holds no results, damaged ones, or those of another version.
    """
    if not isinstance(folder, str | os.PathLike):
        raise UserError(f"open: {folder!r} is not allowed; name a results directory")
    folder = Path(folder)
    if (folder / ATTRIBUTION).is_file() and not (folder / store.MANIFEST).is_file():
        folder = folder / ACTUAL
    manifest = store.read_manifest(folder)
    runs = store.read(folder, manifest, "runs")
    if runs.is_empty():
        runs = runs.with_columns(**{name: pl.lit(None) for name in manifest["what"]["swept"]})
    manifest["folder"] = str(folder)
    done = store.marks(folder, manifest)
    failed = store.failures(manifest, done.values())
    complete = len(done) == manifest["plan"]["shards"] and failed.is_empty()
    manifest["worker_seconds"] = round(sum(mark["seconds"] for mark in done.values()), 1)
    manifest["written"] = time.strftime("%Y-%m-%d", time.gmtime((folder / store.MANIFEST).stat().st_mtime))
    return Results(runs, lambda: store.read(folder, manifest, "traces"), manifest, complete, failed=failed)


def attribution_of(folder: str | None) -> dict[str, Any] | None:
    """The attribution that the results in a directory belong to, as it was written; None where there is none."""
    for place in () if folder is None else (Path(folder), Path(folder).parent):
        with contextlib.suppress(OSError, ValueError):
            return json.loads((place / ATTRIBUTION).read_text())
    return None


def to_json(value: Any) -> str:
    """JSON in which a number that is not finite is null."""

    def clean(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: clean(v) for k, v in x.items()}
        if isinstance(x, list | tuple):
            return [clean(v) for v in x]
        return None if isinstance(x, float) and not math.isfinite(x) else x

    return json.dumps(clean(value), indent=2)
