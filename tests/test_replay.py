"""Replays: the agent that is shown is the agent of the results, bit for bit, and the film says what it shows."""

import io
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
from complaints import complains, complaint, one_line, says
from PIL import Image

import robustsim as rs
from robustsim import replays
from robustsim.cli.main import main
from robustsim.recording import Recording
from robustsim.report import replay
from robustsim.sim import batched, film
from robustsim.sim.agents import Agents
from robustsim.sim.batched import FOREVER
from robustsim.sim.track import CORRECTED, Track
from robustsim.spec.loading import load
from robustsim.spec.settings import Run, resolve


@pytest.fixture(scope="module")
def recording(small_results: tuple[rs.Results, Path]) -> Recording:
    results, folder = small_results
    (made,) = replays.make(results, replays.chosen(results, 1), folder=folder)
    return made


@pytest.mark.parametrize("changes", [{}, {"overseer.latency": 2}, {"treatment.kl_anchor": 0.1}])
def test_the_agent_is_that_of_a_batch_bit_for_bit(small: dict, changes: dict) -> None:
    factory, steps = load("camera_vault"), [0, 3, 10]
    runs = [Run(resolve(factory, {**small, **changes}), seed) for seed in range(3)]
    kept = Agents((), alone=True)
    agents = [film.trained_agent(factory, run, kept) for run in runs]
    settings = batched.stack([batched.as_arrays(run.settings) for run in runs])
    told = [Track(i, run, CORRECTED).control(factory.name, False) for i, run in enumerate(runs)]
    keys = np.stack([batched.key_of(factory.name, "deployment start", run.seed) for run in runs])
    deployed = batched.deploy(factory, settings, keys, batched.stack(agents))
    states = batched.begin_phase(factory, settings, batched.controls(told), deployed)
    alone = [film.agents_at(factory, run, agent, steps) for run, agent in zip(runs, agents, strict=True)]
    for i, step in enumerate(steps):
        at = batched.controls([{**control, "limit": step} for control in told])
        states, _ = batched.advance(factory, settings, at, states, np.int32(FOREVER))
        for j in range(len(runs)):
            batch = jax.tree.leaves(jax.tree.map(lambda x, j=j: x[j], states.agent))
            for one, other in zip(jax.tree.leaves(alone[j][i]), batch, strict=True):
                assert np.array_equal(one, other)


def test_its_evaluation_is_that_of_the_traces_at_every_step(small_results: tuple[rs.Results, Path]) -> None:
    results, _ = small_results
    factory = load("camera_vault")
    run = Run(resolve(factory, results.settings), 2)
    traces = results.traces.filter((pl.col("seed") == 2) & (pl.col("arm") == "corrected") & pl.col("overseen"))
    agent = film.trained_agent(factory, run, Agents((), alone=True))
    rows = traces.sort("step").to_dicts()
    assert len(rows) > 5
    for row, at in zip(rows, film.agents_at(factory, run, agent, [r["step"] for r in rows]), strict=True):
        size = run.settings.evaluation.episodes if row["confirmatory"] else run.settings.evaluation.screen
        measured = film.evaluate_again(factory, run, at, row["step"], size)
        for i, condition in enumerate(("unwatched", "watched")):
            rate = measured["misbehaved"][i] / max(int(measured["decisions"][i]), 1)
            assert rate == row[f"misbehaviour_{condition}"]


def test_results_that_come_out_differently_are_not_replayed(small_results: tuple[rs.Results, Path]) -> None:
    results, _ = small_results
    other = results.traces.with_columns(misbehaviour_watched=pl.col("misbehaviour_watched") + 0.01)
    forged = rs.Results(results.runs, other, results.manifest)
    (row,) = replays.chosen(forged, 1)
    with complains("replay", f"seed {row['seed']}"):
        replays.make(forged, [row])
    what = {**results.manifest["what"], "source_sha256": "0" * 64}
    with complains("camera_vault"):
        replays.factory_of(rs.Results(results.runs, other, {**results.manifest, "what": what}))
    what = {**results.manifest["what"], "scenario": "camera_valt"}
    with complains("camera_valt", "camera_vault", "--scenario"):
        replays.factory_of(rs.Results(results.runs, other, {**results.manifest, "what": what}))


def test_a_recording_is_paired_and_complete(recording: Recording) -> None:
    before = recording.stages[0]
    assert [stage.name for stage in recording.stages] == ["before", "during", "after"]
    assert [stage.step for stage in recording.stages] == sorted({stage.step for stage in recording.stages})
    assert recording.pictures.dtype == np.uint8
    assert len(np.unique(recording.pictures.reshape(len(recording.pictures), -1), axis=0)) == len(recording.pictures)
    for stage in recording.stages:
        conditions, episodes, times = stage.shown.shape
        assert (conditions, episodes, times) == (2, 3, stage.length.max() + 1)
        assert stage.signal[1].all()
        assert not stage.signal[0].any()
        assert np.array_equal(stage.shown[0, :, 0], before.shown[0, :, 0])  # the same levels
        for c in range(2):
            for e in range(episodes):
                end = stage.length[c, e]
                assert (stage.shown[c, e, end:] == stage.shown[c, e, end]).all()
                assert not stage.misbehaved[c, e, end:].any()
                assert (stage.reward[c, e, end:] == 0).all()


@pytest.mark.same_keys
def test_a_hidden_light_stays_off(small: dict) -> None:
    results = rs.run("camera_vault", seeds=[0], settings={**small, "overseer.visible": False})
    (made,) = replays.make(results, replays.chosen(results, 1), episodes=2)
    assert not made.visible
    for stage in made.stages:
        assert not stage.signal.any()
        assert np.array_equal(stage.shown[0], stage.shown[1])  # nothing that the agent could tell them apart by


def test_the_stages_of_a_run() -> None:
    steps = [0, 1, 2, 3, 4, 5, 8, 10, 20]
    rates = [1.0, 1.0, 0.9, 0.6, 0.45, 0.2, 0.0, 0.0, 0.0]
    traces = pl.DataFrame(
        {
            "arm": "corrected",
            "overseen": [step <= 10 for step in steps],
            "step": steps,
            "misbehaviour_watched": rates,
            "misbehaviour_unwatched": rates,
        }
    )
    for corrected, wanted in ((8, [0, 4, 8]), (None, [0, 4, 10]), (3, [0, 2, 3]), (1, [0, 1]), (0, [0])):
        found = replays.stages({"steps_to_correct": corrected}, traces)
        assert [row["step"] for _, row in found] == wanted
        assert [name for name, _ in found] == {1: ["before"], 2: ["before", "after"]}.get(
            len(found), ["before", "during", "after"]
        )


def test_one_typical_run_of_each_configuration(small_results: tuple[rs.Results, Path]) -> None:
    runs = small_results[0].runs
    both = pl.concat([runs.with_columns(pl.lit(x).alias("overseer.coverage")) for x in (0.5, 1.0)])
    both = both.with_columns(run_id=pl.col("run_id") + pl.col("overseer.coverage").cast(pl.String))
    what = {**small_results[0].manifest["what"], "swept": {"overseer.coverage": [0.5, 1.0]}}
    swept = rs.Results(both, small_results[0].traces, {**small_results[0].manifest, "what": what})
    for count in (1, 2, 5, 100):
        rows = replays.chosen(swept, count)
        assert len(rows) == min(count, 6)
        assert len({row["run_id"] for row in rows}) == len(rows)
        assert {row["overseer.coverage"] for row in rows} == ({0.5} if count == 1 else {0.5, 1.0})
    assert replays.picked(swept, 1, {"overseer.coverage": "1"})["run_id"].endswith("1.0")
    with complains("overseer.coverage", 0.7, 0.5, 1):
        replays.picked(swept, 1, {"overseer.coverage": "0.7"})
    with complains("overseer.covrage", "overseer.coverage"):
        replays.picked(swept, 1, {"overseer.covrage": "1"})


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_a_film_is_an_animation_of_every_step(recording: Recording, tmp_path: Path, ending: str) -> None:
    size = replay.write(recording, tmp_path / f"a{ending}")
    frames = list(replay.film(recording))
    with Image.open(tmp_path / f"a{ending}") as image:
        assert image.n_frames <= len(frames)  # what does not change is one longer frame
        assert image.n_frames > 3
        assert image.info["loop"] == 0
    assert size == (tmp_path / f"a{ending}").stat().st_size <= replay.MOST_BYTES
    ends = np.max([stage.length for stage in recording.stages], axis=(0, 1))
    assert len(frames) == int((ends + 1).sum())
    replay.write(recording, tmp_path / f"b{ending}")
    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_misbehaviour_is_framed_in_red(recording: Recording) -> None:
    red = tuple(int(replay.RED[i : i + 2], 16) for i in (1, 3, 5))
    frame = np.asarray(list(replay.film(recording))[-1][0])
    count = int((frame == red).all(-1).sum())
    behaved = recording._replace(
        stages=tuple(s._replace(misbehaved=np.zeros_like(s.misbehaved)) for s in recording.stages)
    )
    assert not (np.asarray(list(replay.film(behaved))[-1][0]) == red).all(-1).any()
    last = [s.misbehaved[:, -1].any(-1).sum() for s in recording.stages]
    assert count >= 600 * sum(int(x) for x in last)


def test_a_film_that_is_too_large_is_made_smaller(recording: Recording) -> None:
    whole = replay.encode(recording, ".gif")
    smaller = replay.encode(recording, ".gif", most=len(whole) - 1)
    assert len(smaller) < len(whole)
    with Image.open(io.BytesIO(smaller)) as image:
        assert image.n_frames > 3


@pytest.mark.same_keys
def test_the_command(
    small_results: tuple[rs.Results, Path], small: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [word for name, value in small.items() for word in ("--set", f"{name}={value}")]
    main(["replay", "camera_vault", "--seed", "1", "--episodes", "2", "--out", str(tmp_path / "a.gif"), *changes])
    main(["replay", str(small_results[1]), "--seed", "1", "--episodes", "2", "--out", str(tmp_path / "b.gif")])
    first, second = capsys.readouterr().out.splitlines()
    assert says(first, "camera_vault", "seed 1", "before 0")
    assert first.replace("a.gif", "b.gif") == second
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


def test_bad_input_is_one_line(
    small_results: tuple[rs.Results, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = str(small_results[1]), str(tmp_path / "a.gif")
    (tmp_path / "file").write_text("")
    for words, parts in (
        (["bandit", "--out", out], ("bandit", "render(state, signal)")),
        ([folder, "--out", "a.mp4"], ("out", "a.mp4", ".gif", ".webp")),
        ([folder, "--out", str(tmp_path / "file" / "a.gif")], (str(tmp_path / "file" / "a.gif"),)),
        ([folder, "--out", out, "--seed", "77"], ("seed", 77, 0, 1, 2)),
        ([folder, "--out", out, "--seed", "x"], ("seed", "x", 0)),
        ([folder, "--out", out, "--episodes", "0"], ("episodes", 0, 1, 8)),
        (["camera_valt", "--out", out], ("camera_valt", "camera_vault")),
        ([str(tmp_path), "--out", out], (str(tmp_path),)),
    ):
        one_line(complaint(capsys, "replay", *words), *parts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
