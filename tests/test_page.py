"""The page: complete, self-contained, small, and honest about what is not identified."""

import gzip
import json
import re
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from complaints import complains, complaint, one_line, says

import robustsim as rs
from robustsim import binomial, replays
from robustsim.analysis import spectrum
from robustsim.analysis.race import race
from robustsim.cli.main import main
from robustsim.recording import Recording
from robustsim.report import page, page_data, page_tables, page_traces, words

VOID = {"meta", "link", "input", "br", "!doctype"}
LOOSE = {"p", "dt", "dd", "li", "tr", "td", "th", "tbody", "thead", "option", "caption"}  # may be left open


def variants(results: rs.Results) -> dict[str, rs.Results]:
    """Results at the extremes."""
    times = ("steps_to_correct", "steps_to_catastrophe", "steps_to_suppress")
    ends = ("position", "position_lower", "position_upper")
    nothing = results.runs.with_columns(
        *[pl.lit(None, pl.Int64).alias(name) for name in times],
        *[pl.lit(None, pl.Float64).alias(name) for name in ends],
        first_event=pl.lit("censored"),
    )
    many = pl.concat([results.runs.with_columns(pl.lit(i / 20).alias("overseer.coverage")) for i in range(20)])
    swept = {**results.manifest, "what": {**results.manifest["what"], "swept": {"overseer.coverage": []}}}
    return {
        "as it is": results,
        "all censored": rs.Results(nothing, results.traces, results.manifest),
        "one seed": rs.Results(results.runs.head(1), results.traces, results.manifest),
        "twenty rows": rs.Results(many, results.traces, swept),
    }


class Reader(HTMLParser):
    """What a page consists of; complains about elements that are closed out of turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.scripts: dict[str, str] = {}
        self.text: list[str] = []
        self._id = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []
        self.links += [str(given[name]) for name in ("src", "href", "action", "srcset", "poster") if name in given]
        self._id = given.get("id") or ""
        if tag not in VOID and tag not in LOOSE:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in LOOSE:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts[self._id] = self.scripts.get(self._id, "") + data
        elif self.open[-1:] != ["style"]:
            self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert len(set(reader.ids)) == len(reader.ids)
    return reader


def data_of(reader: Reader) -> dict:
    return json.loads(reader.scripts["data"])


@pytest.fixture(scope="module")
def recorded(small_results: tuple[rs.Results, Path]) -> list[Recording]:
    results, folder = small_results
    return replays.make(results, replays.chosen(results, 2), folder=folder)


def synthetic(results: rs.Results, count: int, evaluations: int = 80) -> rs.Results:
    """`count` runs in 100 configurations of two axes, each with its own times and traces."""
    draw = np.random.default_rng(0)
    base = results.runs.head(1)
    runs = pl.concat([base] * count).with_columns(
        pl.Series("run_id", [f"{draw.integers(2**62):016x}" for _ in range(count)]),
        pl.Series("seed", np.arange(count) // 100),
        pl.Series("overseer.coverage", np.linspace(0.1, 1, 10)[np.arange(count) % 10]),
        pl.Series("overseer.penalty", np.linspace(1, 4, 10)[np.arange(count) // 10 % 10]),
        *[
            pl.Series(name, draw.integers(1, 3000, count)).cast(pl.Int64)
            for name in (
                "steps_to_correct",
                "steps_to_catastrophe",
                "steps_to_suppress",
                "corrections",
                "misbehaviours",
            )
        ],
        pl.Series("concealment", draw.normal(size=count)),
        pl.Series("first_event", draw.choice(["removed", "catastrophe", "censored"], count)),
    )
    x = (pl.col("steps_to_correct") / pl.col("steps_to_catastrophe")).log10()
    runs = runs.with_columns(position=x, position_lower=x, position_upper=x)
    steps = np.unique(np.geomspace(1, 3000, evaluations).astype(int))
    traces = pl.DataFrame(
        {
            "run_id": np.repeat(runs["run_id"].to_numpy(), len(steps)),
            "step": np.tile(steps, count),
            **{
                f"misbehaviour_{c}": draw.binomial(1024, 0.4, count * len(steps)) / 1024
                for c in ("watched", "unwatched")
            },
            "competence": draw.uniform(size=count * len(steps)),
        }
    ).with_columns(arm=pl.lit("corrected"), overseen=True, decisions_watched=1024, decisions_unwatched=1024)
    settings = {**results.settings, "deployment.budget": 3000}
    swept = {"overseer.coverage": [], "overseer.penalty": []}
    what = {**results.manifest["what"], "settings": settings, "swept": swept}
    return rs.Results(runs, traces, {**results.manifest, "what": what})


def test_it_is_one_file_that_names_no_other(
    small_results: tuple[rs.Results, Path], recorded: list[Recording], tmp_path: Path
) -> None:
    results, _ = small_results
    html = page.write(results, tmp_path / "report.html", recorded).read_text(encoding="utf-8")
    reader = read(html)
    assert set(reader.links) <= {"data:,", "#main"}
    code = re.sub(r"http://www\.w3\.org/[\w/]+", "", html)  # names, not addresses
    assert not re.search(r"(https?:)?//[\w-]+\.\w", code)
    assert not re.search(r"@import|url\((?!#)|\bimport\(|fetch\(|XMLHttpRequest|WebSocket|EventSource", code)
    assert "default-src 'none'" in html
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert len(html) < 400_000
    assert str(tmp_path) not in html


def test_the_same_results_are_the_same_page(small_results: tuple[rs.Results, Path], recorded: list[Recording]) -> None:
    results, _ = small_results
    assert page.build(results, recorded) == page.build(results, recorded)


@pytest.mark.parametrize("variant", ["as it is", "all censored", "one seed", "twenty rows"])
def test_every_kind_of_result(small_results: tuple[rs.Results, Path], variant: str) -> None:
    results = variants(small_results[0])[variant]
    reader = read(page.build(results))
    data = data_of(reader)
    runs = data["runs"]
    assert runs["tc"] == results.runs["steps_to_correct"].to_list()
    assert runs["x"] == [None if x is None else pytest.approx(x, rel=1e-3) for x in results.runs["position"]]
    assert {len(column) for column in runs.values()} == {len(results.runs)} == {len(data["evaluations"])}
    assert [c["x"]["median"] for c in data["configs"]] == [
        None if x is None else pytest.approx(x, rel=1e-3) for x in results.spectrum()["position_median"]
    ]
    assert len(data["curves"]) == len(data["configs"])
    text = " ".join(reader.text)
    for sentence in words.answer(results):
        assert sentence in text


def test_what_is_censored_is_said_to_be_and_is_no_number(small_results: tuple[rs.Results, Path]) -> None:
    results = variants(small_results[0])["all censored"]
    html = page.build(results)
    data = data_of(read(html))
    for name in ("tc", "tk", "ts", "x", "x_lower", "x_upper"):
        assert set(data["runs"][name]) == {None}
    for c in data["configs"]:
        assert (c["tc"]["median"], c["tk"]["median"], c["x"]["median"]) == (None, None, None)
    assert data["curves"][0]["tc"]["t"] == []
    table = page_tables.runs_table(page_data.held(results), (), len(results.runs))
    cells = [row.split("<td>") for row in table.split("<th scope=row>")[1:]]
    budget = results.settings["deployment.budget"]
    assert len(cells) == len(results.runs)
    for _, correct, catastrophe, _, _, _, position in cells:
        assert not re.match(r"[\d.,]", correct)
        assert not re.match(r"[\d.,]", catastrophe)
        assert not re.search(r"\d", position)
    assert says(html, "3 of 3")
    assert says(html, budget)
    assert not re.search(r"\b(NaN|Infinity|None)\b", html.split("<script>")[0])
    assert says(page_tables.time(None, 400), "censored", 400)
    assert page_tables.in_decades(None, 0.7, None) == "not identified (above +0.70)"
    assert page_tables.in_decades(None, None, -0.7) == "not identified (below -0.70)"


def test_odd_names_cannot_leave_their_place(small_results: tuple[rs.Results, Path], tmp_path: Path) -> None:
    results, _ = small_results
    odd = "</script><script>alert(1)</script><!--<b>&\"'{{data}}\u2028 é"
    what = {**results.manifest["what"], "claim": odd, "scenario": odd, "swept": {"env.place": [odd]}}
    manifest = {**results.manifest, "what": what, "command": f"robustsim run '{odd}'"}
    runs = results.runs.with_columns(pl.lit(odd).alias("env.place"), scenario=pl.lit(odd))
    html = page.build(rs.Results(runs, results.traces, manifest), folder=odd, note=odd)
    reader = read(html)
    assert "<script>alert" not in html
    assert html.count("<script") == 3
    data = data_of(reader)
    assert data["scenario"] == data["folder"] == data["note"] == odd
    assert data["configs"][0]["values"] == [odd]
    assert odd in "".join(reader.text)


def test_traces_come_through(small_results: tuple[rs.Results, Path]) -> None:
    results, _ = small_results
    counts, packed = page_traces.traces(results.runs, results.traces)
    kept = results.traces.filter(pl.col("arm") == "corrected")
    assert counts == [len(kept.filter(pl.col("run_id") == i)) for i in results.runs["run_id"]]
    raw, n = gzip.decompress(b64decode(packed)), sum(counts)
    assert len(raw) == n * (4 + 2 + 2 + 6)
    assert np.frombuffer(raw, "<i4", n).tolist() == kept["step"].to_list()
    rates = np.frombuffer(raw, "<u2", n, 4 * n) / 10_000
    assert np.abs(rates - kept["misbehaviour_watched"].to_numpy()).max() <= 0.5e-4
    low = np.frombuffer(raw, "u1", n, 8 * n) / 255
    rows = kept.select("misbehaviour_watched", "decisions_watched").iter_rows()
    wanted = [binomial.interval(round(rate * m), m)[0] for rate, m in rows]
    assert np.abs(low - wanted).max() <= 0.5 / 255 + 1e-9


def test_limits_at_the_ends_are_those_of_binomial() -> None:
    for k, n in ((0, 10), (10, 10), (3, 10), (0, 0)):
        low, high = page_traces.limits(np.array([k / n if n else 0.0]), np.array([n]))
        assert (float(low[0]), float(high[0])) == pytest.approx(binomial.interval(k, n), abs=1e-12)


def test_a_recording_comes_through(recorded: list[Recording]) -> None:
    for recording in recorded:
        table = json.loads(json.dumps(page_traces.replay(recording)))
        size = (table["count"], table["height"], table["width"])
        changes = np.frombuffer(gzip.decompress(b64decode(table["pictures"])), np.uint8).reshape(size)
        indices = np.bitwise_xor.accumulate(changes, axis=0)
        palette = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in table["palette"]], np.uint8)
        assert np.array_equal(palette[indices], recording.pictures)
        assert [s["step"] for s in table["stages"]] == [s.step for s in recording.stages]


def test_pictures_of_many_colours_are_reduced(recorded: list[Recording]) -> None:
    draw = np.random.default_rng(0)
    noisy = recorded[0]._replace(pictures=draw.integers(0, 256, (3, 500, 420, 3)).astype(np.uint8))
    table = page_traces.replay(noisy)
    assert len(table["palette"]) <= 256
    assert (table["width"], table["height"]) == (140, 167)


def test_three_thousand_runs_are_under_three_megabytes(
    small_results: tuple[rs.Results, Path], recorded: list[Recording]
) -> None:
    results = synthetic(small_results[0], 3000)
    html = page.build(results, recorded)
    assert len(html.encode()) < 3_000_000
    data = data_of(read(html))
    assert data["total"] == len(data["runs"]["seed"]) == 3000
    assert max(data["evaluations"]) == page_traces.POINTS_MANY
    assert len(data["configs"]) == 100
    assert len(data["curves"]) == 1


def test_more_runs_than_a_page_holds_are_chosen_evenly(
    small_results: tuple[rs.Results, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_data, "MOST_RUNS", 50)
    results = synthetic(small_results[0], 300, evaluations=5)
    html = page.build(results)
    data = data_of(read(html))
    assert (data["total"], len(data["runs"]["seed"])) == (300, 50)
    assert says(html, "50 runs", 300)
    assert sum(c["runs"] for c in data["configs"]) == 300  # what is counted is counted over all


def test_the_race_curves_end_where_the_counts_do(small_results: tuple[rs.Results, Path]) -> None:
    results = synthetic(small_results[0], 400, evaluations=5)
    curve = page_data.curves(results, page_data.held(results))[0]
    times, causes = race(results.runs)
    assert len(times) == len(causes) == 400
    share = spectrum.catastrophe_first(results.runs)["estimate"]
    assert (causes == 2).mean() == share
    assert curve["race"]["removed"] == sorted(curve["race"]["removed"])


@pytest.mark.same_keys
def test_the_command_writes_it_with_replays(small_results: tuple[rs.Results, Path], tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report.html"
    main(["report", str(small_results[1]), "--out", str(out), "--replays", "1"])
    data = data_of(read(out.read_text(encoding="utf-8")))
    assert len(data["replays"]) == 1
    assert data["folder"] == str(small_results[1])
    assert data["note"] == ""


def test_a_page_does_without_replays_that_cannot_be_made(
    small_results: tuple[rs.Results, Path], tmp_path: Path
) -> None:
    results = rs.run("bandit", seeds=2, settings={"deployment.budget": 100})
    with pytest.warns(UserWarning, match=r"render\(state, signal\)"):
        page = results.report(tmp_path / "report.html")
    data = data_of(read(page.read_text(encoding="utf-8")))
    assert data["replays"] == []
    assert says(data["note"], "bandit", "render(state, signal)")


def test_without_replays_it_needs_no_jax(small_results: tuple[rs.Results, Path], tmp_path: Path) -> None:
    code = (
        "import sys; from robustsim.results import open_results; "
        f"open_results({str(small_results[1])!r}).report({str(tmp_path / 'r.html')!r}, replays=0); "
        "assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_bad_input_is_one_line(
    small_results: tuple[rs.Results, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    folder = str(small_results[1])
    for words_, parts in (
        ([str(tmp_path)], (str(tmp_path),)),
        ([folder, "--out", str(tmp_path / "file" / "a.html")], (str(tmp_path / "file" / "a.html"),)),
        ([folder, "--out", str(tmp_path)], ("out", str(tmp_path))),
        ([folder, "--replays", "-1"], ("replays", -1, 0)),
    ):
        one_line(complaint(capsys, "report", *words_), *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    empty = rs.Results(small_results[0].runs.clear(), small_results[0].traces, small_results[0].manifest)
    with complains("run"):
        empty.report(tmp_path / "a.html")
    with complains("run"):
        replays.picked(empty, None, {})
    with complains(tmp_path / "file" / "a.html"):
        small_results[0].report(tmp_path / "file" / "a.html", replays=0)
