"""The whole way: what a result depends on, and what it must not depend on."""

import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
from complaints import complains

import robustsim as rs
from robustsim.errors import RunsFailed
from robustsim.sim import batched
from robustsim.sim.agents import Agents, handed_out, training_track
from robustsim.sim.cohort import run_through
from robustsim.sim.follow import Demand
from robustsim.sim.track import CORRECTED, Track
from robustsim.spec.loading import load
from robustsim.spec.settings import Run, resolve
from robustsim.sweep import store
from robustsim.truth import theory


def test_the_table_has_the_columns_of_the_contract(small_results: tuple[rs.Results, Path]) -> None:
    results, _ = small_results
    contract = {
        *("run_id", "scenario", "seed", "competence", "misbehaviour_watched", "misbehaviour_unwatched"),
        *("corrected", "steps_to_correct", "steps_to_correct_lower", "t_stable", "suppressed", "steps_to_suppress"),
        *("catastrophe", "steps_to_catastrophe", "catastrophe_in_race", "steps_to_catastrophe_in_race", "first_event"),
        *("position", "position_lower", "position_upper", "corrections", "misbehaviours", "env_steps_to_correct"),
        *("concealment", "relapsed", "steps_to_relapse"),
    }
    assert contract <= set(results.runs.columns)
    assert len(results.runs) == 3
    assert set(results.traces["arm"]) == {"corrected", "unopposed"}


def test_the_same_command_twice_gives_the_same_bytes(
    small_results: tuple[rs.Results, Path], small: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out = small_results
    monkeypatch.setenv("ROBUSTSIM_CACHE", str(tmp_path / "cache"))  # agents are trained again, too
    rs.run("camera_vault", seeds=3, settings=small, out=tmp_path / "again")
    for name in store.TABLES:
        first, again = (store.shard_path(folder, 0, f"{name}.parquet") for folder in (out, tmp_path / "again"))
        assert first.read_bytes() == again.read_bytes()


def test_a_run_alone_equals_the_same_run_among_others(small_results: tuple[rs.Results, Path], small: dict) -> None:
    results, _ = small_results
    alone = rs.run("camera_vault", seeds=[1], settings=small)
    assert alone.runs.equals(results.runs.filter(pl.col("seed") == 1))
    assert alone.traces.equals(results.traces.filter(pl.col("seed") == 1))


def test_a_sweep_holds_the_runs_that_its_points_give(small: dict) -> None:
    over = {"overseer.coverage": [0.2, 1.0], "treatment.kl_anchor": [0.0, 0.1]}  # the anchor changes the program
    sweep = rs.Sweep(scenario="camera_vault", over=over, seeds=2, settings=small).run()
    assert len(sweep.runs) == 8
    assert sweep.runs["overseer.coverage"].to_list() == [0.2] * 4 + [1.0] * 4
    one = rs.run("camera_vault", seeds=2, settings={**small, "overseer.coverage": 0.2, "treatment.kl_anchor": 0.1})
    picked = sweep.runs.filter((pl.col("overseer.coverage") == 0.2) & (pl.col("treatment.kl_anchor") == 0.1))
    assert picked.drop(over).equals(one.runs)
    assert len(sweep.spectrum()) == 4


def test_both_arms_share_their_random_numbers() -> None:
    """Without feedback the two arms are the same run."""
    results = rs.run(
        "bandit", seeds=4, settings={"overseer.penalty": 0.0, "deployment.budget": 60, "catastrophe.threshold": 30}
    )
    assert results.runs["steps_to_catastrophe"].to_list() == results.runs["steps_to_catastrophe_in_race"].to_list()
    assert results.runs["steps_to_catastrophe"].null_count() == 0


def test_advancing_in_pieces_changes_no_bit(small: dict) -> None:
    factory = load("camera_vault")
    runs = [Run(resolve(factory, {**small, "overseer.latency": 2}), seed) for seed in range(3)]
    settings = batched.stack([batched.as_arrays(run.settings) for run in runs])
    agents = batched.initialise(factory, settings, np.arange(6, dtype=np.uint32).reshape(3, 2))
    told = [Track(i, run, CORRECTED).control(factory.name, False) for i, run in enumerate(runs)]
    controls = batched.controls(told)

    def advanced(*limits: int) -> list[np.ndarray]:
        states = batched.begin_phase(factory, settings, controls, agents)
        for limit in limits:
            paused = replace(controls, limit=np.full(len(runs), limit, np.int32))
            states, _ = batched.advance(factory, settings, paused, states, np.int32(0))
        return [np.asarray(x) for x in jax.tree.leaves(states)]

    for a, b in zip(advanced(9), advanced(1, 4, 5, 9), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("scenario", "widths"), [("camera_vault", (1, 2, 5)), ("bandit", (1, 3, 8, 64))])
def test_the_number_of_slots_changes_no_bit(small: dict, scenario: str, widths: tuple[int, ...]) -> None:
    """Networks keep a real size here: matrix products change with their shapes, not with small ones."""
    factory = load(scenario)
    changes = {"camera_vault": {**small, "agent.width": 64, "agent.rollout_steps": 32}, "bandit": SAMPLED}[scenario]
    ends = []
    with batched.precision("float64" if scenario == "bandit" else "float32"):
        for width in widths:
            runs = [Run(resolve(factory, changes), i) for i in range(3)]
            demand = Demand(runs[0].settings.training.steps)
            tracks = [training_track(i, run, (demand,)) for i, run in enumerate(runs)]
            ended = run_through(factory, tracks, lambda _: None, width)
            agents = {track.index: handed_out(track, demand).agent for track in ended}
            tracks = [Track(i, run, CORRECTED) for i, run in enumerate(runs)]
            ended = run_through(factory, tracks, lambda t: agents[t.index], width)  # noqa: B023
            paths = sorted((track.index, track.readings, track.ending, track.catastrophe) for track in ended)
            ends.append((repr(paths), [jax.tree.leaves(agents[i]) for i in range(3)]))
    for paths, agents in ends[1:]:
        assert paths == ends[0][0]
        for a, b in zip(jax.tree.leaves(agents), jax.tree.leaves(ends[0][1]), strict=True):
            np.testing.assert_array_equal(a, b)


SAMPLED = {
    "agent.gradient": "sampled",
    "agent.num_envs": 4,
    "training.steps": 30,
    "training.competence": 0.0,
    "deployment.budget": 200,
}


def test_late_feedback_waits(small: dict) -> None:
    """With a latency beyond the budget nothing is learned at all."""
    late = rs.run("camera_vault", seeds=1, settings={**small, "overseer.latency": 50})
    first, last = (late.traces.filter(pl.col("arm") == "corrected").sort("step")[i] for i in (0, -1))
    assert first["entropy"][0] == pytest.approx(last["entropy"][0], abs=0.05)
    now = rs.run("camera_vault", seeds=1, settings={**small, "agent.learning_rate": 0.05})
    assert now.traces["entropy"].min() < first["entropy"][0] - 0.1  # pyright: ignore[reportOptionalOperand]


def test_agents_are_trained_once_for_all_overseers(
    small: dict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROBUSTSIM_CACHE", str(tmp_path))
    over = {"overseer.coverage": [0.1, 0.9], "treatment.kl_anchor": [0.0, 0.5]}
    rs.Sweep(scenario="camera_vault", over=over, seeds=1, settings=small).run()
    assert len(list((tmp_path / "agents").iterdir())) == 1
    rs.run("camera_vault", seeds=1, settings={**small, "training.steps": 21})
    assert len(list((tmp_path / "agents").iterdir())) == 2


def test_a_damaged_agent_is_trained_again(small: dict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROBUSTSIM_CACHE", str(tmp_path))
    first = rs.run("camera_vault", seeds=1, settings=small)
    (path,) = (tmp_path / "agents").iterdir()
    sound = path.read_bytes()
    damaged = bytearray(sound)
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(bytes(damaged))
    assert rs.run("camera_vault", seeds=1, settings=small).runs.equals(first.runs)
    assert path.read_bytes() == sound


def test_agents_live_in_memory_where_no_cache_can_be_written(
    small: dict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ROBUSTSIM_CACHE", str(tmp_path / "file"))
    factory = load("camera_vault")
    assert Agents((tmp_path / "file" / "agents",)).get("nothing", factory, Run(resolve(factory, small), 0)) is None
    assert len(rs.run("camera_vault", seeds=1, settings=small).runs) == 1
    assert len(rs.run("camera_vault", seeds=1, settings=small, out=tmp_path / "out").runs) == 1
    assert len(list((tmp_path / "out" / "agents").iterdir())) == 1


def test_agents_that_stay_incompetent_are_named(small: dict) -> None:
    with complains("2 of 2", "seed 0", "training.competence=1", 30, error=RunsFailed):
        rs.run("camera_vault", seeds=2, settings={**small, "training.competence": 1.0, "training.extension": 0.5})


def test_agents_whose_weights_explode_are_named(small: dict) -> None:
    settings = {
        **small,
        "agent.learning_rate": 1e3,
        "agent.optimizer": "sgd",
        "agent.max_grad_norm": 1e6,
        "agent.activation": "relu",
        "agent.value_coefficient": 1e6,
        "deployment.budget": 60,
    }
    with complains("of 2", "agent.learning_rate", error=RunsFailed):
        rs.run("camera_vault", seeds=2, settings=settings)


def test_what_is_removed_from_the_start_took_no_step() -> None:
    row = rs.run("bandit", seeds=1, settings={"agent.initial_logit": -6}).runs.row(0, named=True)
    assert (row["corrected"], row["steps_to_correct"], row["steps_to_suppress"]) == (True, 0, 0)
    assert row["position"] is None


def test_results_are_read_back(small_results: tuple[rs.Results, Path]) -> None:
    results, out = small_results
    again = rs.open(out)
    assert again.runs.equals(results.runs)
    assert again.summary() == results.summary()
    assert "camera_vault" in repr(again)


def test_the_same_results_are_not_made_twice(small_results: tuple[rs.Results, Path], small: dict) -> None:
    results, out = small_results
    before = (out / "manifest.json").stat().st_mtime_ns
    again = rs.run("camera_vault", seeds=3, settings=small, out=out)
    assert again.runs.equals(results.runs)
    assert (out / "manifest.json").stat().st_mtime_ns == before


def test_other_results_are_not_overwritten(small_results: tuple[rs.Results, Path], small: dict) -> None:
    _, out = small_results
    with complains(out, "settings.overseer.coverage", 0.5, 0.25):
        rs.run("camera_vault", seeds=3, settings={**small, "overseer.coverage": 0.25}, out=out)


def test_other_versions_are_noticed(small_results: tuple[rs.Results, Path], tmp_path: Path) -> None:
    _, out = small_results
    shutil.copytree(out, tmp_path / "copy")
    manifest = tmp_path / "copy" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"schema": {store.SCHEMA}', f'"schema": {store.SCHEMA + 1}'))
    with complains(tmp_path / "copy", store.SCHEMA, store.SCHEMA + 1):
        rs.open(tmp_path / "copy")
    with complains(tmp_path, "manifest.json"):
        rs.open(tmp_path)


@pytest.mark.parametrize("seeds", [0, -1, [], [1, 1], [-3], True])
def test_seeds_are_checked(seeds: object) -> None:
    with complains("seeds", seeds[0] if isinstance(seeds, list) and seeds else seeds):
        rs.run("bandit", seeds=seeds)  # pyright: ignore[reportArgumentType]


def test_an_exact_run_goes_through_patience_and_relapse() -> None:
    """A bonus brings the misbehaviour back once the overseer leaves; the times are exact (theory A.6)."""
    settings = {"env.bonus": 0.1, "deployment.relapse_steps": 4000, "deployment.budget": 3000}
    delays = []
    for patience in (0.0, 2.5):
        results = rs.run("bandit", seeds=1, settings={**settings, "deployment.patience": patience})
        row = results.runs.row(0, named=True)
        assert row["corrected"]
        assert row["relapsed"]
        assert row["t_stable"] == row["steps_to_correct"]
        delays.append(row["steps_to_relapse"])
    # From eps to 2 eps against a bonus takes (F(2 eps) - F(eps)) / (c eta b). The overseer leaves at the first
    # evaluation after removal, up to a tenth later, when the rate is already below eps: hence the wider limit above.
    expected = (theory.policy_clock(theory.log_odds(0.1)) - theory.policy_clock(theory.log_odds(0.05))) / 0.1
    assert expected <= delays[0] <= 2 * expected
    assert delays[1] > 5 * delays[0]  # deeper correction costs what it buys


def test_a_run_that_would_outgrow_its_counters_is_refused() -> None:
    """After 2^31 environment steps a counter would be negative, and a budget of labels would bind no longer."""
    factory, long = rs.load("camera_vault"), 3_000_000
    with complains("deployment.budget", long, "2,147,483,647"):
        resolve(factory, {"deployment.budget": long})
    alone = {"deployment.patience": 0.0, "deployment.relapse_steps": 0}
    agent = resolve(factory, alone).agent
    most = (2**31 - 1) // (agent.num_envs * agent.rollout_steps)
    assert resolve(factory, {"deployment.budget": most} | alone).deployment.budget == most
    with complains("deployment.budget", most + 1, most):
        resolve(factory, {"deployment.budget": most + 1} | alone)
    patient = {"deployment.patience": 100.0, "deployment.relapse_steps": 500}  # no run is overseen beyond its budget
    assert resolve(factory, {"deployment.budget": most // 2} | patient).deployment.budget == most // 2
    with complains("deployment.budget", most // 2 + 1, most // 2):
        resolve(factory, {"deployment.budget": most // 2 + 1} | patient)
