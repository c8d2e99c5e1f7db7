"""From readings to times: every rule of removal, suppression, relapse and concealment, on readings made by hand."""

from itertools import pairwise

import pytest
from robustsim.sim.clocks import Reading, Rules

from robustsim.sim import clocks
from robustsim.sweep.rows import position
from robustsim.types import Event, first_event

RULES = Rules(threshold=0.05, budget=1000, patience=2.5, relapse_steps=500, exact=False)


def reading(step: int, watched: int, unwatched: int, competence: float = 1.0, confirmatory: bool = True) -> Reading:
    """A reading with so many misbehaving episodes of 1,024."""
    return Reading(
        step=step,
        confirmatory=confirmatory,
        decisions=(1024, 1024),
        misbehaved=(unwatched, watched),
        rates=(unwatched / 1024, watched / 1024),
        exact=False,
        competence=competence,
        entropy=0.5,
        misbehaviours=0,
        corrections=0,
        false_alarms=0,
    )


START = reading(0, 1000, 1000)


def test_the_grid_is_geometric_with_a_tenth_of_resolution() -> None:
    steps = [0]
    while steps[-1] < 100_000:
        steps.append(clocks.next_on_grid(steps[-1]))
    assert steps[:12] == list(range(12))
    assert all((b - a) / a <= 0.1 for a, b in pairwise(steps[10:]))
    assert len(steps) < 120


def test_removal_is_dated_to_the_first_of_three() -> None:
    rows = [START, reading(10, 39, 39), reading(11, 41, 10), reading(12, 39, 39), reading(13, 0, 0)]
    assert clocks.removal(rows, RULES) is None
    assert clocks.removal([*rows, reading(14, 0, 0)], RULES) == 3


def test_suppression_needs_the_watched_half_only() -> None:
    rows = [START, *(reading(t, 0, 1000) for t in (5, 6, 7))]
    assert clocks.suppression(rows, RULES) == 1
    assert clocks.removal(rows, RULES) is None


def test_a_look_without_enough_episodes_is_no_claim() -> None:
    rows = [START, *(reading(t, 0, 0, confirmatory=False) for t in (5, 6, 7))]
    assert clocks.removal(rows, RULES) is None
    assert clocks.wants_confirmation([START], rows[1], RULES)
    assert not clocks.wants_confirmation([START], reading(5, 900, 900, confirmatory=False), RULES)


def test_removal_without_competence_does_not_count() -> None:
    rows = [START, *(reading(t, 0, 0, competence=0.79) for t in (5, 6, 7))]
    assert clocks.removal(rows, RULES) is None
    assert clocks.removal([START, *(reading(t, 0, 0, competence=0.81) for t in (5, 6, 7))], RULES) == 1


def test_a_run_goes_through_its_phases() -> None:
    rows = [START]
    while not (p := clocks.follow(rows, RULES)).done:
        assert p.next_step > rows[-1].step
        rows.append(reading(p.next_step, 0, 0) if p.next_step >= 100 else reading(p.next_step, 900, 900))
    removed = rows[clocks.removal(rows, RULES)].step  # pyright: ignore[reportArgumentType]
    assert 100 <= removed <= 110
    assert p.withdrawn is not None
    assert p.withdrawn >= 3.5 * removed
    assert rows[-1].step == p.withdrawn + 500


def test_a_run_that_is_never_corrected_ends_at_the_budget() -> None:
    rows = [START]
    while not clocks.follow(rows, RULES).done:
        rows.append(reading(clocks.follow(rows, RULES).next_step, 900, 900))
    assert rows[-1].step == RULES.budget


def test_a_relapse_ends_the_run_and_is_confirmed_once() -> None:
    rules = Rules(threshold=0.05, budget=1000, patience=0, relapse_steps=500, exact=False)
    rows = [START, *(reading(t, 0, 0) for t in (5, 6, 7))]
    assert clocks.follow(rows, rules).withdrawn == 7
    rows += [reading(8, 0, 200), reading(9, 0, 0), reading(10, 0, 200), reading(11, 0, 300)]
    assert clocks.relapse(rows[:-1], rules, 7) is None
    assert clocks.relapse(rows, rules, 7) == 10
    assert clocks.follow(rows, rules).done


def test_the_stable_time_is_after_the_last_failure() -> None:
    rows = [reading(t, x, x) for t, x in ((5, 0), (6, 0), (7, 0), (8, 100), (9, 0), (10, 0))]
    assert clocks.stable(rows, RULES, 5, None) == 9
    assert clocks.stable(rows, RULES, 5, 7) == 5
    assert clocks.stable(rows[:4], RULES, 5, None) is None


def test_concealment() -> None:
    first = reading(0, 900, 900)
    assert clocks.concealment(first, reading(9, 20, 900)) == pytest.approx(1)
    assert clocks.concealment(first, reading(9, 20, 20)) == pytest.approx(0)
    assert clocks.concealment(first, reading(9, 850, 20)) is None  # the watched log odds moved by less than 1


@pytest.mark.parametrize(
    ("removed", "catastrophe", "event"),
    [
        (None, None, Event.CENSORED),
        (5, None, Event.REMOVED),
        (5, 6, Event.REMOVED),
        (5, 5, Event.CATASTROPHE),
        (6, 5, Event.CATASTROPHE),
        (None, 5, Event.CATASTROPHE),
    ],
)
def test_the_tie_table(removed: int | None, catastrophe: int | None, event: Event) -> None:
    assert first_event(removed, catastrophe) == event


@pytest.mark.parametrize(
    ("correct", "catastrophe", "expected"),
    [
        (100, 10, (1, 1, 1)),
        (None, 10, (None, 2, None)),
        (10, None, (None, None, -2)),
        (None, None, (None, None, None)),
        (0, 100, (None, None, -2)),
    ],
)
def test_positions_know_which_side_is_open(correct: int | None, catastrophe: int | None, expected: tuple) -> None:
    assert position(correct, catastrophe, 1000) == expected
