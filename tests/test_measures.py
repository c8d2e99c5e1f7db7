"""What a configuration's runs say of harm, inertia and the overseer's part."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustsim.analysis import measures

TEN = [float(x) for x in range(11, 21)]


def inertias(redirected: list[float], scratch: tuple[float | None, ...] = (10.0, 10.0, 10.0)) -> pl.DataFrame:
    """Runs that took so long beside reference agents of which (median, least, most) took `scratch`."""
    ends = dict(zip(("steps_to_scratch", "steps_to_scratch_low", "steps_to_scratch_high"), scratch, strict=True))
    ratios = [x / (scratch[0] or 1) for x in redirected]
    return pl.DataFrame({"inertia": ratios, "inertia_lower": ratios}).with_columns(
        **{name: pl.lit(x, dtype=pl.Float64) for name, x in ends.items()}
    )


def test_without_spread_of_the_reference_the_interval_is_that_of_the_runs() -> None:
    found = measures.inertia(inertias(TEN))
    plain = measures.bounded(inertias(TEN), "inertia")
    assert found == {key: pytest.approx(x) for key, x in plain.items()}


@given(least=st.floats(1, 10), most=st.floats(10, 100))
def test_the_spread_of_the_reference_widens_each_end_by_the_other(least: float, most: float) -> None:
    plain, wide = measures.inertia(inertias(TEN)), measures.inertia(inertias(TEN, (10.0, least, most)))
    assert wide["median"] == pytest.approx(plain["median"])
    for end, spread in (("low", most / 10), ("high", 10 / least)):
        alone = math.log(plain[end] / plain["median"])
        assert abs(math.log(wide[end] / wide["median"])) == pytest.approx(math.hypot(alone, math.log(spread)))


@pytest.mark.parametrize(
    ("scratch", "ends"),
    [((10.0, 5.0, None), {"low": True, "high": False}), ((None, 5.0, None), {"low": True, "high": True})],
)
def test_an_end_that_the_reference_leaves_open_is_open(
    scratch: tuple[float | None, ...], ends: dict[str, bool]
) -> None:
    found = measures.inertia(inertias(TEN, scratch))
    assert {end: found[end] is None for end in ends} == ends


@pytest.mark.parametrize(
    ("fade", "correct", "median"),
    [((100, 100), (10, 10), 1.0), ((None, 1000), (10, 10), None), ((100, 100), (None, 10), None)],
)
def test_the_overseers_part(
    fade: tuple[int | None, int], correct: tuple[int | None, int], median: float | None
) -> None:
    """Twelve runs that agree; in the second and third one clock is censored, so one end is open."""
    clocks = {"steps_to_fade": fade, "steps_to_correct": correct}
    columns = {name: [value] * 12 for name, (value, _) in clocks.items()}
    columns |= {f"{name}_lower": [lower] * 12 for name, (_, lower) in clocks.items()}
    found = measures.speed_up(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Int64)))
    assert found["median"] == (None if median is None else pytest.approx(median))
    assert (found["high"] is None) == (fade[0] is None)
    assert (found["low"] is None) == (correct[0] is None)


@given(harms=st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=30), k=st.integers(0, 21))
def test_the_stakes_curve_counts_the_runs_that_reach_k(harms: list[tuple[int, bool]], k: int) -> None:
    lower, known = [h for h, _ in harms], [known for _, known in harms]
    runs = pl.DataFrame(
        {"harm_lower": lower, "harm": [h if sure else None for h, sure in harms]},
        schema={"harm_lower": pl.Int64, "harm": pl.Int64},
    )
    curve = measures.stakes(runs)
    at = curve.filter(pl.col("k") >= k).head(1)  # a step function, constant up to the next k
    least = sum(h >= k for h in lower) / len(lower)
    most = sum(h >= k or not sure for h, sure in zip(lower, known, strict=True)) / len(lower)
    assert (at["estimate"].to_list() or [0.0]) == [pytest.approx(least)]
    if len(at):
        assert at["most"].item() == pytest.approx(most)
        assert at["low"].item() <= least <= most <= at["high"].item()
