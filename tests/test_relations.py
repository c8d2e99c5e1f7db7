"""Goals by correlation, alone and with the other features held constant: closed forms, traps and coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustsim import relations
from robustsim.truth import validate_goals


def exact(noise: float, shared: float) -> relations.Relations:
    """Where V = f1 + noise, and corr(f1, f2) = shared (theory D)."""
    return relations.relations(np.array([[1 + noise**2, 1, shared], [1, 1, shared], [shared, shared, 1.0]]))


@given(st.floats(0.05, 3), st.floats(-0.95, 0.95))
def test_the_oracle_of_a_final_goal_and_of_what_goes_with_it(noise: float, shared: float) -> None:
    found, total = exact(noise, shared), 1 + noise**2
    assert found.correlation == pytest.approx([total**-0.5, shared * total**-0.5], abs=1e-9)
    assert found.partial == pytest.approx([((1 - shared**2) / (1 - shared**2 + noise**2)) ** 0.5, 0], abs=1e-6)
    assert found.unique == pytest.approx([(1 - shared**2) / total, 0], abs=1e-9)
    assert found.weight == pytest.approx([total**-0.5, 0], abs=1e-9)


def sampled(n: int, noise: float, shared: float, blur: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(values float[n], features float[n, 2]) of that oracle; the first feature is read with an error of `blur`."""
    random = np.random.default_rng(seed)
    first, second, rest, error = random.normal(size=(4, n))
    second = shared * first + (1 - shared**2) ** 0.5 * second
    return first + noise * rest, np.column_stack([first + blur * error, second])


def related(values: np.ndarray, features: np.ndarray) -> relations.Relations:
    """The relations of a sample."""
    return relations.relations(np.cov(np.column_stack([values, features]).T))


def test_the_oracle_to_three_digits_from_a_sample() -> None:
    """theory D: a noise of .3 and a correlation of .9 give .957826, .862044, .823754 and 0."""
    found = related(*sampled(1_000_000, 0.3, 0.9))
    assert [*found.correlation, *found.partial] == pytest.approx([0.957826, 0.862044, 0.823754, 0], abs=1.5e-3)


def test_without_noise_any_weight_gives_a_perfect_partial_correlation_but_no_unique_share() -> None:
    """The first trap: a thousandth of a feature in values without noise."""
    features = np.random.default_rng(0).normal(size=(4000, 2))
    found = relations.measured(features @ [1.0, 0.001], features, np.arange(4000))
    assert found["partial"].low[1] > 0.999
    assert found["unique"].high[1] < 1e-5
    assert relations.kinds(found) == [relations.FINAL, relations.NO_GOAL]


@pytest.mark.parametrize(("blur", "leaked", "left"), [(0.1, 0.06, 0.80), (0.3, 0.35, 0.68), (0.5, 0.56, 0.54)])
def test_a_blurred_reading_leaks_unless_features_are_placed_independently(
    blur: float, leaked: float, left: float
) -> None:
    """The second trap, and its cure (theory D: .857 is left at a blur of .5, and .004 leaks)."""
    found = list(validate_goals.blurred(blur))
    assert [check for check in found if not check.passed] == []
    assert [check.measured for check in found[:2]] == pytest.approx([left, leaked], abs=0.01)


def test_a_means_is_told_from_an_end_and_both_from_neither() -> None:
    values, features = sampled(4000, 0.5, 0.8)
    table = np.column_stack([features, np.random.default_rng(1).normal(size=4000)])
    found = relations.measured(values, table, np.arange(4000) // 4)
    assert relations.kinds(found) == [relations.FINAL, relations.INSTRUMENTAL, relations.NO_GOAL]
    unread = relations.kinds(found, readable=np.array([0.9, 0.5, np.nan]))
    assert unread == [relations.FINAL, relations.UNREPRESENTED, relations.UNREPRESENTED]


def test_a_feature_that_does_not_vary_or_that_another_determines_goes_with_nothing_alone() -> None:
    values, features = sampled(2000, 0.5, 0.0)
    table = np.column_stack([features, features[:, 1], np.ones(2000)])
    found = related(values, table)
    assert found.correlation[3] == found.partial[3] == found.unique[3] == found.weight[3] == 0
    assert found.unique[1] == found.unique[2] == found.partial[1] == found.partial[2] == 0
    assert found.partial[0] == pytest.approx(1 / 1.25**0.5, abs=0.03)


def test_states_of_one_episode_count_as_one() -> None:
    """Copies of each state make no interval narrower."""
    values, features = sampled(300, 1.0, 0.5)
    once = relations.measured(values, features, np.arange(300))
    copied = relations.measured(*(np.repeat(x, 5, axis=0) for x in (values, features, np.arange(300))))
    for name in relations.Relations._fields:
        for one, other in zip(once[name], copied[name], strict=True):
            assert one == pytest.approx(other, abs=1e-9)


def test_a_summary_holds_for_all_features_at_once() -> None:
    values, features = sampled(1000, 0.5, 0.5)
    said = relations.summary(values, {"coin": features[:, 0], "key": features[:, 1]}, np.arange(1000))
    one = relations.measured(values, features, np.arange(1000))
    assert list(said) == ["coin", "key"]
    assert said["coin"]["kind"] == relations.FINAL
    assert said["coin"]["partial"]["estimate"] == one["partial"].estimate[0]
    assert said["coin"]["partial"]["low"] < one["partial"].low[0]


@pytest.mark.slow
def test_intervals_cover_what_they_should() -> None:
    assert [check for check in validate_goals.coverage(1000) if not check.passed] == []


def test_the_other_checks_of_goals() -> None:
    checks = [*validate_goals.final_goal(0.3, 0.9), *validate_goals.noiseless(), *validate_goals.tangents()]
    assert [check for check in checks if not check.passed] == []
    assert len(checks) > 12


def test_limits_that_are_too_narrow_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate_goals.relations.measured, "__defaults__", (0.5, 600))
    assert not any(check.passed for check in validate_goals.coverage(20))
