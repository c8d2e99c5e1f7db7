"""Two configurations seed by seed: by hand, against scipy, and by what censoring leaves open."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from complaints import complains
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import robustsim as rs
from robustsim.analysis import compare, paired

BUDGET = 100


def runs(a: Sequence[int | None], b: Sequence[int | None]) -> pl.DataFrame:
    """A sweep over `x` (1 and 2) with these times; a null one is censored at the budget."""
    times = pl.Series("steps_to_correct", [*a, *b], pl.Int64)
    return pl.DataFrame(
        {
            "x": [1] * len(a) + [2] * len(b),
            "seed": [*range(len(a)), *range(len(b))],
            "steps_to_correct": times,
            "steps_to_correct_lower": times.fill_null(BUDGET + 1) - 1,
        }
    )


def test_by_hand() -> None:
    a, b = [10, 20, 30, 40, 50, 60, None, 70], [20, 40, 60, 80, None, 60, None, 35]
    found = compare.compare(runs(a, b), "x", 1, 2)
    assert (found["name"], found["a"], found["b"], found["pairs"]) == ("x", 1, 2, 8)
    assert found["quantity"] == "steps_to_correct"
    assert found["sign"] == {
        **{"higher": 5, "lower": 1, "ties": 1, "unknown": 1},
        "p": pytest.approx(stats.binomtest(1, 6).pvalue),
        "p_high": pytest.approx(stats.binomtest(2, 7).pvalue),
    }
    # Kaplan-Meier medians: 45 of [10 ... 70, > 100], and 60 of [20, 35, 40, 60, 60, 80, > 100, > 100]
    assert found["median_ratio"]["estimate"] == pytest.approx(60 / 45)
    time, event = [[100 if x is None else x for x in t] for t in (a, b)], [[x is not None for x in t] for t in (a, b)]
    data = [stats.CensoredData.right_censored(t, ~np.array(e)) for t, e in zip(time, event, strict=True)]
    assert found["log_rank"]["p"] == pytest.approx(stats.logrank(*data).pvalue)


def test_the_other_way_round_it_is_the_mirror_image() -> None:
    rng = np.random.default_rng(0)
    a, b = ([int(x) if x < BUDGET else None for x in rng.lognormal(m, 0.6, 30)] for m in (3.5, 4))
    there, back = (compare.compare(runs(a, b), "x", *ends) for ends in ((1, 2), (2, 1)))
    assert there["sign"]["higher"] == back["sign"]["lower"]
    for test in ("wilcoxon", "log_rank"):
        assert there[test] == pytest.approx(back[test])
    assert there["median_ratio"]["estimate"] == pytest.approx(1 / back["median_ratio"]["estimate"])
    assert there["median_ratio"]["low"] == pytest.approx(1 / back["median_ratio"]["high"])


def test_only_seeds_with_both_runs_are_pairs() -> None:
    table = runs([10, 20, 30, 40, 50, 60, 70], [20, 30, 40, 50, 60, 70, 80]).sample(fraction=1, shuffle=True, seed=1)
    found = compare.compare(table.filter((pl.col("x") == 1) | (pl.col("seed") > 1)), "x", 1, 2)
    assert found["pairs"] == found["sign"]["higher"] == 5
    with complains("compare x", 1, 3):
        compare.compare(table, "x", 1, 3)


def test_a_time_that_is_not_later_than_a_censoring_is_before_it() -> None:
    found = compare.compare(runs([BUDGET, None, None], [None, BUDGET, None]), "x", 1, 2)["sign"]
    assert (found["higher"], found["lower"], found["ties"], found["unknown"]) == (1, 1, 0, 1)


def test_times_of_zero_and_arms_that_were_not_run() -> None:
    found = compare.compare(runs([0] * 6 + [5], [0] * 3 + [9] * 4), "x", 1, 2)
    assert (found["sign"]["higher"], found["sign"]["ties"]) == (4, 3)
    assert found["wilcoxon"]["p_low"] == found["wilcoxon"]["p_high"] == 0.125
    nothing = runs([None] * 6, [None] * 6).with_columns(steps_to_correct_lower=0)
    found = compare.compare(nothing, "x", 1, 2)
    assert found["sign"]["unknown"] == 6
    assert found["sign"]["p_high"] == found["wilcoxon"]["p_high"] == 1
    assert set(found["median_ratio"].values()) == {None}


@pytest.mark.parametrize("n", [1, 2, 5, 12, 40])
def test_signed_ranks_equal_scipy(n: int) -> None:
    x = np.random.default_rng(n).normal(0.3, 1, n)
    found, p = compare.signed_ranks(x)
    reference = stats.wilcoxon(x, method="exact")
    assert p == pytest.approx(reference.pvalue)
    assert n * (n + 1) / 2 - abs(found) == pytest.approx(2 * reference.statistic)


@given(st.lists(st.integers(-3, 3), max_size=9))
@settings(deadline=None)
def test_tied_signed_ranks_count_all_signs(x: list[int]) -> None:
    values = np.array([v for v in x if v], float)
    ranks = stats.rankdata(np.abs(values))
    observed = abs(float(np.sign(values) @ ranks)) if len(values) else 0.0
    every = [abs(np.dot(signs, ranks)) for signs in itertools.product((-1, 1), repeat=len(values))]
    assert compare.signed_ranks(np.array(x, float))[1] == pytest.approx(np.mean(np.array(every) >= observed - 1e-9))


def test_many_signed_ranks_are_nearly_normal() -> None:
    x = np.random.default_rng(1).normal(0.1, 1, 400)
    assert compare.signed_ranks(x)[1] == pytest.approx(stats.wilcoxon(x, method="approx").pvalue)


@pytest.mark.parametrize("seed", range(20))
def test_bounds_of_p_enclose_what_the_unknown_pairs_may_turn_out_to_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = rng.lognormal([[3.2], [3.9]], 0.8, (2, 12))
    limits = np.where(rng.random((2, 12)) < 0.3, rng.uniform(10, 60, (2, 12)), np.inf)
    clocks = [paired.Clock(np.minimum(t, c), t <= c) for t, c in zip(times, limits, strict=True)]
    found = compare.differences(*clocks)
    sign, bounds = compare.sign(found), compare.wilcoxon(found)
    for _ in range(50):
        late = np.where(times > limits, limits + rng.lognormal(2, 2, (2, 12)), times)
        x = np.log10(late[1] / late[0])
        assert (found.lower <= x + 1e-9).all()
        assert (x - 1e-9 <= found.upper).all()
        assert bounds["p_low"] - 1e-9 <= compare.signed_ranks(x)[1] <= bounds["p_high"] + 1e-9
        assert stats.binomtest(int((x > 0).sum()), 12).pvalue <= sign["p_high"] + 1e-9


def test_results_compare_two_values_of_a_setting(tmp_path: Path) -> None:
    over = {"overseer.coverage": [0.1, 0.5, 1.0], "overseer.penalty": [1.0, 2.0]}
    settings = {"agent.gradient": "sampled", "deployment.budget": 2000}
    results = rs.Sweep(scenario="bandit", over=over, settings=settings, seeds=6).run(
        tmp_path, execution=rs.Execution(executor="inline")
    )
    one = results.where({"overseer.penalty": 1})
    found = one.compare("overseer.coverage", "0.5", 0.1)
    assert (found["a"], found["b"], found["pairs"]) == (0.5, 0.1, 6)
    assert found["sign"]["higher"] + found["sign"]["unknown"] == 6
    assert one.compare("overseer.coverage", 0.1, 1.0, "steps_to_catastrophe")["quantity"] == "steps_to_catastrophe"
    with complains("compare overseer.coverage", "overseer.penalty", "where"):
        results.compare("overseer.coverage", 0.1, 0.5)
    with complains("compare overseer.penalty"):
        one.compare("overseer.penalty", 1, 2)
    with complains("compare overseer.coverage", 0.7, 0.1, 0.5):
        one.compare("overseer.coverage", 0.1, 0.7)
    with complains("compare overseer.coverage", 0.1):
        one.compare("overseer.coverage", 0.1, 0.1)
    with complains("compare quantity", "competence"):
        one.compare("overseer.coverage", 0.1, 0.5, "competence")
