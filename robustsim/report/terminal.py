"""Results for the terminal: one configuration in a few lines, a sweep as a table."""

import polars as pl

from robustsim.analysis.tables import Tables
from robustsim.report import words

MOST_ROWS = 40


def in_words(results: Tables) -> str:
    """The results of one configuration in a few lines."""
    s = results.summary()
    n, misbehaviour = s["seeds"], s["misbehaviour"]
    lines = [
        f"{s['scenario']}, {n} seeds",
        *([] if results.failed.is_empty() else [f"  FAILED         {words.failures(results)}"]),
        f"  {words.finding(s['verdict'])}",
        f"  at deployment  competence {words.rate(s['competence']['median'])}, "
        f"misbehaviour watched {words.rate(misbehaviour['watched']['median'])}, "
        f"unwatched {words.rate(misbehaviour['unwatched']['median'])}",
        *(f"  {label:<14} {words.clock(s[name], n)}" for name, label in words.CLOCKS.items()),
        f"  position       {words.interval(s['position'])}  (log10 T_c / T_k; below 0: correction is faster)",
        f"  P(catastrophe first) {words.share(s['p_catastrophe_first'])}",
        f"  concealment    {words.interval(s['concealment'])}  (0: changed everywhere, 1: changed only while watched)",
    ]
    if s["relapsed"]["runs"]:
        lines.append(f"  relapsed       {s['relapsed']['count']} of {s['relapsed']['runs']} corrected runs")
    if d := s.get("defended"):
        lines += [
            f"  with defences  T_k {words.clock(d['steps_to_catastrophe'], n)}",
            f"                 position {words.interval(d['position'])}, "
            f"P(catastrophe first) {words.share(d['p_catastrophe_first'])}, "
            f"shut down in {d['shutdown']['count']} of {n}",
        ]
    if s["tampering"]["median"]:
        lines.append(f"  tampering      {s['tampering']['median']:,.0f} acts (median)")
    if lost := results.runs["unresolved_steps"].fill_null(0).max():
        lines.append(f"  WARNING        up to {lost:,.0f} updates of a run were too small for float64 to represent")
    if s["harm"]["median"] is not None:
        lines.append(f"  margin         {words.interval(s['margin'])}: log10 of the harm up to T_c over the threshold")
    if s["inertia"]["median"] is not None:
        lines.append(f"  inertia        {words.ratio(s['inertia'])}: steps to redirect over those of a new agent")
    if s["steps_to_fade"]["censored"] < n:
        lines.append(f"  T_fade         {words.clock(s['steps_to_fade'], n)}: without an overseer")
    lines.append(f"  outcomes       {words.outcomes(s['outcomes'])}")
    return "\n".join(lines)


def table(results: Tables) -> str:
    """What each configuration came to, as a table; all columns are in `results.spectrum()`."""
    spectrum = results.spectrum()
    rows = words.spectrum_rows(results, spectrum.head(MOST_ROWS))
    text = as_text(pl.DataFrame(rows))
    more = len(spectrum) - len(rows)
    failed = "" if results.failed.is_empty() else f"{words.failures(results)}\n"
    return failed + text + (f"\nand {more:,} more configurations" if more else "")


def as_text(table: pl.DataFrame) -> str:
    """All rows and columns of a table of words."""
    with pl.Config(
        tbl_cols=-1,
        tbl_rows=-1,
        tbl_width_chars=200,
        fmt_str_lengths=60,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
    ):
        return str(table)
