"""The estimators against packages that everybody trusts, and by hand where those give up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator

from robustsim import binomial
from robustsim.analysis import spectrum, survival

times = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2)), min_size=2, max_size=30)


@given(times)
@settings(max_examples=200, deadline=None)
def test_kaplan_meier_equals_scipy(rows: list[tuple[int, int]]) -> None:
    time, event = np.array(rows).T
    event = np.minimum(event, 1)
    curve = survival.kaplan_meier(time, event)
    if not event.any():
        assert curve.time.size == 0
        return
    reference = stats.ecdf(stats.CensoredData.right_censored(time, event == 0)).sf
    np.testing.assert_allclose(curve.survival, reference.evaluate(curve.time), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_log_log_limits_equal_scikit_survival(seed: int) -> None:
    rng = np.random.default_rng(seed)
    time, event = rng.integers(1, 40, 60).astype(float), rng.random(60) < 0.6
    curve = survival.kaplan_meier(time, event.astype(int))
    t, s, limits = kaplan_meier_estimator(event, time, conf_type="log-log")
    at = np.isin(t, curve.time)
    keep = curve.survival > 0
    np.testing.assert_allclose(curve.survival, s[at], atol=1e-12)
    np.testing.assert_allclose(curve.low[keep], limits[0][at][keep], atol=1e-10)
    np.testing.assert_allclose(curve.high[keep], limits[1][at][keep], atol=1e-10)


@given(times)
@settings(max_examples=200, deadline=None)
def test_aalen_johansen_equals_scikit_survival_with_ties(rows: list[tuple[int, int]]) -> None:
    time, event = np.array(rows).T
    t, incidence = survival.aalen_johansen(time, event)
    assert incidence.shape == (2, len(t))
    if set(event) >= {1, 2}:  # the reference refuses data in which a cause is absent
        reference_t, reference = cumulative_incidence_competing_risks(event, time.astype(float))
        at = np.isin(reference_t, t)
        np.testing.assert_allclose(incidence, reference[1:, at], atol=1e-12)
    if len(t):
        total = survival.kaplan_meier(time, event).survival
        np.testing.assert_allclose(incidence.sum(0), 1 - total, atol=1e-12)


def test_one_cause_absent_has_no_incidence() -> None:
    _, incidence = survival.aalen_johansen(np.array([1, 2, 3]), np.array([1, 1, 0]))
    np.testing.assert_allclose(incidence, [[1 / 3, 2 / 3], [0, 0]])


def test_all_censored_identifies_nothing() -> None:
    curve = survival.kaplan_meier(np.full(9, 100), np.zeros(9, int))
    assert survival.quantile(curve) == (None, None, None)
    assert survival.log_rank(np.full(9, 100), np.zeros(9, int), np.arange(9) < 4) == (0.0, 1.0)


def test_survival_that_reaches_zero_has_limits() -> None:
    curve = survival.kaplan_meier(np.arange(1, 6), np.ones(5, int))
    assert curve.survival[-1] == 0
    assert curve.low[-1] == 0
    assert curve.high[-1] == pytest.approx(1 - 0.025 ** (1 / 5))
    assert survival.quantile(curve)[2] is None  # five runs do not bound a median from above
    six = survival.kaplan_meier(np.arange(1, 7), np.ones(6, int))
    assert survival.quantile(six)[2] == 6


def test_restricted_mean_by_hand() -> None:
    mean, error = survival.restricted_mean(np.array([1, 3, 4]), np.array([1, 1, 0]), 4)
    assert mean == pytest.approx(1 + 2 * 2 / 3 + 1 * 1 / 3)
    # Greenwood: areas to the right are 5/3 and 1/3, terms d / (n (n - d)) are 1/6 and 1/2.
    assert error == pytest.approx(np.sqrt((5 / 3) ** 2 / 6 + (1 / 3) ** 2 / 2))


def test_log_rank_equals_scipy() -> None:
    rng = np.random.default_rng(3)
    time, event, group = rng.integers(1, 30, 50), (rng.random(50) < 0.7).astype(int), rng.random(50) < 0.5
    data = [stats.CensoredData.right_censored(time[g], event[g] == 0) for g in (group, ~group)]
    chi, p = survival.log_rank(time, event, group)
    reference = stats.logrank(*data)
    assert chi == pytest.approx(reference.statistic**2)
    assert p == pytest.approx(reference.pvalue)


@given(st.integers(1, 300), st.data())
@settings(deadline=None)
def test_clopper_pearson_equals_scipy(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    one_sided = stats.binomtest(successes, trials, alternative="less").proportion_ci(0.95, "exact")
    assert binomial.upper(successes, trials) == pytest.approx(one_sided.high)
    both = stats.binomtest(successes, trials).proportion_ci(0.95, "exact")
    assert binomial.interval(successes, trials) == pytest.approx((both.low, both.high))


def test_most_misbehaviours_that_pass() -> None:
    """The table of theory B.3: the largest x whose upper limit is at most .05."""
    for m, x in {59: 0, 128: 2, 256: 6, 512: 17, 1024: 39, 2048: 85}.items():
        assert binomial.upper(x, m) <= 0.05 < binomial.upper(x + 1, m)


@pytest.mark.parametrize(("n", "ranks"), [(5, None), (6, (0, 5)), (10, (1, 8)), (20, (5, 14)), (50, (17, 32))])
def test_ranks_around_the_median(n: int, ranks: tuple[int, int] | None) -> None:
    """The order statistics of theory B.1 (there counted from 1)."""
    assert spectrum.median_ranks(n) == ranks


def test_censoring_on_either_side_widens_the_interval() -> None:
    values = np.linspace(-1, 1, 21)
    plain = spectrum.censored_median(values, values)
    assert plain == pytest.approx((0.0, -0.5, 0.5))
    upper, lower = values.copy(), values.copy()
    upper[-3:] = np.inf  # three runs were never corrected
    lower[:3] = -np.inf  # and in three others there was no catastrophe
    assert spectrum.censored_median(lower, upper) == pytest.approx(plain)
    upper[-8:] = np.inf
    median, low, high = spectrum.censored_median(lower, upper)
    assert (median, low, high) == (pytest.approx(0.0), pytest.approx(-0.5), None)
    assert spectrum.censored_median(np.full(21, -np.inf), np.full(21, np.inf)) == (None, None, None)


@pytest.mark.slow
def test_position_interval_covers_the_truth() -> None:
    """The median's interval contains the true median in at least 95% of simulated censored samples."""
    rng = np.random.default_rng(0)
    covered, draws = 0, 2000
    for _ in range(draws):
        x = rng.normal(0.3, 1, 20)
        late, early = x > 1.0, x < -0.8
        _, low, high = spectrum.censored_median(
            np.where(early, -np.inf, np.minimum(x, 1.0)), np.where(late, np.inf, np.maximum(x, -0.8))
        )
        covered += (low is None or low <= 0.3) and (high is None or high >= 0.3)
    assert covered / draws >= 0.945


@pytest.mark.parametrize("censored", [False, True])
def test_a_half_that_rounds_is_a_half(censored: bool) -> None:
    """The estimate is the n/2-th of an even number of times, whether or not the later ones are known."""
    for n in range(2, 129, 2):
        times = np.arange(1, n + 1)
        event = np.where(times <= n // 2, 1, int(not censored))
        assert survival.quantile(survival.kaplan_meier(times, event))[0] == n // 2, n
