"""Figures: they come out for every kind of result, deterministic, and say where nothing is known."""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from complaints import complains, complaint, says
from matplotlib.figure import Figure

import robustsim as rs
from robustsim import catalogue
from robustsim.analysis.carried import quartiles
from robustsim.cli.main import main
from robustsim.report import figures, words


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
    small_results: tuple[rs.Results, Path],
    goal_results: tuple[rs.Results, Path],
    tmp_path: Path,
    name: str,
    variant: str,
) -> None:
    results = variants((goal_results if name == "goals" else small_results)[0])[variant]
    if name == "map" and not results.swept:
        with complains("map", "none"):
            results.plot(None, name)
        return
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


def test_every_scenario_has_a_claim_that_is_tested_and_a_row_in_the_gallery(
    small_results: tuple[rs.Results, Path],
) -> None:
    claims, gallery = script("claims"), script("gallery")
    assert set(claims.CLAIMS) == set(catalogue.installed())
    results = small_results[0]
    held, numbers = claims.CLAIMS["camera_vault"].check({"default": results, "covert": results})
    assert isinstance(held, bool)
    judged = {"rule": "", "holds": held, "numbers": numbers}
    found = gallery.numbers_of("camera_vault", results, judged)
    for columns in (gallery.WHAT_HAPPENED, gallery.HELD_AGAINST):
        head, _, row = gallery.table(columns, {"camera_vault": found}).splitlines()
        assert head.count("|") == row.count("|") == len(columns) + 1


@pytest.mark.parametrize("variant", ["as it is", "all censored", "one seed"])
def test_the_stakes_of_scenarios_at_their_extremes(small_results: tuple[rs.Results, Path], variant: str) -> None:
    results, stakes = variants(small_results[0])[variant], script("stakes")
    ax = stakes.new_figure(6, 4).subplots()
    numbers = stakes.curves(ax, {f"scenario_number_{i}": results for i in range(24)})
    assert len(numbers) == 24
    assert len(ax.get_legend().get_texts()) == 24


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


def grid(small_results: tuple[rs.Results, Path]) -> rs.Results:
    """Fifteen configurations of two settings, with made-up ends of the race."""
    runs, axes = (
        small_results[0].runs,
        {"overseer.coverage": [0.05, 0.10573712634405642, 1.0], "env.a": [1, 2, 3, 4, 5]},
    )
    parts = [
        runs.with_columns(
            pl.lit(x).alias("overseer.coverage"),
            pl.lit(y).alias("env.a"),
            run_id=pl.lit(f"{i}{j}") + pl.col("run_id"),
            first_event=pl.lit("catastrophe" if x < 0.1 or y > 3 else "removed"),
            steps_to_correct=pl.lit(10 * y, pl.Int64),
        )
        for i, x in enumerate(axes["overseer.coverage"])
        for j, y in enumerate(axes["env.a"])
    ]
    manifest = {**small_results[0].manifest, "what": {**small_results[0].manifest["what"], "swept": axes}}
    return rs.Results(pl.concat(parts), small_results[0].traces, manifest)


def test_the_map_has_the_share_of_each_configuration(small_results: tuple[rs.Results, Path]) -> None:
    results = grid(small_results)
    figure = results.plot(None, "map")
    ax = figure.axes[0]
    told = {(t.get_position()[0] - 0.5, t.get_position()[1] - 0.5): t.get_text() for t in ax.texts}
    assert len(told) == 15
    assert told[0, 0] == "1.00"
    assert told[1, 0] == "0.00"
    assert told[2, 4] == "1.00"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0.05", "0.106", "1"]
    assert overlaps(figure) == []
    one = results.where({"env.a": 1}).plot(None, "map")
    assert [t.get_text() for t in one.axes[0].get_xticklabels()] == ["0.05", "0.106", "1"]


def test_fifteen_configurations_have_a_key_that_tells_them_apart(small_results: tuple[rs.Results, Path]) -> None:
    for name in ("race-plane", "survival", "incidence"):
        figure = grid(small_results).plot(None, name)
        (key,) = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
        named = [
            (line.get_color(), str(line.get_marker()), line.get_linestyle())
            for line, text in zip(key.legend_handles, key.get_texts(), strict=True)
            if text.get_text().startswith("coverage")
        ]
        assert len(named) == len(set(named)) == 15
        figure.draw_without_rendering()
        assert key.get_window_extent().y0 > 0


def test_labels_have_three_digits_or_as_many_as_tell_values_apart() -> None:
    close = pl.DataFrame({"a.b": [0.10573712634405642, 0.5], "c.d": [0.12341, 0.12342], "e.f": [None, 12345.678]})
    needed = words.digits(close, close.columns)
    assert words.point(close.row(0, named=True), needed) == "b 0.106, d 0.12341, f not set"
    assert words.point(close.row(1, named=True), needed) == "b 0.5, d 0.12342, f 12346"


def test_a_figure_of_some_configurations_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"deployment.budget": 40, "catastrophe.threshold": 5}
    over = {"overseer.coverage": [0.3333333, 1.0]}
    results = rs.Sweep("bandit", over=over, seeds=2, settings=settings).run(tmp_path / "runs")
    out, command = tmp_path / "some.svg", ["plot", str(tmp_path / "runs"), "--figure", "survival"]
    main([*command, "--where", "overseer.coverage=0.333", "--out", str(out)])
    capsys.readouterr()
    results.where({"overseer.coverage": 0.3333333}).plot(tmp_path / "same.svg", "survival")
    assert out.read_bytes() == (tmp_path / "same.svg").read_bytes()
    assert len(results.where({"overseer.coverage": 0.333}).runs) == 2
    said = complaint(capsys, *command, "--where", "overseer.coverage=0.4", "--out", str(out))
    assert says(said, "overseer.coverage", "0.4", "0.3333333", "1")
    said = complaint(capsys, *command, "--where", "overseer.penalty=1", "--out", str(out))
    assert says(said, "overseer.penalty", "overseer.coverage")


def test_numbers_along_axes_are_drawn_as_formulas(small_results: tuple[rs.Results, Path]) -> None:
    for name in figures.names():
        if name in ("map", "goals"):
            continue
        figure = small_results[0].plot(None, name)
        figure.draw_without_rendering()
        for ax in figure.axes:
            for text in [*ax.get_xticklabels(), *ax.get_yticklabels()]:
                assert text.get_parse_math() or "mathdefault" not in text.get_text(), (name, text.get_text())
