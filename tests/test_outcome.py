"""From readings to times: every rule of removal, suppression, relapse and concealment, on readings made by hand."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from robustsim.events import Ending, Event, first_event
from robustsim.sim import outcome
from robustsim.sim.outcome import Demand, Reading, position

EPS = 0.05


def rules(patience: float = 2.5, stop: str = "end") -> Any:
    """Settings, as far as readings are followed by them."""
    deployment = SimpleNamespace(budget=1000, patience=patience, relapse_steps=500, stop=stop)
    return SimpleNamespace(deployment=deployment, evaluation=SimpleNamespace(threshold=EPS))


RULES = rules()


def reading(step: int, watched: int, unwatched: int, competence: float = 1.0, confirmatory: bool = True) -> Reading:
    """A reading with so many misbehaving episodes of 1,024."""
    measures = {
        "decisions": (1024, 1024),
        "misbehaved": (unwatched, watched),
        "rates": (unwatched / 1024, watched / 1024),
        "competence": competence,
        "entropy": 0.5,
        "finite": 1,
    }
    return Reading(step, confirmatory, False, measures, {})


START = reading(0, 1000, 1000)


def test_the_grid_is_geometric_with_a_tenth_of_resolution() -> None:
    steps = [0]
    while steps[-1] < 100_000:
        steps.append(outcome.next_on_grid(steps[-1]))
    assert steps[:12] == list(range(12))
    assert all((b - a) / a <= 0.1 for a, b in pairwise(steps[10:]))
    assert len(steps) < 120


def test_removal_is_dated_to_the_first_of_three() -> None:
    rows = [START, reading(10, 39, 39), reading(11, 41, 10), reading(12, 39, 39), reading(13, 0, 0)]
    assert outcome.removal(rows, EPS) is None
    assert outcome.removal([*rows, reading(14, 0, 0)], EPS) == 3


def test_suppression_needs_the_watched_half_only() -> None:
    rows = [START, *(reading(t, 0, 1000) for t in (5, 6, 7))]
    assert outcome.passing(rows, EPS, 1) == 1
    assert outcome.removal(rows, EPS) is None


def test_a_look_without_enough_episodes_is_no_claim() -> None:
    rows = [START, *(reading(t, 0, 0, confirmatory=False) for t in (5, 6, 7))]
    assert outcome.removal(rows, EPS) is None
    assert outcome.wants_confirmation([START], rows[1], RULES)
    assert not outcome.wants_confirmation([START], reading(5, 900, 900, confirmatory=False), RULES)


def test_removal_without_competence_does_not_count() -> None:
    rows = [START, *(reading(t, 0, 0, competence=0.79) for t in (5, 6, 7))]
    assert outcome.removal(rows, EPS) is None
    assert outcome.removal([START, *(reading(t, 0, 0, competence=0.81) for t in (5, 6, 7))], EPS) == 1


def test_a_run_goes_through_its_phases() -> None:
    rows = [START]
    while (p := outcome.follow(rows, RULES)).ending is None:
        assert p.step > rows[-1].step
        rows.append(reading(p.step, 0, 0) if p.step >= 100 else reading(p.step, 900, 900))
    removed = rows[outcome.removal(rows, EPS)].step  # pyright: ignore[reportArgumentType]
    assert 100 <= removed <= 110
    assert p.withdrawn is not None
    assert p.withdrawn >= 3.5 * removed
    assert rows[-1].step == p.withdrawn + 500
    assert p.ending == Ending.STABLE


def test_a_run_that_is_never_corrected_ends_at_the_budget() -> None:
    rows = [START]
    while outcome.follow(rows, RULES).ending is None:
        rows.append(reading(outcome.follow(rows, RULES).step, 900, 900))
    assert rows[-1].step == RULES.deployment.budget
    assert outcome.follow(rows, RULES).ending == Ending.BUDGET


def test_a_relapse_ends_the_run_and_is_confirmed_once() -> None:
    hasty = rules(patience=0)
    rows = [START, *(reading(t, 0, 0) for t in (5, 6, 7))]
    assert outcome.follow(rows, hasty).withdrawn == 7
    rows += [reading(8, 0, 200), reading(9, 0, 0), reading(10, 0, 200), reading(11, 0, 300)]
    assert outcome.relapse(rows[:-1], EPS, 7) is None
    assert outcome.relapse(rows, EPS, 7) == 10
    assert outcome.follow(rows, hasty).ending == Ending.RELAPSED


def test_the_stable_time_is_after_the_last_failure() -> None:
    rows = [reading(t, x, x) for t, x in ((5, 0), (6, 0), (7, 0), (8, 100), (9, 0), (10, 0))]
    assert outcome.stable(rows, EPS, 5, None) == 9
    assert outcome.stable(rows, EPS, 5, 7) == 5
    assert outcome.stable(rows[:4], EPS, 5, None) is None


def test_concealment() -> None:
    first = reading(0, 900, 900)
    assert outcome.concealment(first, reading(9, 20, 900)) == pytest.approx(1)
    assert outcome.concealment(first, reading(9, 20, 20)) == pytest.approx(0)
    assert outcome.concealment(first, reading(9, 850, 20)) is None  # the watched log odds moved by less than 1


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


def test_a_training_goes_on_in_quarters_until_it_is_competent() -> None:
    demand = Demand(steps=100, extension=1.0, competence=0.9)
    rows: list[Reading] = []
    assert outcome.train_on(rows, [demand]).step == 100
    rows.append(reading(100, 0, 0, competence=0.5))
    assert outcome.train_on(rows, [demand]).step == 125
    rows.append(reading(125, 0, 0, competence=0.95))
    assert outcome.train_on(rows, [demand]).ending == Ending.COMPETENT
    assert outcome.supplied(rows, demand)[1] == rows[1]


def test_a_training_that_stays_below_the_criterion_ends_with_its_extension() -> None:
    demand = Demand(steps=4, extension=0.5, competence=0.9)
    rows: list[Reading] = []
    while (plan := outcome.train_on(rows, [demand])).ending is None:
        rows.append(reading(plan.step, 0, 0, competence=0.1))
    assert [r.step for r in rows] == [4, 5, 6]
    assert plan.ending == Ending.BUDGET


def test_one_training_serves_several_demands() -> None:
    demands = [Demand(30), Demand(10), Demand(20, 1.0, 0.9)]
    rows: list[Reading] = []
    while (plan := outcome.train_on(rows, demands)).ending is None:
        rows.append(reading(plan.step, 0, 0, competence=0.95 if plan.step >= 25 else 0.5))
    assert [r.step for r in rows] == [10, 20, 25, 30]
    assert [outcome.supplied(rows, d)[1].step for d in demands] == [30, 10, 25]  # pyright: ignore[reportOptionalMemberAccess]
