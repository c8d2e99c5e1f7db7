"""Doses that take away half, on curves whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustsim.analysis import dose

DOSES = np.array([0.0, 0.01, 0.1, 1.0])


def seeds(*curve: float, n: int = 6, spread: float = 0.0) -> np.ndarray:
    """float[n, D], around a curve."""
    return np.array(curve) + spread * np.random.default_rng(1).standard_normal((n, len(curve)))


@pytest.mark.parametrize(
    ("curve", "between"),
    [
        ((1.0, 1.0, 0.0, 0.0), (0.01, 0.1)),
        ((0.8, 0.8, 0.6, 0.2), (0.1, 1.0)),
        ((1.0, 0.1, 0.0, 0.0), (0.0, 0.01)),  # by the least dose: no more is known
        ((1.0, 0.9, 0.8, 0.6), (1.0, np.inf)),
        ((1.0, 0.4, 0.8, 0.3), (0.1, 1.0)),  # pooled: 0.6 at both
        ((0.6, 0.9, 0.8, 0.3), (0.1, 1.0)),  # half of what there is without a dose
    ],
)
def test_the_doses_between_which_half_is_gone(curve: tuple[float, ...], between: tuple[float, float]) -> None:
    assert dose.bracket(DOSES, seeds(*curve)) == between


def test_limits_hold_both_ends_and_a_dose_that_is_not_reached_has_none() -> None:
    assert dose.ed50(DOSES, seeds(1.0, 0.9, 0.3, 0.1, n=20, spread=0.1)) == (0.01, 0.1, 0.01, 0.1)
    wide = dose.ed50(DOSES, seeds(1.0, 0.9, 0.5, 0.1, n=20, spread=0.2))
    assert (wide.low, wide.high) == (0.01, 1.0)
    assert dose.ed50(DOSES, seeds(1.0, 0.9, 0.8, 0.7)) == (1.0, None, 1.0, None)
    half = np.array([[1.0, 0.9, 0.8, 0.2]] * 5 + [[1.0, 0.9, 0.8, 0.8]] * 5)
    assert dose.ed50(DOSES, half).high is None  # with other seeds it may not be reached


def test_concentration_is_as_wide_as_the_brackets_are() -> None:
    late, early, never = seeds(1.0, 1.0, 1.0, 0.0), seeds(1.0, 1.0, 0.0, 0.0), seeds(1.0, 1.0, 1.0, 0.9)
    both, least = (DOSES, DOSES), seeds(1.0, 0.0, 0.0, 0.0)
    assert dose.concentration(both, late, early) == pytest.approx((1, 100))
    assert dose.concentration(both, never, early) == (pytest.approx(10), None)
    assert dose.concentration(both, late, never) == (None, pytest.approx(1))
    assert dose.concentration(both, never, never) == (None, None)
    assert dose.concentration(both, least, least) == (None, None)
    assert dose.concentration(both, late, least) == (pytest.approx(10), None)


def test_rank_correlation() -> None:
    x = np.arange(30.0)
    assert dose.rank_correlation(x, np.exp(x)).estimate == pytest.approx(1)
    assert dose.rank_correlation(x, -x) == pytest.approx((-1, -1, -1))
    assert dose.rank_correlation(x, np.ones(30)) == (None, None, None)


def test_neighbours_that_depend_on_each_other_count_less() -> None:
    rng = np.random.default_rng(0)
    a, b = (np.convolve(rng.standard_normal(60), np.ones(11), "valid") for _ in range(2))
    alone, together = (dose.rank_correlation(a, b, block) for block in (1, 11))
    assert alone.low is not None
    assert alone.high is not None
    assert together.low is not None
    assert together.high is not None
    assert together.high - together.low > alone.high - alone.low


@settings(max_examples=20)
@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=2, max_size=8))
def test_the_fit_falls_from_the_mean_without_a_dose(rows: list[list[float]]) -> None:
    response = np.array(rows)
    fit = dose.fitted(response)
    assert (np.diff(fit) <= 1e-12).all()
    assert fit[0] == pytest.approx(response[:, 0].mean())
    low, high = dose.limits(response)
    assert (low <= response.mean(0) + 1e-9).all()
    assert (high >= response.mean(0) - 1e-9).all()
