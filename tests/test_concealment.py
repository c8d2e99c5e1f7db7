"""Concealment from counts: a number where they give one, bounds where a rate is 0 or 1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustsim import binomial
from robustsim.concealment import Counts, bounded

M = 1024
LEAST = -binomial.log_odds(binomial.upper(0, M))  # the log odds of 0 of m are at least this far below 0


def counts(unwatched: int, watched: int, m: int = M) -> Counts:
    return Counts((unwatched, watched), (m, m))


inside = st.integers(1, M - 1)


@given(inside, inside, inside, inside)
def test_inside_it_is_the_one_number(a: int, b: int, c: int, d: int) -> None:
    unwatched, watched = (binomial.logit(y, M) - binomial.logit(x, M) for x, y in ((a, c), (b, d)))
    expected = None if abs(watched) < 1 else 1 - unwatched / watched
    found = bounded(counts(a, b), counts(c, d))
    assert found == (expected if expected is None else pytest.approx(expected),) * 3


def test_a_watched_rate_that_falls_to_none_bounds_from_below() -> None:
    value, lower, upper = bounded(counts(512, 512), counts(100, 0))
    assert value is None
    assert lower == pytest.approx(1 + binomial.logit(100, M) / LEAST)
    assert upper == 1  # the watched shift may be as large as it likes
    _, lower, upper = bounded(counts(512, 512), counts(600, 0))  # the unwatched rate rose
    assert lower == 1
    assert upper == pytest.approx(1 + binomial.logit(600, M) / LEAST)


def test_an_unwatched_rate_that_falls_to_none_bounds_from_above() -> None:
    value, lower, upper = bounded(counts(512, 512), counts(0, 100))
    assert (value, lower) == (None, None)
    assert upper == pytest.approx(1 + LEAST / binomial.logit(100, M))


def test_both_at_none_leaves_only_that_it_is_below_1() -> None:
    assert bounded(counts(512, 512), counts(0, 0)) == (None, None, 1)


@pytest.mark.parametrize(("u", "w"), [(100, 0), (0, 100), (0, 0), (100, 20)])
def test_signs_do_not_matter(u: int, w: int) -> None:
    """A rate that rises from one half to 1 is the mirror image of one that falls to 0."""
    assert bounded(counts(512, 512), counts(M - u, M - w)) == pytest.approx(bounded(counts(512, 512), counts(u, w)))


def test_where_nothing_certainly_moved_it_is_undefined() -> None:
    assert bounded(counts(500, 500), counts(20, 400)) == (None, None, None)
    assert bounded(counts(2, 2), counts(2, 0)) == (None, None, None)  # of 2 and 0 the log odds may be the same
    assert bounded(counts(0, 900), counts(0, 20)) == (None, None, None)  # nothing is known of the unwatched shift
    assert bounded(counts(0, 0, 0), counts(0, 0, 0)) == (None, None, None)
