"""What a notebook shows of results and of their figures."""

from pathlib import Path

import polars as pl

import robustsim as rs


def test_figures_show_themselves(small_results: tuple[rs.Results, Path]) -> None:
    for figure in ("race-plane", "spectrum", "traces"):
        assert small_results[0].plot(figure=figure)._repr_png_().startswith(b"\x89PNG")


def test_results_say_what_came_out(small_results: tuple[rs.Results, Path]) -> None:
    results = small_results[0]
    shown = results._repr_html_()
    assert "camera_vault, 3 seeds" in shown
    assert "T_c" in shown
    what = {**results.manifest["what"], "swept": {"overseer.coverage": [0.1]}}
    runs = results.runs.with_columns(pl.lit(0.1).alias("overseer.coverage"))
    sweep = rs.Results(runs, results.traces, {**results.manifest, "what": what})
    assert "P(catastrophe first)" in sweep._repr_html_()
