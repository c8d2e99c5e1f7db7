"""The estimators against packages that everybody trusts, and by hand where those give up."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator

from robustsim import binomial
from robustsim.analysis import paired, spectrum, survival
from robustsim.sim.outcome import position
from robustsim.truth import validate_statistics

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
def test_a_median_of_bounds_covers_the_truth() -> None:
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


@pytest.mark.slow
def test_every_interval_covers_what_it_claims() -> None:
    assert [check for check in validate_statistics.checks(400) if not check.passed] == []


@pytest.mark.parametrize("censored", [False, True])
def test_a_half_that_rounds_is_a_half(censored: bool) -> None:
    """The estimate is the middle of an even number of times, or the n/2-th where the later ones are not known."""
    for n in range(2, 201, 2):
        times = np.arange(1, n + 1)
        event = np.where(times <= n // 2, 1, int(not censored))
        expected = n // 2 + (0 if censored else 0.5)
        assert survival.quantile(survival.kaplan_meier(times, event))[0] == expected, n


def test_without_censoring_the_median_is_the_sample_median() -> None:
    rng = np.random.default_rng(0)
    for n in range(2, 201):
        for times in (rng.lognormal(3, 1, n), rng.integers(1, 1 + n // 2, n).astype(float)):
            found = survival.quantile(survival.kaplan_meier(times, np.ones(n, int)))[0]
            assert found == np.median(times), n


def test_any_quantile_of_a_flat_stretch_is_its_middle() -> None:
    curve = survival.kaplan_meier(np.arange(1.0, 11), np.ones(10, int))
    for p, expected in ((0.1, 1.5), (0.15, 2), (0.3, 3.5), (0.7, 7.5), (0.9, 9.5), (1, 10)):
        assert survival.quantile(curve, p)[0] == expected
    open_ = survival.kaplan_meier(np.array([1.0, 2, 3, 4]), np.array([1, 1, 0, 0]))
    assert survival.quantile(open_)[0] == 2
    assert survival.quantile(open_, 0.6)[0] is None


def test_resampled_medians_are_those_of_the_estimator() -> None:
    """Ties among events, and of events with censorings, included."""
    rng = np.random.default_rng(1)
    for n in (1, 2, 7, 20):
        clock = paired.Clock(rng.integers(0, 8, n).astype(float), rng.random(n) < 0.7)
        weights = rng.multinomial(n, np.full(n, 1 / n), 200)
        for row, found in zip(weights, paired.resampled(clock, weights), strict=True):
            again = paired.Clock(np.repeat(clock.time, row), np.repeat(clock.event, row))
            expected = paired.median(again)
            assert found == (np.inf if expected is None else expected)


def test_a_ratio_of_medians_opens_where_a_median_is_open() -> None:
    rng = np.random.default_rng(2)
    times = rng.lognormal(3, 0.5, (2, 32))
    plain = [paired.Clock(t, np.ones(32, bool)) for t in times]
    estimate, low, high = paired.median_ratio(*plain)
    assert estimate == pytest.approx(np.log10(np.median(times[0]) / np.median(times[1])))
    assert estimate is not None
    assert low is not None
    assert high is not None
    assert low < estimate < high
    assert paired.median_ratio(*plain) == (estimate, low, high)  # no chance
    back = paired.median_ratio(plain[1], plain[0])
    assert back == pytest.approx((-estimate, -high, -low))
    limit = np.quantile(times[0], 0.55)
    late = paired.Clock(np.minimum(times[0], limit), times[0] <= limit)
    assert paired.median_ratio(late, plain[1]) == (pytest.approx(estimate), pytest.approx(low, abs=0.05), None)
    assert paired.median_ratio(plain[1], late)[1] is None
    never = paired.Clock(times[0], np.zeros(32, bool))
    assert paired.median_ratio(never, plain[1]) == (None, None, None)
    assert paired.median_ratio(never, never) == (None, None, None)


@pytest.mark.parametrize("n", [1, 3, 32])
def test_runs_that_agree_have_no_spread(n: int) -> None:
    same = [paired.Clock(np.full(n, x), np.ones(n, bool)) for x in (30.0, 300.0)]
    assert paired.median_ratio(*same) == pytest.approx((-1, -1, -1))


def test_fewer_than_six_runs_have_no_interval() -> None:
    few, six = ([paired.Clock(x * np.arange(1, n + 1.0), np.ones(n, bool)) for x in (1, 2)] for n in (5, 6))
    few[0].time[0] = six[0].time[0] = 0.5
    assert paired.median_ratio(*few)[1:] == (None, None)
    assert None not in paired.median_ratio(*six)
    nobody = paired.Clock(np.zeros(0), np.zeros(0, bool))
    assert paired.median_ratio(nobody, nobody) == (None, None, None)


def table(correct: Sequence[int | None], catastrophe: Sequence[int | None], budget: int = 1000) -> pl.DataFrame:
    """Runs with these clocks."""
    rows = [
        (tc, budget if tc is None else tc - 1, tk, budget if tk is None else tk - 1, *position(tc, tk, budget))
        for tc, tk in zip(correct, catastrophe, strict=True)
    ]
    names = [f"steps_to_{x}{end}" for x in ("correct", "catastrophe") for end in ("", "_lower")]
    names += ["position", "position_lower", "position_upper"]
    return pl.DataFrame(rows, schema=dict(zip(names, [pl.Int64] * 4 + [pl.Float64] * 3, strict=True)), orient="row")


def test_position_is_the_ratio_of_the_reported_medians() -> None:
    runs = table([10, 20, 30, 40, 50, 60, None, None], [100, 90, 80, 70, 60, 50, 40, None])
    found = spectrum.position(runs)
    medians = [spectrum.clock(runs, f"steps_to_{x}")["median"] for x in ("correct", "catastrophe")]
    assert found["method"] == "km-difference"
    assert found["median"] == pytest.approx(np.log10(medians[0] / medians[1]))
    assert (found["negative"], found["positive"], found["unknown"]) == (5, 2, 1)


def test_a_position_whose_medians_are_open_has_bounds() -> None:
    found = spectrum.position(table([None] * 8, [10] * 8))
    assert found == {
        **{"median": None, "low": 2, "high": None},
        **{"negative": 0, "positive": 8, "unknown": 0, "method": "bounds"},
    }
    found = spectrum.position(table([10] * 8, [None] * 8))
    assert (found["median"], found["low"], found["high"], found["method"]) == (None, None, -2, "bounds")
    found = spectrum.position(table([None] * 8, [None] * 8))
    assert (found["median"], found["low"], found["high"]) == (None, None, None)


def test_nothing_to_correct_leaves_a_position_open_below() -> None:
    found = spectrum.position(table([0] * 20, [100] * 20))
    assert (found["median"], found["low"], found["high"], found["method"]) == (None, None, -2, "bounds")
    some = spectrum.position(table([0] * 2 + [10] * 18, [100] * 20))
    assert some["median"] == some["high"] == -1
    assert some["method"] == "km-difference"


def test_censored_races_widen_the_interval() -> None:
    first = pl.DataFrame({"first_event": ["catastrophe"] * 4 + ["removed"] * 10 + ["censored"] * 6})
    found = spectrum.catastrophe_first(first)
    assert (found["estimate"], found["at_most"], found["count"], found["runs"], found["censored"]) == (
        0.2,
        0.5,
        4,
        20,
        6,
    )
    assert found["low"] == binomial.interval(4, 20)[0]
    assert found["high"] == binomial.interval(10, 20)[1]
    decided = spectrum.catastrophe_first(first.head(14))
    assert (decided["low"], decided["high"]) == binomial.interval(4, 14)
    assert decided["at_most"] == decided["estimate"]
    assert spectrum.catastrophe_first(first.head(0))["at_most"] is None


def test_a_bounded_median_counts_what_is_open() -> None:
    runs = pl.DataFrame({"x": [0.1 * i for i in range(19)] + [None] * 2})
    assert spectrum.bounded_middle(runs, "x") == spectrum.middle(runs, "x")
    lower = pl.Series("x_lower", [0.1 * i for i in range(20)] + [None])
    runs = runs.with_columns(lower, pl.col("x").alias("x_upper"))
    found = spectrum.bounded_middle(runs, "x")
    assert found["missing"] == 1
    assert found["low"] == pytest.approx(0.5)
    assert found["high"] == pytest.approx(1.4)
    assert found["median"] == pytest.approx(0.95)
