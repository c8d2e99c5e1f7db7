"""Results for other programs, and results as they come in."""

import json
import sys
import types
from pathlib import Path

import polars as pl
import pytest
from complaints import complains, complaint, says

import robustsim as rs
from robustsim.cli.main import main
from robustsim.report import console, export, words

SETTINGS = {"deployment.budget": 40, "catastrophe.threshold": 5}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[rs.Results, Path]:
    folder = tmp_path_factory.mktemp("export") / "runs"
    return rs.Sweep("bandit", over={"overseer.coverage": [0.5, 1.0]}, seeds=3, settings=SETTINGS).run(folder), folder


@pytest.mark.parametrize("table", export.TABLES)
def test_tables_come_back_from_their_files(kept: tuple[rs.Results, Path], tmp_path: Path, table: str) -> None:
    wanted = export.table_of(kept[0], table)
    assert pl.read_parquet(kept[0].export(tmp_path / f"{table}.parquet", table)).equals(wanted)
    rows = json.loads(kept[0].export(tmp_path / f"{table}.json", table).read_text())
    assert rows == wanted.to_dicts()
    read = pl.read_csv(kept[0].export(tmp_path / f"{table}.csv", table), schema_overrides=wanted.schema)
    assert read.equals(wanted)


def test_pandas_has_the_same_numbers(kept: tuple[rs.Results, Path]) -> None:
    for table in ("runs", "traces", "spectrum"):
        frame, wanted = kept[0].to_pandas(table), export.table_of(kept[0], table)
        assert list(frame.columns) == wanted.columns
        for name in wanted.columns:
            assert frame[name].isna().tolist() == [x is None for x in wanted[name]]
            assert [x for x in frame[name] if x == x and x is not None] == wanted[name].drop_nulls().to_list()


def test_without_pandas_one_line_says_so(kept: tuple[rs.Results, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with complains("pandas"):
        kept[0].to_pandas()


def test_a_table_for_a_paper(kept: tuple[rs.Results, Path], tmp_path: Path) -> None:
    text = kept[0].export(tmp_path / "table.tex", "spectrum").read_text()
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 1 + 2
    assert (
        rows[0] == r"coverage & runs & verdict & P(catastrophe first) & $T_c$ & $T_k$ & margin & inertia & position \\"
    )
    shown = words.spectrum_rows(kept[0], kept[0].spectrum())
    assert rows[1].split(" & ")[0] == shown[0]["coverage"] == "0.5"
    one = kept[0].where({"overseer.coverage": 1.0}).export(tmp_path / "one.tex", "spectrum").read_text()
    assert "bandit & 3 &" in one


def test_nothing_in_a_table_is_a_command_of_latex() -> None:
    assert export._escaped("never_steal 50% {x} \\y -0.5 [-0.6, -0.4]") == (
        r"never\_steal 50\% \{x\} \textbackslash{}y $-$0.5 [$-$0.6, $-$0.4]"
    )


def test_export_from_the_command_line(
    kept: tuple[rs.Results, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "some.csv"
    main(["export", str(kept[1]), "--table", "runs", "--where", "overseer.coverage=0.5", "--out", str(out)])
    assert capsys.readouterr().out.strip() == str(out)
    assert len(pl.read_csv(out)) == 3
    assert says(complaint(capsys, "export", str(kept[1]), "--table", "rums"), "rums", "runs")
    assert says(complaint(capsys, "export", str(kept[1]), "--out", str(tmp_path / "a.xls")), "a.xls", ".csv")
    assert says(complaint(capsys, "export", str(kept[1]), "--out", str(tmp_path / "a.tex")), "runs", "spectrum")


@pytest.mark.parametrize("executor", ["memory", "inline", "processes"])
def test_runs_are_told_of_as_they_finish(tmp_path: Path, executor: str) -> None:
    told: list[rs.Results] = []
    sweep = rs.Sweep("bandit", over={"overseer.coverage": [0.5, 1.0]}, seeds=4, settings=SETTINGS, shard_size=3)
    if executor == "memory":
        results = sweep.run(on_finished=told.append)
    else:
        how = rs.Execution(executor=executor, workers=2)
        results = sweep.run(tmp_path / "runs", execution=how, on_finished=told.append)
    assert len(told) == 3
    joined = pl.concat([part.runs for part in told])
    assert joined.sort("run_id").equals(results.runs.sort("run_id"))
    assert set(told[0].traces["run_id"]) == set(told[0].runs["run_id"])
    again: list[rs.Results] = []
    if executor != "memory":  # what was there before is not told again
        sweep.run(tmp_path / "runs", on_finished=again.append)
        assert again == []


def test_progress_is_one_line_of_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, what: dict[str, str], raw: bool) -> None:
            shown.append(what["text/plain"])

    def display(what: dict[str, str], raw: bool, display_id: bool) -> Handle:
        shown.append(what["text/plain"])
        return Handle()

    shell = types.ModuleType("IPython")
    shell.get_ipython = lambda: object()  # pyright: ignore[reportAttributeAccessIssue]
    shell_display = types.ModuleType("IPython.display")
    shell_display.display = display  # pyright: ignore[reportAttributeAccessIssue]
    for name, module in (("IPython", shell), ("IPython.display", shell_display), ("ipykernel", shell)):
        monkeypatch.setitem(sys.modules, name, module)
    assert console.in_notebook()
    rs.run("bandit", seeds=2, settings=SETTINGS)
    assert shown[0] == "starting"
    assert any("2 of 2 runs" in text for text in shown)
    assert shown[-1] == ""


def test_nothing_is_shown_where_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    rs.run("bandit", seeds=2, settings=SETTINGS)
    assert capfd.readouterr() == ("", "")


def test_results_without_a_run_say_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--set", "training.steps=1", "--set", "training.competence=1", "--set", "agent.num_envs=2"]
    with pytest.raises(SystemExit) as ended:
        main(["run", "camera_vault", "--seeds", "2", *settings, "--out", str(tmp_path / "out")])
    assert ended.value.code == 3
    capsys.readouterr()
    main(["export", str(tmp_path / "out"), "--table", "failed", "--out", str(tmp_path / "failed.csv")])
    failed = pl.read_csv(tmp_path / "failed.csv")
    assert failed["seed"].to_list() == [0, 1]
    main(["status", str(tmp_path / "out")])
    assert says(capsys.readouterr().out, "seed 0", "seed 1", "training.competence=1")
    assert says(complaint(capsys, "plot", str(tmp_path / "out")), "all 2 runs failed")


def test_a_page_is_no_other_kind_of_file(
    kept: tuple[rs.Results, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.pdf"
    assert says(complaint(capsys, "report", str(kept[1]), "--replays", "0", "--out", str(out)), out, ".html")
    assert not out.exists()


def test_figures_name_what_was_chosen(kept: tuple[rs.Results, Path]) -> None:
    figure = kept[0].where({"overseer.coverage": 0.5}).plot(figure="race-plane")
    assert "coverage 0.5" in figure.axes[0].get_title(loc="left")
