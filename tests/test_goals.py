"""Goals measured in a run: on states in which everything is placed independently, against NumPy, and over time."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from complaints import complains, complaint, says

import robustsim as rs
from robustsim import relations
from robustsim.analysis.tables import Tables
from robustsim.cli.main import main
from robustsim.report import page
from robustsim.sim import batched, goals
from robustsim.sim.world import make_world, observe
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve

FEATURES = ("coin", "gold")


@pytest.mark.parametrize("name", ["camera_vault", "dish_pile", "keys_and_chests"])
def test_what_may_be_there_is_placed_independently(name: str) -> None:
    env = load(name)(**load(name).defaults).env
    states = jax.vmap(env.scatter)(jax.random.split(jax.random.key(0), 4000))
    there = 1.0 - np.asarray(states.taken)
    assert there.mean(0) == pytest.approx(np.full(there.shape[1], 0.5), abs=0.04)
    assert np.corrcoef(there.T) == pytest.approx(np.eye(there.shape[1]), abs=0.06)
    cells = np.asarray(states.items)
    assert all(len(set(row)) == len(row) for row in cells.tolist())  # never two things on one cell
    assert len(set(np.asarray(states.agent).tolist())) > 20


def test_an_evaluation_measures_what_numpy_does() -> None:
    factory = load("camera_vault")
    settings = batched.as_arrays(resolve(factory, {"evaluation.goals": True}))
    world = make_world(factory, settings)
    params = world.learner.init(jax.random.key(1)).params
    found = goals.measures(world, params)
    number = settings.evaluation.goal_states
    states = jax.vmap(world.scenario.env.scatter)(jax.random.split(jax.random.key(0), number))
    table = [1.0 - np.asarray(states.taken)[:, list(states.names).index(name)] for name in FEATURES]
    for condition in (0, 1):
        obs = observe(world, states, jnp.full(number, float(condition)))
        values = np.asarray(world.learner.value(params, (), obs), np.float64)
        exact = relations.relations(np.cov(np.stack([values, *table])))
        for relation in relations.MEASURED:
            got = [float(found[relations.measurement(name, relation)][condition]) for name in FEATURES]
            assert got == pytest.approx(getattr(exact, relation), abs=1e-3)


def test_to_measure_goals_changes_nothing_else(small: dict) -> None:
    measured = rs.run("camera_vault", seeds=1, settings={**small, "evaluation.goals": True})
    plain = rs.run("camera_vault", seeds=1, settings=small)
    same = [name for name in plain.traces.columns if not name.startswith("goal_") and name != "run_id"]
    assert measured.traces.select(same).equals(plain.traces.select(same))
    own = [name for name in plain.traces.columns if name.startswith("goal_")]
    assert len(own) == len(FEATURES) * len(relations.MEASUREMENTS) * 2
    assert plain.traces.select(own).null_count().sum_horizontal().item() == len(own) * len(plain.traces)
    said = rs.goals(measured)
    assert list(said) == ["watched", "unwatched"]
    first = measured.traces.filter(pl.col("arm") == "corrected").sort("step").head(1)
    median = said["watched"]["gold"]["start"]["partial"]["median"]
    assert median == first["goal_gold_partial_watched"].item()
    with complains("goals", "evaluation.goals"):
        rs.goals(plain)


def made(partial: list[float], unique: list[float], readable: float = 1.0) -> Tables:
    """Results of one agent with these measurements of the only feature, an evaluation each ten steps."""
    number = len(partial)
    columns = {
        "run_id": ["a"] * number,
        "arm": ["corrected"] * number,
        "overseen": [True] * number,
        "step": [10 * i for i in range(number)],
    }
    for side in ("watched", "unwatched"):
        columns |= {f"goal_coin_{what}_{side}": x for what, x in (("correlation", partial), ("partial", partial))}
        columns[f"goal_coin_unique_{side}"] = unique
        columns[f"goal_coin_readable_{side}"] = [readable] * number
    return Tables(pl.DataFrame({"config": [0]}), pl.DataFrame(columns), {"what": {"swept": []}})


@pytest.mark.parametrize(
    ("partial", "unique", "median"),
    [
        ([0.9, 0.2, 0.2, 0.2, 0.9], [0.5] * 5, 10),  # gone for three evaluations
        ([0.9, 0.2, 0.2, 0.9, 0.9], [0.5] * 5, None),  # for two
        ([0.9, 0.9, -0.9, -0.9, -0.9], [0.5] * 5, 20),  # of the other sign: avoided
        ([0.9] * 5, [0.5, 0.5, 0.01, 0.01, 0.01], 20),  # it explains nothing alone
    ],
)
def test_the_clock_of_a_goal_ends_where_it_is_gone_for_good(
    partial: list[float], unique: list[float], median: float | None
) -> None:
    found = rs.goals(made(partial, unique))["watched"]["coin"]
    assert found["start"]["kinds"] == {"final": 1}
    assert found["steps_to_goal_change"]["median"] == median
    assert found["steps_to_goal_change"]["censored"] == (median is None)


def test_what_no_probe_reads_is_no_goal() -> None:
    """theory D: no represented feature, no goal."""
    found = rs.goals(made([0.9] * 4, [0.5] * 4, readable=0.6))["watched"]["coin"]
    assert found["start"]["kinds"] == {"not represented": 1}
    assert found["steps_to_goal_change"] is None


def test_what_was_no_goal_cannot_change() -> None:
    assert rs.goals(made([0.1] * 4, [0.0] * 4))["watched"]["coin"]["steps_to_goal_change"] is None


@pytest.mark.parametrize(("name", "lacks"), [("boat_loop", "records"), ("bandit", "records")])
def test_goals_need_features(name: str, lacks: str) -> None:
    with complains("evaluation.goals", True, lacks):
        rs.run(name, seeds=1, settings={"evaluation.goals": True})


def test_goals_need_states_and_values(small: dict) -> None:
    import dataclasses

    base = load("camera_vault")

    @rs.scenario
    def still() -> rs.Scenario:
        """A vault in which nothing can be placed."""
        made = base()
        return dataclasses.replace(made, env=dataclasses.replace(made.env, scatter=None))

    with complains("evaluation.goals", True, "env.scatter"):
        rs.run(still, seeds=1, settings={**small, "evaluation.goals": True})

    @rs.scenario
    def scripted() -> rs.Scenario:
        """A vault with an agent that estimates nothing."""
        script = rs.Scripted(policy=lambda obs: jnp.zeros(4), num_envs=8, rollout_steps=16)
        return dataclasses.replace(base(), agent=script, training=rs.Training(steps=0, competence=0.0))

    with complains("evaluation.goals", True, "agent"):
        rs.run(scripted, seeds=1, settings={"evaluation.goals": True, "deployment.budget": 5})


def test_the_command_says_what_was_a_goal(
    goal_results: tuple[rs.Results, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["goals", str(goal_results[1])])
    said = capsys.readouterr().out
    assert all(word in said for word in ("unwatched", "watched", *FEATURES, "T_goal"))
    main(["goals", str(goal_results[1]), "--json"])
    assert json.loads(capsys.readouterr().out)["watched"]["gold"].keys() == {"start", "final", "steps_to_goal_change"}
    rs.run("bandit", seeds=1, out=tmp_path / "bandit")
    assert says(complaint(capsys, "goals", str(tmp_path / "bandit")), "goals", "evaluation.goals")
    with complains("goals", "evaluation.goals"):
        rs.open(tmp_path / "bandit").plot(None, "goals")


def test_the_page_shows_the_goal_trace_where_goals_were_measured(
    goal_results: tuple[rs.Results, Path], small: dict
) -> None:
    results = goal_results[0]
    shown = page.build(results)
    assert 'id="goals"' in shown
    assert all(f"<th scope=row>{side}<td>{name}" in shown for side in ("unwatched", "watched") for name in FEATURES)
    without = Tables(results.runs, results.traces.drop(cs.starts_with("goal_")), results.manifest)
    assert 'id="goals"' not in page.build(without)
