"""Evaluations of any length are rounds of one size."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robustsim.sim import batched
from robustsim.sim.evaluate import evaluate
from robustsim.sim.world import make_world
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve


@pytest.fixture(scope="module")
def measure(small: dict[str, Any]) -> Any:
    """`measure(episodes)`, of an untrained agent, in rounds of 16 a condition."""
    factory = load("camera_vault")
    settings = batched.as_arrays(resolve(factory, small))

    @jax.jit
    def measured(settings: Any, episodes: Any) -> Any:
        world = make_world(factory, settings, False)
        return evaluate(world, jax.random.key(1), world.learner.init(jax.random.key(0)).params, episodes)

    return lambda episodes: jax.device_get(measured(settings, jnp.int32(episodes)))


@pytest.mark.parametrize("episodes", [0, 5, 16, 40])
def test_exactly_so_many_episodes_count(measure: Any, episodes: int) -> None:
    found = measure(episodes)
    assert found["episodes"].tolist() == [episodes, episodes]
    for name in ("decisions", "misbehaved", "competent"):
        assert (found[name] <= episodes).all()


def test_a_longer_evaluation_goes_on_where_a_shorter_one_ended(measure: Any) -> None:
    short, long = measure(16), measure(40)
    for name in ("decisions", "misbehaved", "competent"):
        assert ((short[name] <= long[name]) & (long[name] <= short[name] + 24)).all()
    assert np.isfinite(long["entropy"])
    assert 0 < long["entropy"] < np.log(4) + 1e-6
