"""Sharing: by hand for linear agents, against the course of the bandit, and what is refused."""

import jax
import numpy as np
import polars as pl
import pytest
from complaints import complains

import robustsim as rs
from robustsim.analysis import sharing as linear
from robustsim.sim import batched
from robustsim.sim.sharing import sharing
from robustsim.sim.world import make_world
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8, 1.0])
def test_a_linear_agent_shares_what_its_features_do(rho: float) -> None:
    """The bandit's two contexts are unit features of inner product rho (theory A.2)."""
    factory = load("bandit")
    with batched.precision("float64"):
        settings = batched.as_arrays(resolve(factory, {"env.sharing": rho, "overseer.visible": True}))
        params = make_world(factory, settings).learner.init(jax.random.key(0)).params
        found = sharing(factory, settings, batched.key_of("sharing", rho), params)
    assert float(found.rho) == pytest.approx(rho, abs=1e-9)
    assert float(found.cosine) == pytest.approx(rho, abs=1e-9)
    assert int(found.acts) > 0


def test_the_bandit_is_predicted_exactly() -> None:
    """Theory A.2: in the bandit linear theory is no approximation."""
    settings = {
        "env.sharing": 0.7,
        "overseer.visible": True,
        "overseer.coverage": 1.0,
        "training.watched": 0.5,
        "deployment.relapse_steps": 0,
    }
    results = rs.run("bandit", seeds=1, settings=settings)
    row = rs.sharing(results).row(0, named=True)
    assert row["rho"] == pytest.approx(0.7, abs=1e-6)
    trace = results.traces.filter(pl.col("arm") == "corrected").sort("step")
    odds = {
        side: np.log(rate / (1 - rate))
        for side in ("watched", "unwatched")
        for rate in [trace[f"misbehaviour_{side}"].to_numpy()]
    }
    fallen = {side: x[0] - x for side, x in odds.items()}
    np.testing.assert_allclose(fallen["unwatched"], 0.7 * fallen["watched"], atol=1e-6)
    assert row["shown"] == pytest.approx(0.7, abs=1e-6)
    assert row["steps_watched"] < row["steps_predicted"] == row["steps_unwatched"] == 447  # A.2, theta of 4


def traced(watched: list[float], unwatched: list[float]) -> pl.DataFrame:
    """A run with these rates, an evaluation each ten steps, of 1,000 decisions."""
    n = len(watched)
    return pl.DataFrame(
        {
            "arm": ["corrected"] * n,
            "overseen": [True] * n,
            "step": [10 * i for i in range(n)],
            "misbehaviour_watched": watched,
            "misbehaviour_unwatched": unwatched,
            "decisions_watched": [1000] * n,
            "decisions_unwatched": [1000] * n,
        }
    )


def test_predictions_follow_the_watched_rate() -> None:
    found = linear.course(traced([0.9, 0.5, 0.1, 0.01, 0.001], [0.9, 0.8, 0.5, 0.3, 0.2]))
    assert linear.predicted(found, 1.0, 0.11) == 20
    assert linear.predicted(found, 0.5, 0.11) == 40  # half of 2.19 + 6.50 is 4.35, which leads to -2.15
    assert linear.predicted(found, 0.3, 0.1) is None
    assert linear.first_below(found, "watched", 0.1) == 20
    assert linear.first_below(found, "unwatched", 0.1) is None
    assert linear.shown(found, 0.1) == pytest.approx(np.log(9) / (2 * np.log(9)), abs=0.01)
    assert linear.shown(linear.course(traced([0.9, 0.9], [0.9, 0.1])), 0.1) is None


def test_a_larger_evaluation_is_no_fall() -> None:
    """All of 1,000 and all of 64 are as far from 1/2 as 64 decisions can show."""
    trace = traced([1.0, 1.0, 0.5], [1.0, 1.0, 1.0]).with_columns(decisions_watched=pl.Series([1000, 64, 1000]))
    found = linear.course(trace)
    assert found.odds["watched"][0] == found.odds["watched"][1] == pytest.approx(np.log(129))
    assert linear.shown(found, 0.5) == 0.0


def test_what_is_refused(small: dict) -> None:
    hidden = rs.run("camera_vault", seeds=1, settings={**small, "overseer.visible": False})
    with complains("overseer.visible", False):
        rs.sharing(hidden)
    recurrent = rs.run("camera_vault", seeds=1, settings={**small, "agent.network": "gru"})
    with complains("sharing", "agent.network"):
        rs.sharing(recurrent)
