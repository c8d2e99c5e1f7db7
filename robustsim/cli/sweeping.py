"""The commands of sweeps: sweep, status."""

import dataclasses
from pathlib import Path

import polars as pl

from robustsim.cli.console import progress
from robustsim.cli.options import SweepWords
from robustsim.cli.parsing import parse_axes, parse_overrides
from robustsim.errors import UserError
from robustsim.report import words
from robustsim.results import Results, to_json
from robustsim.sweep.execution import Execution
from robustsim.sweep.options import Options
from robustsim.sweep.progress import in_words
from robustsim.sweep.progress import status as read_status

CLOCKS = {"steps_to_correct": "T_c", "steps_to_catastrophe": "T_k"}
MOST_ROWS = 40


def sweep(what: SweepWords, execution: Execution, out: str, dry_run: bool, as_json: bool) -> None:
    """`robustsim sweep`."""
    from robustsim import api

    options = {field.name: getattr(what, field.name) for field in dataclasses.fields(Options)}
    asked = api.Sweep(what.spec, parse_axes(what.over), settings=parse_overrides(what.overrides), **options)
    if dry_run:
        from robustsim.cli import foresee

        foresee.show(asked.plan(), execution, as_json)
        return
    if not out:
        raise UserError("out: is required: a directory for the results")
    with progress(silent=as_json) as narrate:
        results = asked.run(out, execution=execution, narrate=narrate)
    if as_json:
        print(to_json({"results": out, "complete": results.complete, "spectrum": results.spectrum().to_dicts()}))
        return
    print(in_words(read_status(Path(out))))
    if results.complete:
        print(_table(results))
    print(f"results: {out}  (robustsim plot {out} --figure race-plane)")


def _table(results: Results) -> str:
    """The position of each configuration as a table for the terminal; all columns are in `results.spectrum()`."""
    spectrum, rows = results.spectrum(), []
    for row in spectrum.head(MOST_ROWS).to_dicts():
        clocks = {name: {k: row[f"{name}_{k}"] for k in ("median", "low", "high", "censored")} for name in CLOCKS}
        position = {k: row[f"position_{k}"] for k in ("median", "low", "high")}
        first = {k: row[f"p_catastrophe_first_{k}"] for k in ("estimate", "low", "high")}
        rows.append(
            {words.short(name): words.value(row[name]) for name in results.swept}
            | {"runs": str(row["runs"])}
            | {CLOCKS[name]: words.clock(part, row["runs"], "") for name, part in clocks.items()}
            | {"position": words.interval(position, "-"), "P(catastrophe first)": words.share(first)}
        )
    with pl.Config(
        tbl_cols=-1,
        tbl_rows=-1,
        tbl_width_chars=200,
        fmt_str_lengths=60,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
    ):
        table = str(pl.DataFrame(rows))
    more = len(spectrum) - len(rows)
    return table + (f"\nand {more:,} more configurations" if more else "")


def status(results: str, as_json: bool) -> None:
    """`robustsim status`."""
    state = read_status(Path(results))
    print(to_json(dataclasses.asdict(state)) if as_json else in_words(state))
