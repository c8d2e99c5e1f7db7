"""Linear probes: against scikit-learn's definitions by hand, on held-out states, with controls and intervals."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustsim import probes


def layer(n: int = 600, width: int = 20, seed: int = 0) -> np.ndarray:
    """A hidden layer whose first unit is what a feature is made of."""
    return np.random.default_rng(seed).normal(size=(n, width))


def test_a_feature_of_the_layer_is_read_and_one_that_is_not_there_is_not() -> None:
    hidden = layer()
    there = hidden @ np.arange(20.0)
    absent = np.random.default_rng(1).normal(size=600)
    targets = np.stack([there, there > 0, absent, absent > 0], 1).astype(float)
    found = probes.scored(hidden, targets, np.arange(600))
    assert found.estimate[0] > 0.999
    assert found.estimate[1] > 0.98
    assert found.estimate[2] < 0.05  # R2 on states that the probe has not seen may be below 0
    assert found.low[3] < 0.5 < found.high[3]
    assert (found.low <= found.estimate).all()
    assert (found.estimate <= found.high).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_the_area_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    reading, target = np.array(pairs, float).T
    wins = [
        (a > b) + (a == b) / 2
        for a, with_it in zip(reading, target, strict=True)
        for b, other in zip(reading, target, strict=True)
        if with_it and not other
    ]
    assert probes.score(reading, target) == pytest.approx(np.mean(wins) if wins else 0.5)


def test_a_feature_that_does_not_vary_cannot_be_read() -> None:
    assert probes.score(np.arange(4.0), np.ones(4)) == 0.5
    assert probes.score(np.arange(4.0), np.full(4, 3.0)) == 0.0


def test_numpy_and_jax_say_the_same() -> None:
    hidden, fold = layer(), np.arange(600) % 2
    targets = np.stack([hidden[:, 0], hidden[:, 1] > 0], 1).astype(float)
    ours = probes.scores(probes.read(hidden, targets, fold), targets)
    theirs = probes.read(jnp.asarray(hidden), jnp.asarray(targets), fold, jnp)
    assert np.asarray(probes.scores(theirs, jnp.asarray(targets), jnp)) == pytest.approx(ours, abs=1e-3)


def test_an_episode_is_held_out_as_a_whole() -> None:
    """Twenty states of an episode that are all alike: a probe could learn each episode by heart, and must not."""
    random = np.random.default_rng(0)
    hidden = np.repeat(random.normal(size=(40, 60)), 20, 0)
    target = np.repeat(random.normal(size=(40, 1)), 20, 0)
    episodes = np.repeat(np.arange(40), 20)
    assert probes.scored(hidden, target, episodes, draws=10).estimate[0] < 0.1
    assert probes.scored(hidden, target, np.arange(800), draws=10).estimate[0] > 0.9


def test_the_probe_undoes_what_goes_with_a_feature_and_the_effect_does_not() -> None:
    """Two units with one cause, the second with an error that a third unit tells: a probe takes that error out."""
    cause, error, rest = np.random.default_rng(0).normal(size=(3, 50_000))
    hidden = np.stack([cause + rest, 2 * cause + error, rest], 1)
    assert probes.effect(hidden, 3 * cause) == pytest.approx(np.array([1, 2, 0]) / 3, abs=0.01)
    weights = probes.direction(hidden, 3 * cause)
    assert weights / weights[0] == pytest.approx([1, 0, -1], abs=0.03)
    assert not probes.effect(hidden, np.ones(50_000)).any()


@pytest.mark.slow
def test_intervals_cover() -> None:
    """The AUC is 5/6: four times the chance that three normal numbers, correlated by 1/2, 1/2 and 0, are positive."""
    covered = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        hidden = random.normal(size=(300, 2))
        target = (hidden[:, 0] + random.normal(size=300) > 0).astype(float)[:, None]
        found = probes.scored(hidden, target, np.arange(300), draws=300)
        covered += found.low[0] <= 5 / 6 <= found.high[0]
    assert 0.9 * 200 <= covered <= 0.99 * 200


def test_the_margin_is_the_distance_of_two_classes_in_standard_deviations() -> None:
    random = np.random.default_rng(0)
    there = np.arange(200_000) % 2
    reading = 3.0 * there + random.normal(size=len(there))
    assert probes.margin(reading, there) == pytest.approx(3.0, abs=0.02)
    assert probes.margin(-reading, there) == pytest.approx(-3.0, abs=0.02)
    assert probes.margin(reading, np.zeros(len(there))) == 0.0
