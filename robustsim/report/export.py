"""Tables of results for other programs: CSV, Parquet, JSON, and LaTeX for a paper."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from robustsim.analysis.tables import Tables
from robustsim.errors import UserError, nearest
from robustsim.report import place, words
from robustsim.sweep.store import to_parquet

TABLES = ("runs", "traces", "spectrum", "failed")
FORMATS = (".csv", ".parquet", ".json", ".tex")


def table_of(results: Tables, table: str) -> pl.DataFrame:
    """One of the tables of some results.

    Raises:
      UserError: there is no table of that name.
    """
    if table not in TABLES:
        raise UserError(f"table: {table!r} is unknown; {nearest(str(table), TABLES)}")
    return results.spectrum() if table == "spectrum" else getattr(results, table)


def write(results: Tables, out: str | Path, table: str) -> Path:
    """Writes a table, by the ending of `out`; returns its path. LaTeX is of the spectrum only.

    Raises:
      UserError: an unknown table or ending, LaTeX of another table, or a file that cannot be written.
    """
    frame, ending = table_of(results, table), Path(out).suffix.lower()
    if ending not in FORMATS:
        raise UserError(f"out: {str(out)!r} has an unknown ending; use one of {', '.join(FORMATS)}")
    if ending == ".tex" and table != "spectrum":
        raise UserError(f"table: {table!r} is not allowed for a .tex file; use 'spectrum', or another ending")
    place.check(out)
    if ending == ".tex":
        data = latex(results).encode()
    elif ending == ".parquet":
        data = to_parquet(frame)
    else:
        data = (frame.write_csv() if ending == ".csv" else frame.write_json() + "\n").encode()
    place.write(out, data)
    return Path(out)


def latex(results: Tables) -> str:
    """The spectrum as a `tabular` in the style of the package booktabs: a row per configuration, as in the terminal."""
    rows = words.spectrum_rows(results, results.spectrum())
    head = list(rows[0])
    if not results.swept:
        rows = [{"scenario": results.scenario, **row} for row in rows]
        head.insert(0, "scenario")
    lines = [" & ".join(_escaped(text) for text in row) + r" \\" for row in (head, *(row.values() for row in rows))]
    body = [rf"\begin{{tabular}}{{{'l' * len(head)}}}", r"\toprule", lines[0], r"\midrule", *lines[1:]]
    return "\n".join([*body, r"\bottomrule", r"\end{tabular}", ""])


SPECIAL: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
} | {c: rf"\{c}" for c in "&%$#_"}


def _escaped(text: str) -> str:
    """Text for LaTeX: clocks as symbols, minus signs as such, and nothing that LaTeX would take for a command."""
    if text in ("T_c", "T_k"):
        return rf"${text}$"
    safe = "".join(SPECIAL.get(c, c) for c in text)
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", safe)


def to_pandas(frame: pl.DataFrame) -> Any:
    """A table as a pandas DataFrame.

    Raises:
      UserError: pandas is not installed.
    """
    try:
        import pandas as pd  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError("pandas is not installed; install it with: pip install pandas") from None
    return pd.DataFrame(frame.to_dict(as_series=False))
