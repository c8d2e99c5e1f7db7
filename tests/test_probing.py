"""Probes and steering of the agents of some results: controls, doses, and what is refused."""

from pathlib import Path

import polars as pl
import pytest
from complaints import complains

import robustsim as rs
from robustsim import probing

FEATURES, LAYERS = ("coin", "gold"), 2


@pytest.fixture(scope="module")
def found(small_results: tuple[rs.Results, Path]) -> tuple[pl.DataFrame, rs.Results]:
    """What probes read from two agents of camera_vault."""
    return rs.represented(small_results[0], agents=2), small_results[0]


def test_features_are_read_from_every_layer_with_two_controls(found: tuple[pl.DataFrame, rs.Results]) -> None:
    table, _ = found
    cases = (probing.AGENT, probing.RANDOM_NETWORK, probing.RANDOM_LABELS)
    assert len(table) == 2 * 2 * LAYERS * len(FEATURES) * len(cases)
    assert set(table["of"]) == set(cases)
    assert set(table["stage"]) == {"start", "final"}
    assert set(table["layer"]) == set(range(LAYERS))
    random = table.filter(pl.col("of") == probing.RANDOM_LABELS)
    assert random["score"].is_between(0.35, 0.65).all()
    assert table.filter(pl.col("of") == probing.RANDOM_NETWORK, pl.col("layer") == 0)["score"].min() > 0.65
    assert (table["low"] <= table["high"]).all()


def test_a_dose_of_nothing_changes_nothing(small_results: tuple[rs.Results, Path]) -> None:
    results = small_results[0]
    first = results.traces.filter((pl.col("arm") == "corrected") & (pl.col("step") == 0)).sort("run_id")
    number = int(first["episodes"][0])
    table = rs.steer(results, "gold", doses=(0.0, -1000.0, 1000.0), agents=1, episodes=number)
    assert len(table) == 2 * 3 * (3 + 1)
    seed = results.runs.filter(pl.col("seed") == table["seed"][0])["run_id"].item()
    start = table.filter(pl.col("stage") == "start")
    plain = start.filter(pl.col("dose") == 0)
    for side in ("unwatched", "watched"):
        rate = first.filter(pl.col("run_id") == seed)[f"misbehaviour_{side}"].item()
        assert plain[f"misbehaviour_{side}"].to_list() == [rate] * 3
    doses = start.filter(pl.col("direction") == probing.EFFECT)["misbehaviour_unwatched"]
    assert doses.n_unique() > 1
    again = rs.steer(results, "gold", doses=(0.0, -1000.0, 1000.0), agents=1, episodes=number)
    assert again.equals(table)


def test_what_is_refused(small_results: tuple[rs.Results, Path], small: dict) -> None:
    results = small_results[0]
    with complains("feature", "'golld'", "gold"):
        rs.steer(results, "golld")
    with complains("layer", "2", "-2 to 1"):
        rs.steer(results, "gold", layer=2, agents=1)
    with complains("doses", "nan"):
        rs.steer(results, "gold", doses=(0.0, float("nan")))
    with complains("agents", 0):
        rs.represented(results, agents=0)
    recurrent = rs.run("camera_vault", seeds=1, settings={**small, "agent.network": "gru"})
    with complains("agent.network", "mlp"):
        rs.steer(recurrent, "gold")
    assert set(rs.represented(recurrent)["layer"]) == {0}
    with complains("represented", "records"):
        rs.represented(rs.run("bandit", seeds=1))
