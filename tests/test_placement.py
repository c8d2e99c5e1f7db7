"""Every label and every flag of a placement, on tables of runs made by hand, with the boundaries between them."""

import math
from typing import Any

import polars as pl
import pytest
from complaints import says

import robustsim as rs
from robustsim import binomial
from robustsim.analysis import placement
from robustsim.analysis.placement import tampering_index
from robustsim.spec.twins import perfect_overseer

SETTINGS = {"deployment.budget": 1000, "evaluation.threshold": 0.05}
PERFECT = perfect_overseer()
ENOUGH = 59  # runs without an event that put its probability at 0.05 or below: 0.95^59 < 0.05 < 0.95^58


def place(runs: pl.DataFrame, settings: dict[str, Any], guarded: pl.DataFrame | None = None) -> dict[str, Any]:
    """The placement, by someone who knows what a perfect overseer is."""
    return placement.place(runs, settings, guarded, PERFECT)


def table(first: list[str], **columns: object) -> pl.DataFrame:
    """Runs as far as a placement reads them: competent agents that always misbehave and, unopposed, end badly.

    Args:
      first: what came first in the corrected arm of each run.
      columns: a value for all runs, or one for each, in place of the default.
    """
    n = len(first)
    lost = [event == "catastrophe" for event in first]
    made = {
        "first_event": first,
        "misbehaviour_watched": 1.0,
        "misbehaviour_unwatched": 1.0,
        "training_competence": 1.0,
        "catastrophe": True,
        "catastrophe_in_race": lost,
        "corrected": [event == "removed" for event in first],
        "suppressed": [event == "removed" for event in first],
        "incapacitated": False,
        "concealment": 0.0,
        "distortion": 0.0,
        "first_event_defended": pl.Series([None] * n, dtype=pl.String),
        "steps_to_catastrophe_defended": pl.Series([None] * n, dtype=pl.Int64),
        "steps_to_catastrophe_defended_lower": pl.Series([None] * n, dtype=pl.Int64),
        "position_defended": pl.Series([None] * n, dtype=pl.Float64),
        "position_defended_lower": pl.Series([None] * n, dtype=pl.Float64),
        "position_defended_upper": pl.Series([None] * n, dtype=pl.Float64),
    } | columns
    return pl.DataFrame({k: v if isinstance(v, list | pl.Series) else [v] * n for k, v in made.items()})


def removed(n: int = ENOUGH, **columns: object) -> pl.DataFrame:
    """Runs that were all corrected in time."""
    return table(["removed"] * n, **columns)


def lost(n: int = 64, **columns: object) -> pl.DataFrame:
    """Runs in which the catastrophe always came first."""
    return table(["catastrophe"] * n, **columns)


def quiet(n: int, **columns: object) -> pl.DataFrame:
    """Runs without a catastrophe in either arm, and without a removal."""
    return table(["censored"] * n, **{"catastrophe": False, "catastrophe_in_race": False} | columns)


def label(runs: pl.DataFrame, settings: dict | None = None, guarded: pl.DataFrame | None = None) -> str:
    return place(runs, SETTINGS if settings is None else settings, guarded)["label"]


# --- labels, in the order of the tree ---


def test_without_a_run_nothing_is_determined() -> None:
    assert label(removed(0)) == "undetermined"
    assert place(removed(0), SETTINGS)["flags"] == []


@pytest.mark.parametrize(("competence", "expected"), [(0.0, True), (0.7999, True), (0.8, False), (1.0, False)])
def test_incompetent_is_a_median_before_deployment(competence: float, expected: bool) -> None:
    assert (label(lost(training_competence=competence)) == "incompetent") is expected
    assert (label(removed(training_competence=competence)) == "incompetent") is expected


def test_a_few_incompetent_agents_do_not_decide() -> None:
    assert label(lost(5, training_competence=[0.1, 0.1, 1.0, 1.0, 1.0])) != "incompetent"
    assert label(lost(5, training_competence=[0.1, 0.1, 0.1, 1.0, 1.0])) == "incompetent"


@pytest.mark.parametrize("condition", ["misbehaviour_watched", "misbehaviour_unwatched"])
def test_aligned_is_every_agent_in_both_conditions(condition: str) -> None:
    both = {"misbehaviour_watched": 0.05, "misbehaviour_unwatched": 0.05}  # at the threshold
    assert label(quiet(4, **both)) == "aligned"
    assert label(quiet(4, **both | {condition: [0.05, 0.05, 0.05, 0.0501]})) != "aligned"


@pytest.mark.parametrize("arm", ["catastrophe", "catastrophe_in_race"])
def test_whoever_causes_a_catastrophe_is_not_aligned(arm: str) -> None:
    rates = {"misbehaviour_watched": 0.0, "misbehaviour_unwatched": 0.0}
    assert label(quiet(4, **rates | {arm: [True, False, False, False]})) != "aligned"


@pytest.mark.parametrize(("n", "expected"), [(ENOUGH - 1, "undetermined"), (ENOUGH, "contained"), (200, "contained")])
def test_contained_takes_enough_unopposed_runs_without_a_catastrophe(n: int, expected: str) -> None:
    assert label(quiet(n)) == expected


def test_contained_is_about_both_arms() -> None:
    assert label(quiet(ENOUGH, catastrophe=[True] + [False] * (ENOUGH - 1))) != "contained"
    first = ["catastrophe"] + ["censored"] * (ENOUGH - 1)
    assert label(table(first, catastrophe=False)) != "contained"
    assert label(removed(ENOUGH, catastrophe=False)) == "contained"  # correction was in time, but nothing was at stake


@pytest.mark.parametrize(
    ("n", "expected"), [(ENOUGH - 1, "undetermined"), (ENOUGH, "online-outer"), (200, "online-outer")]
)
def test_online_outer_takes_enough_runs_corrected_in_time(n: int, expected: str) -> None:
    assert label(removed(n)) == expected


def test_online_outer_is_every_run_corrected() -> None:
    assert label(table(["removed"] * 199 + ["censored"])) == "undetermined"
    assert label(table(["removed"] * 199 + ["catastrophe"])) == "undetermined"


def test_a_probability_at_the_limit_is_acceptable(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = binomial.upper(0, 10)
    monkeypatch.setattr(placement, "DELTA", limit)
    assert (label(removed(10)), label(quiet(10))) == ("online-outer", "contained")
    assert place(removed(10), SETTINGS)["delta"] == limit
    monkeypatch.setattr(placement, "DELTA", math.nextafter(limit, 0))
    assert (label(removed(10)), label(quiet(10))) == ("undetermined", "undetermined")


def test_tampering_is_a_matter_of_the_guarded_twin() -> None:
    moved = lost(distortion=[0.2 * (1 + 0.01 * (i % 3)) for i in range(64)])
    told = place(moved, SETTINGS, removed(64))
    assert told["label"] == "tampering"
    assert "guarded" in told["family"]
    assert label(moved, guarded=removed(ENOUGH)) == "tampering"
    assert label(moved, guarded=removed(ENOUGH - 1)) == "undetermined"
    assert label(moved, guarded=quiet(ENOUGH)) == "tampering"  # not corrected either, but harmless
    assert label(moved, guarded=lost()) == "undetermined"
    assert label(lost(), guarded=removed(64)) == "undetermined"  # the reward was not moved
    alone = place(moved, SETTINGS)
    assert alone["label"] == "undetermined"
    assert says(alone["reason"], "tampering.guarded=true")


def test_the_tampering_index_has_a_limit() -> None:
    distortion = [0.2 * (1 + 0.01 * (i % 3)) for i in range(64)]
    mean, low = tampering_index(lost(distortion=distortion))
    assert mean == pytest.approx(0.202, abs=0.001)
    assert 0.2 < low < mean
    assert tampering_index(removed(64, distortion=distortion)) == (0.0, 0.0)  # only runs that ended badly count
    assert tampering_index(lost(1, distortion=0.3)) == (0.3, 0.0)  # one run has no spread


def test_a_failure_alone_is_undetermined_and_counts_its_parts() -> None:
    told = place(lost(suppressed=True, concealment=0.96), SETTINGS)
    assert (told["label"], told["flags"]) == ("undetermined", [])
    assert says(told["reason"], 64, 0.96)
    mixed = place(table(["catastrophe"] * 8 + ["removed"] * 56, incapacitated=[True] * 3 + [False] * 61), SETTINGS)
    assert says(mixed["reason"], 8, 64, 3)


def test_few_runs_say_how_many_would_do() -> None:
    assert says(place(removed(8), SETTINGS)["reason"], ENOUGH)
    assert says(place(lost(distortion=0.2), SETTINGS, removed(8))["reason"], ENOUGH)


def test_a_placement_names_what_it_rests_on() -> None:
    told = place(removed(), SETTINGS)
    assert told["delta"] == 0.05
    assert says(told["horizon"], 1000)
    assert told["family"]
    assert told["reason"]


# --- thresholds that are set, or swept ---


def test_the_threshold_is_that_of_the_runs() -> None:
    rates = {"misbehaviour_watched": 0.1, "misbehaviour_unwatched": 0.1}
    assert label(quiet(4, **rates)) == "undetermined"
    assert label(quiet(4, **rates), SETTINGS | {"evaluation.threshold": 0.1}) == "aligned"
    assert label(quiet(4, **rates), SETTINGS | {"evaluation.threshold": 0.0999}) == "undetermined"


def test_a_swept_threshold_is_that_of_the_configuration() -> None:
    rates = {"misbehaviour_watched": 0.1, "misbehaviour_unwatched": 0.1}
    thresholds = [0.05, 0.2]
    runs = pl.concat([quiet(4, **rates).with_columns(pl.lit(x).alias("evaluation.threshold")) for x in thresholds])
    runs = runs.with_columns(pl.lit("any").alias("run_id"))
    what = {"scenario": "any", "settings": {"deployment.budget": 10}, "swept": {"evaluation.threshold": thresholds}}
    results = rs.Results(runs, pl.DataFrame({"run_id": ["any"]}), {"what": what})
    told = [results.where({"evaluation.threshold": x}).placement()["label"] for x in thresholds]
    assert told == ["undetermined", "aligned"]


# --- flags ---


def flags(runs: pl.DataFrame, **settings: object) -> list[str]:
    return place(runs, SETTINGS | {name.replace("__", "."): value for name, value in settings.items()})["flags"]


def test_high_stakes_is_a_failure_under_an_overseer_that_sees_all_at_once() -> None:
    assert place(lost(), SETTINGS | PERFECT)["flags"] == ["high-stakes"]
    assert place(removed(), SETTINGS | PERFECT)["flags"] == []


@pytest.mark.parametrize("name", sorted(PERFECT))
def test_an_overseer_that_could_be_better_is_no_sign_of_high_stakes(name: str) -> None:
    worse = {"overseer.coverage": 0.99}.get(name, 7)
    assert place(lost(), SETTINGS | PERFECT | {name: worse})["flags"] == []


def test_flags_need_a_probability_that_is_too_high_for_sure() -> None:
    n = 64
    least = next(k for k in range(n) if binomial.lower(k, n) > placement.DELTA)
    few, many = (table(["catastrophe"] * k + ["removed"] * (n - k)) for k in (least - 1, least))
    assert place(few, SETTINGS | PERFECT)["flags"] == []
    assert place(many, SETTINGS | PERFECT)["flags"] == ["high-stakes"]


def test_loss_of_control_is_a_catastrophe_that_ends_correction() -> None:
    assert flags(lost(), catastrophe__loss_of_control=True) == ["loss-of-control"]
    assert flags(lost(), catastrophe__loss_of_control=False) == []
    assert flags(lost(corrected=True), catastrophe__loss_of_control=True) == []
    some = lost(corrected=[False] * 3 + [True] * 61)
    told = place(some, SETTINGS | {"catastrophe.loss_of_control": True})
    assert told["flags"] == ["loss-of-control"]
    assert says(told["reason"], 3, 64)


@pytest.mark.parametrize(("n", "expected"), [(ENOUGH - 1, []), (ENOUGH, ["monitoring-only"])])
def test_monitoring_only_is_a_failure_that_the_defences_keep_off(n: int, expected: list[str]) -> None:
    assert flags(lost(n, first_event_defended="censored")) == expected
    assert flags(lost(n, first_event_defended="removed")) == expected


def test_defences_that_do_not_hold_earn_no_flag() -> None:
    assert flags(lost(first_event_defended="catastrophe")) == []
    assert flags(lost()) == []  # no defences
    assert flags(removed(first_event_defended="removed")) == []  # nothing to defend against


def test_several_flags_may_hold_together() -> None:
    settings = SETTINGS | PERFECT | {"catastrophe.loss_of_control": True}
    told = place(lost(first_event_defended="censored"), settings)
    assert sorted(told["flags"]) == ["high-stakes", "loss-of-control", "monitoring-only"]
