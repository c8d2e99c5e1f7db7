"""Declared settings: every value of the declared kind and range passes, every other one is refused in one line."""

import dataclasses
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from complaints import complains
from hypothesis import assume, given
from hypothesis import strategies as st

from robustsim.arguments import whole
from robustsim.errors import UserError
from robustsim.fields import Between, check_all, choice, count, flag, number, size, typed, word


@dataclass(frozen=True)
class Sample:
    """One field of each kind."""

    rate: float = number(0.5, 0, 1, doc="a closed range")
    step: float = number(0.5, 0, 10, doc="a range without its lower end", above=True)
    free: float = number(0.0, doc="any number")
    times: int = count(3, 1, 100, doc="a whole number")
    on: bool = flag(True, doc="true or false")
    wide: int = size(8, 2, 64, doc="a shape")
    kind: Any = choice("near", ("near", "far", None), doc="one of a few")
    name: str = word("adam", doc="a name")


FIELDS = {f.name: f for f in dataclasses.fields(Sample)}


def one(name: str, value: Any) -> Any:
    """The value as the field of that name takes it."""
    return typed(f"sample.{name}", value, FIELDS[name].metadata)


@given(st.floats(0, 1))
def test_a_number_in_range_passes_in_every_spelling(x: float) -> None:
    for spelled in (x, np.float64(x), repr(x)):
        assert one("rate", spelled) == x
        assert type(one("rate", spelled)) is float


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_number_passes_exactly_in_its_range(x: float) -> None:
    for name, inside in (("rate", 0 <= x <= 1), ("step", 0 < x <= 10)):
        if inside:
            assert one(name, x) == x
        else:
            with complains(f"sample.{name}", x):
                one(name, x)


@given(st.integers(-200, 200))
def test_a_whole_number_passes_exactly_in_its_range(x: int) -> None:
    for name, low, high in (("times", 1, 100), ("wide", 2, 64)):
        for spelled in (x, float(x), str(x), np.int64(x)):
            if low <= x <= high:
                assert one(name, spelled) == x
                assert type(one(name, spelled)) is int
            else:
                with complains(f"sample.{name}", spelled, f"[{low}, {high}]"):
                    one(name, spelled)


@given(st.floats(1, 64).filter(lambda x: x != int(x)))
def test_a_fraction_is_no_whole_number(x: float) -> None:
    for name in ("times", "wide"):
        with complains(f"sample.{name}", x):
            one(name, x)


@pytest.mark.parametrize("name", ["rate", "step", "times", "wide"])
@pytest.mark.parametrize("value", ["", "many", None, [], {}, True, False, math.nan, "nan", object])
def test_what_is_no_number_is_refused(name: str, value: Any) -> None:
    with complains(f"sample.{name}"):
        one(name, value)


@pytest.mark.parametrize("value", [True, 1, 1.0, "true", "TRUE", "yes", "1"])
def test_what_means_true(value: Any) -> None:
    assert one("on", value) is True


@pytest.mark.parametrize("value", [False, 0, 0.0, "false", "False", "no", "0"])
def test_what_means_false(value: Any) -> None:
    assert one("on", value) is False


@pytest.mark.parametrize("value", [2, -1, 0.5, "maybe", None, []])
def test_what_is_neither(value: Any) -> None:
    with complains("sample.on", value, "true", "false"):
        one("on", value)


def test_an_option_keeps_its_own_type_and_ignores_case() -> None:
    assert one("kind", "FAR") == "far"
    assert one("kind", "none") is None
    assert one("kind", None) is None


@given(st.text(max_size=8))
def test_other_options_are_refused_with_the_list(value: str) -> None:
    assume(value.lower() not in ("near", "far", "none"))
    with pytest.raises(UserError) as caught:
        one("kind", value)
    message = str(caught.value)
    assert message.startswith("sample.kind: ")
    assert repr(value) in message
    assert all(option in message for option in ("near", "far", "None"))


def test_the_nearest_option_is_offered() -> None:
    with complains("sample.kind", "'neer'", "'near'"):
        one("kind", "neer")


@pytest.mark.parametrize("value", ["", None, 3, ["adam"]])
def test_a_name_is_text(value: Any) -> None:
    assert one("name", "sgd") == "sgd"
    with complains("sample.name", repr(value)):
        one("name", value)


@given(st.integers(-5, 200), st.integers(0, 50), st.integers(50, 100))
def test_a_whole_argument_passes_exactly_in_its_range(x: int, low: int, high: int) -> None:
    for spelled in (x, np.int32(x)):
        if low <= x <= high:
            assert whole("n", spelled, low, high) == x
            assert type(whole("n", spelled, low, high)) is int
        else:
            with complains("n", x, low, high):
                whole("n", spelled, low, high)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, Fraction(1), np.float64(1), np.zeros(1)])
def test_a_whole_argument_is_not_converted(value: Any) -> None:
    with complains("n"):
        whole("n", value)


@given(st.floats(0, 1), st.integers(1, 100), st.booleans())
def test_all_fields_are_checked_once_and_checking_again_changes_nothing(rate: float, times: int, on: bool) -> None:
    settings = check_all(Sample(rate=str(rate), times=float(times), on=int(on)), "sample.{}".format)  # pyright: ignore[reportArgumentType]
    assert settings == Sample(rate=rate, times=times, on=on)
    assert check_all(settings, "sample.{}".format) == settings


def test_one_bad_field_is_named_with_its_section() -> None:
    assert check_all(Sample(), "sample.{}".format) == Sample()
    with complains("other.times", 0, "[1, 100]"):
        check_all(Sample(times=0), "other.{}".format)


def test_a_range_has_two_ends() -> None:
    assert Between(0, 1) == (0, 1)
    assert (Between(0, 1).low, Between(0, 1).high) == (0, 1)
