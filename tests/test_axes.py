"""The points of a sweep: grids, zips and draws, and what makes no sense."""

import json
import math
from typing import Any

import numpy as np
import pytest
from complaints import complains
from hypothesis import given
from hypothesis import strategies as st

from robustsim.sweep import axes
from robustsim.sweep.axes import Design, Range

names = st.text("abcde.", min_size=1, max_size=6)
tables = st.dictionaries(names, st.lists(st.integers(-9, 9), min_size=1, max_size=4, unique=True), max_size=4)


@given(tables)
def test_a_grid_is_the_product(over: dict[str, list[int]]) -> None:
    points = axes.points(over, {})
    assert len(points) == math.prod(len(values) for values in over.values())
    assert len({tuple(point.items()) for point in points}) == len(points)
    for point in points:
        assert list(point) == list(over)
        assert all(point[name] in over[name] for name in over)


@given(st.integers(1, 6), st.data())
def test_a_zip_has_as_many_points_as_values(length: int, data: st.DataObject) -> None:
    rows = st.lists(st.integers(-9, 9), min_size=length, max_size=length, unique=True)
    over = data.draw(st.dictionaries(names, rows, min_size=1, max_size=3))
    points = axes.points(over, {}, Design("zip"))
    assert {name: [point[name] for point in points] for name in over} == over


def test_nothing_swept_is_one_point() -> None:
    for design in (Design(), Design("zip"), Design("random", 3), Design("sobol", 3)):
        assert axes.points({}, {"a": 1}, design) == [{}]


@given(st.floats(1e-6, 1e6), st.floats(1.001, 1e6), st.booleans(), st.floats(0, 1), st.floats(0, 1))
def test_a_range_rises_from_its_low_to_its_high_end(low: float, factor: float, log: bool, a: float, b: float) -> None:
    range_ = Range(low, low * factor, log)
    assert range_.at(0) == pytest.approx(low)
    assert range_.at(1) == pytest.approx(low * factor)
    a, b = sorted((a, b))
    assert range_.at(a) <= range_.at(b) * (1 + 1e-12)


def test_the_middle_of_a_range_is_the_mean_of_its_kind() -> None:
    assert Range(1, 9).at(0.5) == 5
    assert Range(1, 9, log=True).at(0.5) == pytest.approx(3)


def test_draws_from_a_list_are_kept_once() -> None:
    points = axes.points({"a": ["x", "y"], "b": [1]}, {}, Design("random", 50))
    assert sorted(point["a"] for point in points) == ["x", "y"]


def test_another_seed_draws_other_points() -> None:
    over = {"a": Range(0, 1)}
    first, second = (axes.points(over, {}, Design("random", 4, seed)) for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("samples", [4, 16, 64])
def test_sobol_points_are_balanced(samples: int) -> None:
    points = axes.points({"a": Range(0, 1), "b": Range(0, 1)}, {}, Design("sobol", samples))
    for name in ("a", "b"):  # one point in each of so many equal parts
        assert sorted(int(point[name] * samples) for point in points) == list(range(samples))


@given(
    st.dictionaries(names, st.lists(st.floats() | st.integers() | st.booleans() | st.text(), max_size=4), max_size=3)
)
def test_axes_come_back_from_json(over: dict[str, list[Any]]) -> None:
    over = {**over, "range": Range(0.5, 2.0, log=True)}
    plain = json.loads(json.dumps(axes.to_plain(over), allow_nan=False))
    again = axes.from_plain(plain)
    assert again.pop("range") == over.pop("range")
    assert again == {
        name: [str(x) if isinstance(x, float) and not math.isfinite(x) else x for x in values]
        for name, values in over.items()
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.float32(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True), ("a", "a"), (None, None), (2, 2)],
)
def test_numpy_s_numbers_become_python_s(value: Any, expected: Any) -> None:
    assert axes.plain_number(value) == expected
    assert type(axes.plain_number(value)) is type(expected)


def test_values_become_lists() -> None:
    made = axes.as_lists({"a": np.array([1.0, 2.0]), "b": (1, 2), "c": Range(0, 1), "d": range(3)})
    assert made == {"a": [1.0, 2.0], "b": [1, 2], "c": Range(0, 1), "d": [0, 1, 2]}
    assert all(type(x) is float for x in made["a"])


@pytest.mark.parametrize("values", ["abc", 1, None, {"a": 1}, 0.5])
def test_what_is_no_list_of_values_is_named(values: Any) -> None:
    with complains("some.name", repr(values)):
        axes.as_lists({"some.name": values})
    with complains("over"):
        axes.as_lists(values if not isinstance(values, dict) else [values])


def test_a_configuration_that_is_there_twice_is_named() -> None:
    with complains("over", "a=1", "b=2"):
        axes.points({"a": [1, 3, 1], "b": [2, 2, 2]}, {}, Design("zip"))


def test_a_grid_has_every_combination_the_last_name_fastest() -> None:
    points = axes.points({"a": [1, 2], "b": ["x", "y"]}, {})
    assert points == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]


def test_a_zip_goes_side_by_side() -> None:
    assert axes.points({"a": [1, 1], "b": [3, 4]}, {}, Design("zip")) == [{"a": 1, "b": 3}, {"a": 1, "b": 4}]
    with complains("over", {"a": 1, "b": 2}):
        axes.points({"a": [1], "b": [3, 4]}, {}, Design("zip"))


@given(
    kind=st.sampled_from(["random", "sobol"]),
    samples=st.integers(1, 40),
    low=st.floats(1e-3, 1.0),
    factor=st.floats(1.5, 1e4),
    log=st.booleans(),
    seed=st.integers(0, 5),
)
def test_draws_stay_in_their_range_and_repeat(
    kind: str, samples: int, low: float, factor: float, log: bool, seed: int
) -> None:
    over = {"x": Range(low, low * factor, log), "n": Range(1, 9), "word": ["a", "b"]}
    points = axes.points(over, {}, Design(kind, samples, seed), whole={"n"})
    assert points == axes.points(over, {}, Design(kind, samples, seed), whole={"n"})
    assert len(points) == samples
    for point in points:
        assert low * (1 - 1e-9) <= point["x"] <= low * factor * (1 + 1e-9)
        assert isinstance(point["n"], int)
        assert 1 <= point["n"] <= 9
        assert point["word"] in ("a", "b")


@pytest.mark.parametrize(
    ("over", "design", "value"),
    [
        ({"a": []}, Design(), []),
        ({"a": [1, 1]}, Design(), [1, 1]),
        ({"b": [1]}, Design(), "b"),
        ({"a": Range(0, 1)}, Design(), "grid"),
        ({"a": Range(1, 0)}, Design("random", 2), "low < high"),
        ({"a": Range(0, 1, log=True)}, Design("sobol", 2), "0 < low < high"),
        ({"a": Range(0, float("nan"))}, Design("random", 2), "nan"),
    ],
)
def test_axes_that_make_no_sense_are_refused(over: dict, design: Design, value: object) -> None:
    with complains(*over, value):
        axes.points(over, {"b": 1}, design)


def test_designs_are_checked() -> None:
    with complains("design", "gird", "grid"):
        Design("gird")
    with complains("samples", 0):
        Design("sobol")
    with complains("samples", 3, "grid"):
        Design("grid", 3)
