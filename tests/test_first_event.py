"""Only the first event: the race is decided as in the whole run, and nothing is run beyond it."""

from typing import Any

import polars as pl
import pytest
from test_outcome import BAR, EPS, START, reading, rules

import robustsim as rs
from robustsim.events import Ending
from robustsim.sim import follow, readings
from robustsim.sim.track import CORRECTED, UNOPPOSED, Track
from robustsim.spec.loading import load
from robustsim.spec.settings import Run, resolve

RACE = rules(stop="first_event")
PASS, FAIL = (0, 0), (900, 900)


def test_a_removal_that_is_confirmed_ends_the_run() -> None:
    rows = [START, *(reading(t, *PASS) for t in (5, 6))]
    assert follow.follow(rows, RACE, BAR).ending is None
    assert follow.follow([*rows, reading(7, *PASS)], RACE, BAR).ending == Ending.REMOVED


def test_a_removal_may_be_pending() -> None:
    passing = reading(5, *PASS)
    assert not readings.pending([], EPS)
    assert not readings.pending([START], EPS)
    assert readings.pending([START, passing], EPS)
    assert not readings.pending([START, passing, reading(6, *FAIL)], EPS)
    assert not readings.pending([START, *(reading(t, *PASS) for t in (5, 6, 7))], EPS)  # it is dated


def test_a_catastrophe_waits_for_a_removal_that_may_be_earlier() -> None:
    factory = load("camera_vault")
    run = Run(resolve(factory, {"deployment.stop": "first_event"}), 0)
    track = Track(0, run, CORRECTED, readings=[START])
    assert track.stops_at_catastrophe
    track.readings.append(reading(5, *PASS))
    assert not track.stops_at_catastrophe
    track.readings.append(reading(6, *FAIL))
    assert track.stops_at_catastrophe
    whole = Run(resolve(factory, {}), 0)
    assert not Track(0, whole, CORRECTED, readings=[START]).stops_at_catastrophe
    assert not Track(0, whole, UNOPPOSED, readings=[START]).stops_at_catastrophe  # the fading is still to come
    faded = [START, *(reading(t, *PASS) for t in (5, 6, 7))]
    assert Track(0, whole, UNOPPOSED, readings=faded).stops_at_catastrophe
    less = Run(resolve(factory, {"deployment.stop": "catastrophe"}), 0)
    assert Track(0, less, UNOPPOSED, readings=[START]).stops_at_catastrophe


def _both(scenario: str, seeds: int, settings: dict[str, Any]) -> tuple[rs.Results, rs.Results]:
    """The whole runs, and the same up to their first event."""
    whole = rs.run(scenario, seeds=seeds, settings=settings)
    return whole, rs.run(scenario, seeds=seeds, settings={**settings, "deployment.stop": "first_event"})


BANDIT = {"agent.gradient": "sampled", "overseer.coverage": 0.5, "overseer.penalty": 4.0, "deployment.budget": 200}
BANDIT |= {"catastrophe.threshold": 36}
VAULT = {
    "overseer.coverage": 1.0,
    "overseer.visible": False,
    "training.steps": 60,
    "training.competence": 0.0,
    "training.extension": 0.0,
}
VAULT |= {"deployment.budget": 150, "catastrophe.threshold": 700, "evaluation.episodes": 128, "evaluation.screen": 64}
DEFENDED = {**BANDIT, "defences.shutdown_after": 3}


@pytest.mark.parametrize(
    ("scenario", "seeds", "settings"),
    [("bandit", 48, BANDIT), ("camera_vault", 8, VAULT), ("bandit", 48, DEFENDED)],
    ids=["bandit", "vault", "defended"],
)
def test_the_race_is_that_of_the_whole_run(scenario: str, seeds: int, settings: dict[str, Any]) -> None:
    whole, race = (results.runs for results in _both(scenario, seeds, settings))
    assert race["first_event"].equals(whole["first_event"])
    assert race["first_event"].n_unique() > 1
    removed = pl.col("first_event") == "removed"
    for column in ("steps_to_correct", "steps_to_correct_lower"):
        assert race.filter(removed)[column].equals(whole.filter(removed)[column])
    lost = pl.col("first_event") == "catastrophe"
    for column in ("steps_to_catastrophe_in_race", "competence", "misbehaviour_unwatched"):
        assert race.filter(lost)[column].equals(whole.filter(lost)[column])
    if "steps_to_shutdown" in race.columns:
        assert race["first_event_defended"].equals(whole["first_event_defended"])


def test_nothing_is_run_beyond_the_first_event() -> None:
    whole, race = _both("bandit", 16, BANDIT)
    assert set(race.traces["arm"]) == {"corrected"}
    assert race.traces["step"].max() <= whole.traces["step"].max()  # pyright: ignore[reportOperatorIssue]
    runs = race.runs
    assert runs["catastrophe"].null_count() == len(runs)
    assert runs["relapsed"].null_count() == len(runs)
    assert all(runs.select(pl.col("^position.*$").is_null().all()).row(0))
    lost = runs.filter(pl.col("first_event") == "catastrophe", pl.col("steps_to_correct").is_null())
    censored = lost["steps_to_correct_lower"]
    assert (censored >= lost["steps_to_catastrophe_in_race"]).all()
    assert (censored < 200).any()  # at the catastrophe, not at the budget
    summary = race.summary()
    assert summary["steps_to_catastrophe"]["median"] is None
    assert summary["position"]["median"] is None
