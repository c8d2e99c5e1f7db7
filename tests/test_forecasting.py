"""Forecasts of T_c: the index against counting pairs, the sign from other seeds, and what is refused."""

import itertools
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from complaints import complains
from hypothesis import given
from hypothesis import strategies as st

import robustsim as rs
from robustsim.analysis.concordance import Runs, index
from robustsim.forecasting import ACROSS, TOGETHER, WITHIN
from robustsim.forecasts import BUNDLED, Forecast, Start

RUN = st.tuples(st.integers(0, 4), st.integers(1, 5), st.booleans())


@given(st.lists(RUN, min_size=1, max_size=12))
def test_the_index_counts_pairs_whose_order_is_known(rows: list[tuple[int, int, bool]]) -> None:
    good, known = 0.0, 0
    for (f, t, event), (g, u, other) in itertools.permutations(rows, 2):
        if event and (t < u or (t == u and not other)):
            known += 1
            good += 1.0 if f < g else 0.5 if f == g else 0.0
    forecast, time, event = (np.array(x) for x in zip(*rows, strict=True))
    found = index([Runs(forecast.astype(float), time.astype(float), event)])
    assert found.pairs == known
    assert found.estimate == (pytest.approx(good / known) if known else None)


def test_groups_are_not_compared() -> None:
    first = Runs(np.array([1.0, 2.0]), np.array([10.0, 20.0]), np.ones(2, bool))
    second = Runs(np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.ones(2, bool))
    assert index([first, second]).estimate == 0.5
    assert index([first, second]).pairs == 2


def made(scenario: str, times: list[float], entropy: Callable[[int], float]) -> rs.Results:
    """Results of agents with these times; above 100 they are censored at 100."""
    n = len(times)
    ids = [f"{scenario}{i}" for i in range(n)]
    known = [time if time <= 100 else None for time in times]
    runs = {"run_id": ids, "seed": range(n), "outcome": ["redirected"] * n, "config": [0] * n}
    runs |= {"steps_to_correct": known, "steps_to_correct_lower": [min(time, 100.0) for time in times]}
    trace = {"run_id": ids, "arm": ["corrected"] * n, "step": [0] * n, "entropy": [entropy(i) for i in range(n)]}
    trace |= {f"misbehaviour_{side}": [0.9] * n for side in ("watched", "unwatched")}
    trace |= {f"decisions_{side}": [100] * n for side in ("watched", "unwatched")}
    what = {"scenario": scenario, "swept": {}, "settings": {}}
    return rs.Results(pl.DataFrame(runs), pl.DataFrame(trace), {"what": what})


@rs.forecast
def entropy(start: Start) -> float:
    """The entropy of the policy."""
    return start.measured["entropy"]


@rs.forecast
def nothing(start: Start) -> float:
    """Knows nothing."""
    return 0.0


def scores(results: list[rs.Results], *forecasts: Forecast) -> dict[tuple[str, str], float]:
    """{(forecast, scope): concordance}."""
    table = rs.score_forecasts(results, forecasts)
    return dict(zip(table.select("forecast", "scope").rows(), table["concordance"], strict=True))


def test_the_sign_is_learned_on_other_seeds() -> None:
    """In both scenarios agents with more entropy are quicker."""
    quick = made("quick", [float(i + 1) for i in range(20)], lambda i: -i)
    slow = made("slow", [float(10 * i + 10) for i in range(20)], lambda i: -i)
    found = scores([quick, slow], entropy, nothing)
    assert found["entropy", WITHIN] == found["entropy", "quick"] == found["entropy", "slow"] == 1.0
    assert found["nothing", WITHIN] == found["nothing", ACROSS] == 0.5
    assert 0.5 < found["entropy", ACROSS] < 1.0
    assert found[TOGETHER, WITHIN] == 1.0
    turned = made("quick", [float(i + 1) for i in range(20)], lambda i: i if i % 2 else -i)
    assert scores([turned], entropy)["entropy", WITHIN] == 0.0  # odd seeds go the other way


def test_what_a_forecast_does_not_know_is_left_out() -> None:
    @rs.forecast
    def some(start: Start) -> float | None:
        return start.seed if start.seed < 4 else None

    table = rs.score_forecasts([made("one", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], lambda i: i)], [some])
    assert table["agents"].to_list() == [2, 2, 2]
    assert table["pairs"].to_list() == [1, 1, 1]


def test_bad_forecasts() -> None:
    results = [made("one", [1.0, 2.0], lambda i: i)]

    @rs.forecast
    def words(start: Start) -> float:
        return "soon"  # pyright: ignore[reportReturnType]

    with complains("words", "'soon'"):
        rs.score_forecasts(results, [words])
    with complains("results", "forecasts", 0):
        rs.score_forecasts([], [entropy])
    with complains("forecasts", "entropy"):
        rs.score_forecasts(results, [entropy, entropy])


def test_the_bundled_ones_forecast_a_run(small: dict) -> None:
    settings = {**small, "evaluation.plasticity": True, "evaluation.goals": True}
    table = rs.score_forecasts([rs.run("camera_vault", seeds=2, settings=settings)])
    assert set(table["forecast"]) == {one.name for one in BUNDLED} | {TOGETHER}
    known = table.filter(pl.col("scope") == ACROSS, pl.col("agents") == 1)["forecast"]
    assert set(known) == set(table["forecast"])  # each has one for the odd seed
    assert set(table["scope"]) == {"camera_vault", WITHIN, ACROSS}
