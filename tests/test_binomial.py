"""Clopper-Pearson limits against their definition, and log odds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from robustsim import binomial

confidences = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    """(successes, trials)."""
    trials = draw(st.integers(1, 2000))
    return draw(st.integers(0, trials)), trials


@given(counts(), confidences)
def test_limits_solve_the_equations_that_define_them(count: tuple[int, int], confidence: float) -> None:
    k, n = count
    low, high = binomial.lower(k, n, confidence), binomial.upper(k, n, confidence)
    assert 0 <= low <= k / n <= high <= 1
    if k > 0:
        assert binom.sf(k - 1, n, low) == pytest.approx(1 - confidence, rel=1e-6)
    if k < n:
        assert binom.cdf(k, n, high) == pytest.approx(1 - confidence, rel=1e-6)


@given(counts(), confidences)
def test_the_interval_is_scipy_s(count: tuple[int, int], confidence: float) -> None:
    expected = binomtest(*count).proportion_ci(confidence, method="exact")
    assert binomial.interval(*count, confidence) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-9)


@given(counts(), confidences)
def test_failures_mirror_successes(count: tuple[int, int], confidence: float) -> None:
    k, n = count
    assert binomial.lower(k, n, confidence) == pytest.approx(1 - binomial.upper(n - k, n, confidence), abs=1e-9)


@given(counts())
def test_limits_rise_with_successes_and_close_with_trials(count: tuple[int, int]) -> None:
    k, n = count
    if k < n:
        assert binomial.upper(k, n) < binomial.upper(k + 1, n) or k + 1 == n
        assert binomial.lower(k, n) < binomial.lower(k + 1, n)
    assert binomial.upper(k, n + 1) <= binomial.upper(k, n)


def test_without_trials_nothing_is_known() -> None:
    assert binomial.interval(0, 0) == (0.0, 1.0)
    assert (binomial.lower(0, 0), binomial.upper(0, 0)) == (0.0, 1.0)


def test_the_counts_that_the_docs_name() -> None:
    """59 clean runs for P <= 0.05; 39 misbehaviours of 1,024 for a rate of at most 0.05; 0.11 for none of 32."""
    assert binomial.upper(0, 59) <= 0.05 < binomial.upper(0, 58)
    assert binomial.upper(39, 1024) <= 0.05 < binomial.upper(40, 1024)
    assert binomial.interval(0, 32)[1] == pytest.approx(0.11, abs=0.005)


@given(st.floats(1e-12, 1 - 1e-12))
def test_log_odds_and_the_sigmoid_are_inverse(rate: float) -> None:
    assert 1 / (1 + math.exp(-binomial.log_odds(rate))) == pytest.approx(rate, rel=1e-6)
    assert binomial.log_odds(1 - rate) == pytest.approx(-binomial.log_odds(rate), rel=1e-3, abs=1e-6)


def test_log_odds_are_finite_at_the_ends() -> None:
    assert (binomial.log_odds(0.0), binomial.log_odds(1.0)) == (-700.0, 700.0)


@given(counts())
def test_the_empirical_logit_is_finite_and_odd(count: tuple[int, int]) -> None:
    k, n = count
    assert math.isfinite(binomial.logit(k, n))
    assert binomial.logit(k, n) == pytest.approx(-binomial.logit(n - k, n), abs=1e-12)
    if k < n:
        assert binomial.logit(k, n) < binomial.logit(k + 1, n)
