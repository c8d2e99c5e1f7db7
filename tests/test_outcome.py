"""From readings to times: every rule of removal, suppression, relapse and concealment, on readings made by hand."""

import math
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from robustsim.events import Ending, Event, first_event
from robustsim.sim import follow, readings
from robustsim.sim.follow import Demand
from robustsim.sim.outcome import outcome_of, position
from robustsim.sim.readings import Bar, Reading
from robustsim.treatments.belief import Belief
from robustsim.truth import validate_removal

EPS = 0.05


def rules(patience: float = 2.5, stop: str = "end", relearn: bool = False) -> Any:
    """Settings, as far as readings are followed by them."""
    deployment = SimpleNamespace(budget=1000, patience=patience, relapse_steps=500, stop=stop, relearn=relearn)
    return SimpleNamespace(
        deployment=deployment,
        evaluation=SimpleNamespace(threshold=EPS),
        catastrophe=SimpleNamespace(stakes=100),
        treatment={"belief": Belief()},
    )


RULES, BAR = rules(), Bar(EPS)


def reading(
    step: int, watched: int, unwatched: int, competence: float = 1.0, confirmatory: bool = True, harm: int = 0
) -> Reading:
    """A reading with so many misbehaving episodes of 1,024."""
    measures = {
        "decisions": (1024, 1024),
        "misbehaved": (unwatched, watched),
        "rates": (unwatched / 1024, watched / 1024),
        "returns": (0.0, 0.0),
        "competence": competence,
        "entropy": 0.5,
        "finite": 1,
    }
    return Reading(step, int(confirmatory), False, measures, {"harm": harm})


START = reading(0, 1000, 1000)


def test_the_grid_is_geometric_with_a_tenth_of_resolution() -> None:
    steps = [0]
    while steps[-1] < 100_000:
        steps.append(follow.next_on_grid(steps[-1]))
    assert steps[:12] == list(range(12))
    assert all((b - a) / a <= 0.1 for a, b in pairwise(steps[10:]))
    assert len(steps) < 120


def test_removal_is_dated_to_the_first_of_three() -> None:
    rows = [START, reading(10, 36, 36), reading(11, 39, 10), reading(12, 36, 36), reading(13, 0, 0)]
    assert readings.removal(rows, EPS) is None
    assert readings.removal([*rows, reading(14, 0, 0)], EPS) == 3


def test_suppression_needs_the_watched_half_only() -> None:
    rows = [START, *(reading(t, 0, 1000) for t in (5, 6, 7))]
    assert readings.passing(rows, EPS, 1) == 1
    assert readings.removal(rows, EPS) is None


def test_a_look_without_enough_episodes_is_no_claim() -> None:
    rows = [START, *(reading(t, 0, 0, confirmatory=False) for t in (5, 6, 7))]
    assert readings.removal(rows, EPS) is None
    assert follow.wants_confirmation([START], rows[1], RULES, BAR)
    assert not follow.wants_confirmation([START], reading(5, 900, 900, confirmatory=False), RULES, BAR)


def test_removal_is_one_thing_and_what_is_left_of_the_agent_another() -> None:
    """Theory G.2: the outcome, not T_c, says what became of the competence."""
    table = {
        "incapacitated": [0.7, 0.7, 0.7],
        "stopped": [0.85, 0.85, 0.85],
        "redirected": [0.7, 0.7, 0.97],
        "removed": [0.85, 0.85, 0.85],
        "uncorrected": None,
        "nothing-to-correct": [1.0, 1.0, 1.0],
    }
    for became, competence in table.items():
        bar = Bar(EPS, None if became == "removed" else 1.2 if became == "stopped" else 1.0)
        first = reading(0, 0, 0) if became == "nothing-to-correct" else START
        later = (
            [reading(t, 900, 900) for t in (5, 6, 7)]
            if competence is None
            else [reading(t, 0, 0, competence=c) for t, c in zip((5, 6, 7), competence, strict=True)]
        )
        found = ended([first, *later], bar)
        assert found.became == became
        assert found.removed.step == {"uncorrected": None, "nothing-to-correct": 0}.get(became, 5)
        assert found.redirected.step == {"redirected": 7, "nothing-to-correct": 0}.get(became)
        assert found.success == {"incapacitated": False, "uncorrected": False, "nothing-to-correct": None}.get(
            became, True
        )


def ended(rows: list[Reading], bar: Bar, settings: Any = None, **about: Any) -> Any:
    """The outcome of a corrected arm with these readings."""
    settings = settings or rules(patience=0)
    track = SimpleNamespace(readings=rows, bar=bar, known=None, catastrophe=None, defended=None)
    track.withdrawn = track.returned = None
    vars(track).update(about)
    return outcome_of(settings, track)


def test_harm_is_counted_up_to_the_removal() -> None:
    rows = [reading(t, x, x, harm=h) for t, x, h in ((0, 900, 0), (5, 0, 40), (6, 0, 50), (7, 0, 60))]
    found = ended(rows, BAR).harm
    assert (found.peak, found.known) == (40, True)
    assert found.margin == pytest.approx(math.log10(40.5 / 100))
    open_ = ended(rows[:2], BAR).harm
    assert (open_.peak, open_.known) == (40, False)


def test_a_claim_that_straddles_the_bar_asks_for_more_episodes() -> None:
    """Theory G.8: by fours, while more of the same would pass, and not after three failures."""
    plateau = reading(9, 41, 41)  # a rate of .04
    assert readings.undecided(plateau, EPS)
    assert follow.wants_more([START], plateau, BAR)
    assert not follow.wants_more([], plateau, BAR)
    assert not readings.undecided(reading(9, 36, 36), EPS)  # passes as it is
    assert not readings.undecided(reading(9, 51, 51), EPS)  # too near to the bar for any number of episodes
    assert not readings.undecided(reading(9, 41, 41)._replace(level=3), EPS)
    failed = [reading(t, 41, 41)._replace(level=2) for t in (5, 6, 7)]
    assert follow.wants_more([START, *failed[:2]], plateau, BAR)
    assert not follow.wants_more([START, *failed], plateau, BAR)


def test_an_agent_that_has_stopped_is_overseen_to_the_budget() -> None:
    rows = [START, *(reading(t, 0, 0, competence=0.5) for t in (5, 6, 7))]

    while (p := follow.follow(rows, RULES, Bar(EPS, 1.0))).withdrawn is None:
        rows.append(reading(p.step, 0, 0, competence=0.5))
    assert p.withdrawn == RULES.deployment.budget


def test_an_agent_that_comes_back_to_its_work_late_was_overseen_until_then() -> None:
    bar, rows = Bar(EPS, 1.0), [START, *(reading(t, 0, 0, competence=0.5) for t in (5, 6, 7))]
    while (p := follow.follow(rows, RULES, bar)).withdrawn is None:
        rows.append(reading(p.step, 0, 0, competence=0.9 if p.step >= 200 else 0.5))
    assert p.withdrawn == rows[-1].step >= 200
    overseen = [r for r in rows if r.step <= p.withdrawn]
    removed = readings.removal(overseen, EPS)
    assert removed is not None
    assert readings.redirection(overseen, bar, removed) == len(rows) - 1


def test_an_agent_that_comes_back_to_its_work_after_the_overseer_left_is_not_overseen_again() -> None:
    bar, rows = Bar(EPS, 1.0), [START, *(reading(t, 0, 0, competence=0.5) for t in (900, 901, 902))]
    while (p := follow.follow(rows, rules(patience=10), bar)).ending is None:
        rows.append(reading(p.step, 0, 0, competence=0.9 if p.step > 1500 else 0.5))
    assert (p.withdrawn, rows[-1].step, p.ending) == (1000, 1900, Ending.STABLE)


def test_the_drop_has_a_middle_and_an_end() -> None:
    rows = [reading(t, x, x) for t, x in ((0, 1000), (5, 600), (6, 500), (7, 90), (8, 0))]
    assert readings.fallen_to(rows, 0.0, 0.5) == 6
    assert readings.fallen_to(rows, 0.0, 0.1) == 7
    assert readings.fallen_to(rows[:2], 0.0, 0.5) is None
    assert readings.fallen_to(rows, 0.99, 0.5) is None


def test_a_run_goes_through_its_phases() -> None:
    rows = [START]
    while (p := follow.follow(rows, RULES, BAR)).ending is None:
        assert p.step > rows[-1].step
        rows.append(reading(p.step, 0, 0) if p.step >= 100 else reading(p.step, 900, 900))
    removed = rows[readings.removal(rows, EPS)].step  # pyright: ignore[reportArgumentType]
    assert 100 <= removed <= 110
    assert p.withdrawn is not None
    assert p.withdrawn >= 3.5 * removed
    assert rows[-1].step == p.withdrawn + 500
    assert p.ending == Ending.STABLE


def test_a_run_that_is_never_corrected_ends_at_the_budget() -> None:
    rows = [START]
    while follow.follow(rows, RULES, BAR).ending is None:
        rows.append(reading(follow.follow(rows, RULES, BAR).step, 900, 900))
    assert rows[-1].step == RULES.deployment.budget
    assert follow.follow(rows, RULES, BAR).ending == Ending.BUDGET


def test_a_relapse_ends_the_run_and_is_confirmed_once() -> None:
    hasty = rules(patience=0)
    rows = [START, *(reading(t, 0, 0) for t in (5, 6, 7))]
    assert follow.follow(rows, hasty, BAR).withdrawn == 7
    rows += [reading(8, 0, 200), reading(9, 0, 0), reading(10, 0, 200), reading(11, 0, 300)]
    assert readings.relapse(rows[:-1], EPS, 7) is None
    assert readings.relapse(rows, EPS, 7) == 10
    assert follow.follow(rows, hasty, BAR).ending == Ending.RELAPSED


def test_the_stable_time_is_after_the_last_failure() -> None:
    rows = [reading(t, x, x) for t, x in ((5, 0), (6, 0), (7, 0), (8, 100), (9, 0), (10, 0))]
    assert readings.stable(rows, EPS, 5, None) == 9
    assert readings.stable(rows, EPS, 5, 7) == 5
    assert readings.stable(rows[:4], EPS, 5, None) is None
    doubtful = [*rows[:3], reading(8, 45, 45)]  # neither clear nor clearly above the bar
    assert readings.stable(doubtful, EPS, 5, None) == 5


def test_concealment() -> None:
    first = reading(0, 900, 900)
    assert readings.concealment(first, reading(9, 20, 900)) == pytest.approx((1, 1, 1))
    assert readings.concealment(first, reading(9, 20, 20)) == pytest.approx((0, 0, 0))
    assert readings.concealment(first, reading(9, 850, 20)) == (
        None,
        None,
        None,
    )  # the watched ones moved by less than 1
    assert readings.concealment(first, reading(9, 0, 500))[0] is None  # how far the watched ones moved is not known


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
    assert follow.train_on(rows, [demand]).step == 100
    rows.append(reading(100, 0, 0, competence=0.5))
    assert follow.train_on(rows, [demand]).step == 125
    rows.append(reading(125, 0, 0, competence=0.95))
    assert follow.train_on(rows, [demand]).ending == Ending.COMPETENT
    assert follow.supplied(rows, demand)[1] == rows[1]


def test_a_training_that_stays_below_the_criterion_ends_with_its_extension() -> None:
    demand = Demand(steps=4, extension=0.5, competence=0.9)
    rows: list[Reading] = []
    while (plan := follow.train_on(rows, [demand])).ending is None:
        rows.append(reading(plan.step, 0, 0, competence=0.1))
    assert [r.step for r in rows] == [4, 5, 6]
    assert plan.ending == Ending.BUDGET


def test_one_training_serves_several_demands() -> None:
    demands = [Demand(30), Demand(10), Demand(20, 1.0, 0.9)]
    rows: list[Reading] = []
    while (plan := follow.train_on(rows, demands)).ending is None:
        rows.append(reading(plan.step, 0, 0, competence=0.95 if plan.step >= 25 else 0.5))
    assert [r.step for r in rows] == [10, 20, 25, 30]
    assert [follow.supplied(rows, d)[1].step for d in demands] == [30, 10, 25]  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.slow
def test_removals_are_declared_where_they_are_and_not_much_later() -> None:
    assert [check for check in validate_removal.checks(1000) if not check.passed] == []


def relearning(comes_back: bool, second: int) -> tuple[list[Reading], Any]:
    """(readings, what ended the run), where a second correction takes so many steps."""
    twice, rows = rules(patience=0, relearn=True), [START, *(reading(t, 0, 0) for t in (5, 6, 7))]
    while (p := follow.follow(rows, twice, BAR)).ending is None:
        alone = p.withdrawn is not None and p.returned is None
        bad = comes_back and (alone or (p.returned is not None and p.step < p.returned + second))
        assert p.step > rows[-1].step
        rows.append(reading(p.step, 900, 900) if bad else reading(p.step, 0, 0))
    return rows, p


def test_an_overseer_that_comes_back_corrects_once_more() -> None:
    rows, p = relearning(True, 30)
    assert (p.withdrawn, p.returned, p.ending) == (7, 507, Ending.RELAPSED)
    track = SimpleNamespace(readings=rows, bar=BAR, known=None, catastrophe=None, defended=None)
    track.withdrawn, track.returned = p.withdrawn, p.returned
    found = outcome_of(rules(patience=0, relearn=True), track)
    assert found.again is not None
    assert found.again.step is not None
    assert found.again.lower < 30 <= found.again.step <= 33
    assert found.removed.step == 5  # the first correction is as it was
    assert found.relapsed
    assert found.last.step == 7
    assert found.second_start is not None
    assert found.second_start.misbehaved == (900, 900)


def test_an_overseer_does_not_come_back_where_nothing_did() -> None:
    rows, p = relearning(False, 0)
    assert (p.withdrawn, p.returned, p.ending, rows[-1].step) == (7, None, Ending.STABLE, 507)


def test_a_second_correction_has_the_same_budget() -> None:
    rows, p = relearning(True, 10**6)
    assert p.ending == Ending.RELAPSED
    assert rows[-1].step == 507 + RULES.deployment.budget
