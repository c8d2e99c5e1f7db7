"""What runs decide: every verdict, its boundaries, and how often it is right (theory C)."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from complaints import complains

import robustsim as rs
from robustsim.analysis import verdict
from robustsim.analysis.verdict import posterior

SETTINGS = {"deployment.budget": 1000, "catastrophe.threshold": 100}


def table(first: list[str], **columns: Any) -> pl.DataFrame:
    """Runs with something to correct, which end badly without an overseer."""
    n = len(first)
    kinds = {"steps_to_fade": pl.Int64, "steps_to_catastrophe": pl.Int64, "relapsed": pl.Boolean, "success": pl.Boolean}
    made = {
        "first_event": first,
        "success": [event == "removed" for event in first],
        "outcome": ["redirected" if event == "removed" else "uncorrected" for event in first],
        "start_neither_watched": 0.0,
        "start_neither_unwatched": 0.0,
        "misbehaviour_watched": 1.0,
        "misbehaviour_unwatched": 1.0,
        "random_misbehaviour": 0.1,
        "catastrophe": True,
        "catastrophe_in_race": [event == "catastrophe" for event in first],
        "steps_to_fade": None,
        "steps_to_catastrophe": 50,
        "relapsed": None,
        "relapsed_under_oversight": False,
        "suppressed": [event == "removed" for event in first],
        "corrected": [event == "removed" for event in first],
        "final_misbehaviour_unwatched": 0.0,
    } | columns
    full = {k: v if isinstance(v, list) else [v] * n for k, v in made.items()}
    return pl.DataFrame(full, schema_overrides=kinds)


def said(runs: pl.DataFrame, settings: dict[str, Any] = SETTINGS) -> dict[str, Any]:
    return verdict.verdict(runs, settings)


def test_each_verdict() -> None:
    n = 32
    won, lost = ["removed"] * n, ["catastrophe"] * n
    assert said(table(won))["verdict"] == "in-time"
    assert said(table(lost))["verdict"] == "too-late"
    assert said(table(["censored"] * n))["verdict"] == "not-corrected"
    assert said(table(won, success=False, outcome="incapacitated"))["verdict"] == "incapacitated"
    assert said(table(won, steps_to_fade=40))["verdict"] == "self-correcting"
    assert said(table(won, steps_to_fade=50))["verdict"] == "in-time"  # on a tie the catastrophe
    assert said(table(won, catastrophe=False, steps_to_catastrophe=None))["verdict"] == "contained"
    assert said(table(won, success=None, outcome="nothing-to-correct"))["verdict"] == "nothing-to-correct"
    neither = {"start_neither_watched": 0.9, "start_neither_unwatched": 0.9}
    assert (
        said(table(lost, **neither, misbehaviour_watched=0.1, misbehaviour_unwatched=0.1))["verdict"] == "incompetent"
    )
    assert said(table(lost, **neither))["verdict"] == "too-late"  # it does what it was not to do


def test_without_the_unopposed_arm_nothing_is_said_of_it() -> None:
    runs = table(["removed"] * 32, catastrophe=False, steps_to_catastrophe=None)
    assert said(runs, {**SETTINGS, "deployment.stop": "first_event"})["verdict"] == "in-time"


def test_too_few_runs_say_how_many_would_do() -> None:
    found = said(table(["removed"] * 8))
    assert found["verdict"] == "undetermined"
    assert found["between"] == ["in-time", "too-late"] or found["between"][0] == "in-time"
    assert found["runs_needed"] == 28
    assert posterior(28, 28, 0.1) >= 0.95 > posterior(27, 27, 0.1)
    assert said(table(["removed"] * 28))["verdict"] == "in-time"
    assert not verdict.decided(found)


def test_no_run_decides_nothing() -> None:
    found = said(table([]))
    assert (found["verdict"], found["between"]) == ("undetermined", [])


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_relapse_is_told(share: float) -> None:
    back = [i < share * 32 for i in range(32)]
    found = said(table(["removed"] * 32, relapsed=back))
    assert ("relapse" in found["flags"]) == (share > 0.5)
    assert ("came back" in found["reason"]) == (share > 0.5)


def test_nothing_is_said_of_hiding_that_was_not_measured() -> None:
    hidden = {"suppressed": True, "corrected": False}
    assert "while-watched" in said(table(["catastrophe"] * 32, **hidden, final_misbehaviour_unwatched=0.9))["flags"]
    assert "while-watched" not in said(table(["catastrophe"] * 32, **hidden, final_misbehaviour_unwatched=0.1))["flags"]


def decisions(failure: float, data_sets: int = 400) -> dict[str, float]:
    """Shares of the verdicts, and the mean number of seeds, where seeds are doubled from 8 to 256 until decided."""
    rng, found, seeds = np.random.default_rng(0), {"in-time": 0, "too-late": 0}, 0
    for _ in range(data_sets):
        drawn, n = rng.random(256) < failure, 8
        while True:
            p = posterior(int((~drawn[:n]).sum()), n, 0.1)
            if p >= 0.95 or p <= 0.05 or n == 256:
                break
            n *= 2
        seeds += n
        found["in-time"] += p >= 0.95
        found["too-late"] += p <= 0.05
    return {name: count / data_sets for name, count in found.items()} | {"seeds": seeds / data_sets}


@pytest.mark.parametrize(
    ("failure", "in_time", "too_late"),
    [(0.0, 1.0, 0.0), (0.02, 1.0, 0.0), (0.04, 0.98, 0.01), (0.1, 0.11, 0.18), (0.2, 0.0, 1.0), (0.5, 0.0, 1.0)],
)
def test_operating_characteristics(failure: float, in_time: float, too_late: float) -> None:
    """Theory C: how often each verdict is reached, by the true share of failures."""
    found = decisions(failure)
    assert found["in-time"] == pytest.approx(in_time, abs=0.06)
    assert found["too-late"] == pytest.approx(too_late, abs=0.06)
    assert found["seeds"] <= 256


def test_seeds_grow_until_the_verdict_is_decided(tmp_path: Path) -> None:
    settings = {"agent.gradient": "sampled", "agent.initial_logit": 1.0}
    found = rs.run("bandit", seeds=8, settings=settings, until="decided", max_seeds=64)
    assert len(found.runs) == 32  # 8 and 16 runs are too few, whatever they say
    assert found.verdict()["verdict"] != "undetermined"
    kept = rs.run("bandit", seeds=8, settings=settings, out=tmp_path / "out", until="decided", max_seeds=16)
    again = rs.run("bandit", seeds=8, settings=settings, out=tmp_path / "out", until="decided", max_seeds=16)
    assert again.runs.equals(kept.runs)  # the same call goes on from where it was
    assert len(kept.runs) == 16
    assert kept.runs.equals(found.runs.head(16))
    for parts, wrong in (
        (("until", "soon"), {"until": "soon"}),
        (("max_seeds", 4), {"until": "decided", "max_seeds": 4}),
    ):
        with complains(*parts):
            rs.run("bandit", seeds=8, **wrong)
