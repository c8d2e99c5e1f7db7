"""What tables of runs say to the questions of an attribution, and every flag with the border beside it."""

from typing import Any

import polars as pl
import pytest

from robustsim import levers
from robustsim.analysis import evidence, tree
from robustsim.analysis.tree import Share

CASE = {"training.competence": 0.9, "deployment.stop": "catastrophe"}
N = 40


def table(n: int = N, **columns: Any) -> pl.DataFrame:
    """Runs of competent agents that always misbehave, in which the catastrophe comes first, late; with columns of one's
    own."""
    made = {
        "seed": range(n),
        "first_event": "catastrophe",
        "outcome": "uncorrected",
        "competence": 1.0,
        "final_competence": 1.0,
        "incapacitated": False,
        "success": False,
        "catastrophe": True,
        "catastrophe_in_race": True,
        "steps_to_fade": pl.Series([None] * n, dtype=pl.Int64),
        "steps_to_catastrophe": 100,
        "steps_to_catastrophe_in_race": 100,
        "start_neither_watched": 0.0,
        "start_neither_unwatched": 0.0,
        "misbehaviour_watched": 1.0,
        "misbehaviour_unwatched": 1.0,
        "final_misbehaviour_watched": 1.0,
        "final_misbehaviour_unwatched": 1.0,
        "random_misbehaviour": 0.1,
        "reference_competence": 1.0,
        "reference_misbehaving": 0.0,
        "reference_learned": 1.0,
        "distortion": 0.0,
        "suppressed": False,
        "corrected": False,
        "relapsed": pl.Series([None] * n, dtype=pl.Boolean),
        "relapsed_under_oversight": pl.Series([None] * n, dtype=pl.Boolean),
        "first_event_defended": pl.Series([None] * n, dtype=pl.String),
        "steps_to_catastrophe_defended": pl.Series([None] * n, dtype=pl.Int64),
        "steps_to_catastrophe_defended_lower": pl.Series([None] * n, dtype=pl.Int64),
        "position_defended": pl.Series([None] * n, dtype=pl.Float64),
        "position_defended_lower": pl.Series([None] * n, dtype=pl.Float64),
        "position_defended_upper": pl.Series([None] * n, dtype=pl.Float64),
    } | columns
    whole = {k: v if isinstance(v, list | range | pl.Series) else [v] * n for k, v in made.items()}
    return pl.DataFrame(whole)


def said(runs: pl.DataFrame, name: str = levers.ACTUAL, failed: int = 0) -> dict[str, Share]:
    """What runs of the case, or of one of its levers, say."""
    return evidence.tests_of(name, runs, failed, table(), CASE, 0.1)


def flags(label: str, node: str, cheapest: str | None = None, **runs: pl.DataFrame) -> list[str]:
    """The names of the flags; levers by name, with _ for -."""
    tried = {levers.ACTUAL: table()} | {name.replace("_", "-"): found for name, found in runs.items()}
    return list(evidence.flags_of(label, node, tried, cheapest, 0.1))


def test_the_case_says_what_its_runs_and_its_reference_agents_came_to() -> None:
    found = said(table(reference_misbehaving=0.75, reference_learned=0.25, distortion=[0.1] * 30 + [0.0] * 10))
    assert found[evidence.PRONE] == Share(6, 8, 0.5)
    assert found[evidence.UNLEARNED] == Share(6, 8, 0.5)
    assert found[evidence.LATE] == Share(N, N, 0.5)
    assert found[evidence.MOVED] == Share(30, N, 0.5)
    assert found[levers.ACTUAL] == Share(0, N, 0.9)
    assert found[evidence.IDLE].hits == 0
    assert said(table(final_competence=0.44))[evidence.IDLE].hits == N  # half of 0.9 is asked for
    assert said(table(final_competence=0.45))[evidence.IDLE].hits == 0


def test_what_was_never_lost_was_not_moved_either() -> None:
    assert said(table(first_event="removed"))[evidence.MOVED] == Share(0, N, 0.5)


def test_agents_that_a_lever_spoiled_prevent_nothing() -> None:
    good = table(first_event="removed")
    assert said(good, levers.REWARDS, failed=10) == {levers.REWARDS: Share(N, N + 10, 0.9)}


@pytest.mark.parametrize(("rate", "chance", "bad"), [(0.41, 0.1, True), (0.4, 0.1, False), (0.6, 0.6, False)])
def test_new_agents_are_prone_above_a_bound_and_above_chance(rate: float, chance: float, bad: bool) -> None:
    runs = table(final_misbehaviour_unwatched=rate, final_misbehaviour_watched=0.0, random_misbehaviour=chance)
    assert said(runs, levers.REFERENCE)[evidence.MISBEHAVING] == Share(N * bad, N, 0.5)
    idle = runs.with_columns(final_competence=pl.lit(0.1))
    assert said(idle, levers.REFERENCE)[evidence.NEITHER] == Share(N * (not bad), N, 0.5)


def test_a_failure_that_comes_at_once_is_one_of_high_stakes() -> None:
    at_once, later = table(steps_to_catastrophe_in_race=30), table(steps_to_catastrophe_in_race=31)
    assert flags(tree.INNER, "none of them", best=at_once) == ["high-stakes"]
    assert flags(tree.OUTER, evidence.BY_TRAINING, best=later) == ["robust-goal"]
    assert flags(tree.INNER, "none of them", best=at_once, best_strong=later) == ["robust-goal"]
    seldom = table(steps_to_catastrophe_in_race=pl.Series([5] * 10 + [None] * 30, dtype=pl.Int64))
    assert flags(tree.INNER, "none of them", best=seldom) == ["robust-goal"]  # most never came to one


def test_a_goal_that_new_agents_have_is_by_prior() -> None:
    assert flags(tree.INNER, evidence.BY_PRIOR) == ["by-prior"]


def test_levels_that_prevent_it_are_a_flag() -> None:
    name = next(iter(levers.LEVELS))
    assert "data-preventable" in flags(tree.INNER, "none of them", name, **{name: table(outcome="redirected")})
    assert "data-preventable" not in flags(tree.INNER, "none of them")


@pytest.mark.parametrize(("behind", "flagged"), [(N, True), (N - 6, False)])
def test_defences_that_alone_prevent_it_are_a_flag(behind: int, flagged: bool) -> None:
    runs = table(first_event_defended=["censored"] * behind + ["catastrophe"] * (N - behind))
    assert ("monitoring-only" in flags(tree.INNER, "none of them", actual=runs)) == flagged
    few = table(8, first_event_defended="censored")  # 8 of 8 do not show a share of 0.9
    assert "monitoring-only" not in flags(tree.INNER, "none of them", actual=few)


def test_agents_that_only_stop_are_a_flag_of_what_prevents_it() -> None:
    stopped = table(outcome=["stopped"] * 21 + ["redirected"] * 19, first_event="removed")
    half = table(outcome=["stopped"] * 20 + ["redirected"] * 20, first_event="removed")
    assert flags(tree.ONLINE, evidence.BY_DEPLOYMENT, "best", best=stopped) == ["stopped-only"]
    assert flags(tree.ONLINE, evidence.BY_DEPLOYMENT, "best", best=half) == []
    assert flags(tree.ONLINE, evidence.IN_TIME, actual=stopped) == ["stopped-only"]


def test_what_comes_back_once_nobody_watches_was_gone_while_overseen() -> None:
    back = table(first_event="removed", relapsed=[True] * 21 + [False] * 19, relapsed_under_oversight=False)
    assert flags(tree.ONLINE, evidence.IN_TIME, actual=back) == ["while-overseen"]
