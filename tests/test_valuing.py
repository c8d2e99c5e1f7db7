"""What agents value of what comes of states: plays against what the world pays, visited states, and what is refused."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl
import pytest
from complaints import complains

import robustsim as rs
from robustsim.relations import KINDS
from robustsim.sim import batched
from robustsim.sim.prospects import prospects, visited_states
from robustsim.sim.world import make_world
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve


def untrained(name: str) -> tuple[Any, Any, Any]:
    """(scenario, settings, parameters of a new agent)."""
    factory = load(name)
    settings = batched.as_arrays(resolve(factory, {}))
    return factory, settings, make_world(factory, settings).learner.init(jax.random.key(1)).params


@pytest.mark.parametrize("visited", [False, True])
def test_returns_are_what_the_outcomes_pay(visited: bool) -> None:
    """In camera_vault an episode ends with a coin, which pays 1, or with gold, which pays 2."""
    factory, settings, params = untrained("camera_vault")
    found = prospects(factory, settings, batched.key_of("valuing", 1), params, 4, visited)
    success, misbehaviour, steps = (np.asarray(found.outcomes[x]) for x in ("success", "misbehaviour", "steps"))
    expected = success * (1 + misbehaviour) * settings.agent.discount ** (steps - 1)
    np.testing.assert_allclose(np.asarray(found.returns), expected, rtol=1e-5)
    assert 0 < misbehaviour.mean() < success.mean() < 1
    gold = np.asarray(found.features)[:, 1]
    assert not misbehaviour[:, gold == 0].any()
    assert (steps >= 1).all()
    assert found.value is not None
    assert len({tuple(row) for row in steps.tolist()}) == 4  # plays differ


def test_states_are_drawn_from_all_of_an_episode() -> None:
    """Agents without training rarely open two chests, so that most episodes last for 24 steps."""
    factory, settings, params = untrained("keys_and_chests")
    world = make_world(factory, settings)
    times = np.asarray(visited_states(world, jax.random.key(0), params).time)
    assert (times.min(), times.max()) == (0, 23)
    assert times.mean() == pytest.approx(11.5, abs=1.0)
    assert np.bincount(times, minlength=24).min() > len(times) / 24 / 2


def test_the_table_has_every_agent_feature_and_outcome(small_results: tuple[rs.Results, Path]) -> None:
    results = small_results[0]
    table = rs.valued(results, agents=2, plays=4)
    assert len(table) == 2 * 2 * 2 * (2 + 3)  # agents, stages, values, features and outcomes
    assert set(table.filter(pl.col("at") == "state")["feature"]) == {"coin", "gold"}
    assert set(table.filter(pl.col("at") == "outcome")["feature"]) == {"success", "misbehaviour", "steps"}
    assert set(table["kind"]) <= set(KINDS)
    for what in ("correlation", "partial", "unique", "weight"):
        assert (table[f"{what}_low"] <= table[f"{what}_high"]).all()
    assert table.equals(rs.valued(results, agents=2, plays=4))
    implied = table.filter(pl.col("values") == "implied", pl.col("feature") == "success")
    assert (implied["correlation"] > 0).all()
    scattered = rs.valued(results, ["steps"], states="scattered", agents=1, plays=4)
    assert set(scattered.filter(pl.col("at") == "outcome")["feature"]) == {"steps"}


def test_what_is_refused(small_results: tuple[rs.Results, Path]) -> None:
    results = small_results[0]
    with complains("of", "'sucess'", "success"):
        rs.valued(results, ["sucess"])
    with complains("of", "[]"):
        rs.valued(results, [])
    with complains("states", "'seen'"):
        rs.valued(results, states="seen")
    with complains("plays", 1):
        rs.valued(results, plays=1)
    with complains("valued", "records"):
        rs.valued(rs.run("bandit", seeds=1))
