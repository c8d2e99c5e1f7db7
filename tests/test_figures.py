"""Figures: they come out for every kind of result, deterministic, and say where nothing is known."""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from complaints import complains
from matplotlib.figure import Figure

import robustsim as rs
from robustsim.analysis.carried import quartiles
from robustsim.report import figures


def variants(results: rs.Results) -> dict[str, rs.Results]:
    """Results at the extremes: nothing corrected, no catastrophe, one seed, twenty configurations."""
    runs = results.runs
    none = pl.lit(None, dtype=pl.Int64)
    nothing = runs.with_columns(
        none.alias("steps_to_correct"), none.alias("steps_to_catastrophe"), none.alias("steps_to_suppress")
    )
    open_ = nothing.with_columns(
        *[pl.lit(None, dtype=pl.Float64).alias(f"position{end}") for end in ("", "_lower", "_upper")]
    )
    many = pl.concat([runs.with_columns(pl.lit(i / 20).alias("overseer.coverage")) for i in range(20)])
    swept = {**results.manifest, "what": {**results.manifest["what"], "swept": {"overseer.coverage": []}}}
    return {
        "as it is": results,
        "all censored": rs.Results(runs=open_, traces=results.traces, manifest=results.manifest),
        "one seed": rs.Results(
            runs=runs.head(1), traces=results.traces.filter(pl.col("seed") == 0), manifest=results.manifest
        ),
        "twenty rows": rs.Results(runs=many, traces=results.traces, manifest=swept),
    }


@pytest.mark.parametrize("name", figures.names())
@pytest.mark.parametrize("variant", ["as it is", "all censored", "one seed", "twenty rows"])
def test_every_figure_of_every_kind_of_result(
    small_results: tuple[rs.Results, Path], tmp_path: Path, name: str, variant: str
) -> None:
    results = variants(small_results[0])[variant]
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    assert isinstance(results.plot(first, name), Figure)
    results.plot(second, name)
    assert first.read_bytes() == second.read_bytes()
    assert overlaps(results.plot(None, name)) == []


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts (titles, labels, annotations; not ticks) that lie on each other."""
    figure.draw_without_rendering()
    boxes = []
    for ax in figure.axes:
        for text in [*ax.texts, ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label]:
            if text.get_text().strip() and text.get_visible():
                boxes.append((text.get_text(), text.get_window_extent().padded(-2)))
    return [(a, b) for i, (a, box) in enumerate(boxes) for b, other in boxes[i + 1 :] if box.overlaps(other)]


def test_bad_names_and_endings(small_results: tuple[rs.Results, Path], tmp_path: Path) -> None:
    with complains("race-plan", "race-plane"):
        small_results[0].plot(None, "race-plan")
    with complains(tmp_path / "figure.xyz", ".svg", ".png", ".pdf"):
        small_results[0].plot(tmp_path / "figure.xyz")
    (tmp_path / "file").write_text("")
    with complains(tmp_path / "file" / "figure.svg"):
        small_results[0].plot(tmp_path / "file" / "figure.svg")


# --- the headline figures, whose scripts draw them from tables ---


def script(name: str) -> Any:
    """A module of scripts/, with its folder open for what the scripts share."""
    folder = Path(__file__).parent.parent / "scripts"
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


@pytest.mark.parametrize(
    ("count", "variant"), [(1, "as it is"), (20, "as it is"), (3, "all censored"), (2, "one seed")]
)
def test_the_spectrum_of_scenarios_at_its_extremes(
    small_results: tuple[rs.Results, Path], count: int, variant: str
) -> None:
    results = variants(small_results[0])[variant]
    figure, numbers = script("spectrum").draw({f"scenario_number_{i}": results for i in range(count)})
    assert len(numbers) == count
    assert overlaps(figure) == []


def test_published_rows_do_not_lie_on_each_other() -> None:
    ours = [(f"scenario_number_{i}", float(10 ** (i / 5)), 3000) for i in range(20)] + [("never", None, 3000)]
    assert overlaps(script("published").draw(ours)) == []
    assert overlaps(script("published").draw(ours[:1])) == []


def test_a_median_over_runs_does_not_rise_because_runs_are_over() -> None:
    """Two runs that are corrected at once, and one that never is: without the two, half of the runs misbehave."""
    rows = [("a", 0, 1.0), ("a", 10, 0.0), ("b", 0, 1.0), ("b", 10, 0.0)]
    rows += [("c", step, 1.0 - step / 1000) for step in (0, 10, 20, 50, 100)]
    traces = pl.DataFrame(rows, schema=["run_id", "step", "rate"], orient="row")
    found = quartiles(traces, "rate")
    assert found.step.tolist() == [0, 10, 20, 50, 100]
    assert found.median.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert found.high.tolist() == [1.0, *((1.0 - step / 1000) / 2 for step in (10, 20, 50, 100))]


def test_a_run_that_was_not_evaluated_at_a_step_keeps_its_value() -> None:
    rows = [("a", 0, 1.0), ("a", 20, 0.5), ("b", 0, 0.8), ("b", 10, float("nan")), ("b", 30, 0.1)]
    found = quartiles(pl.DataFrame(rows, schema=["run_id", "step", "rate"], orient="row"), "rate")
    assert np.allclose(found.median, [0.9, 0.9, 0.65, 0.3])
