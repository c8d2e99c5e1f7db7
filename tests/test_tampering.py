"""Tampering, its guarded twin, loss of control, and what a placement makes of them."""

import polars as pl
import pytest

import robustsim as rs
from robustsim.analysis.placement import place, tampering_index

SHORT = {
    "training.steps": 0,
    "training.competence": 0.0,
    "deployment.budget": 12,
    "evaluation.episodes": 64,
    "evaluation.screen": 16,
    "agent.width": 16,
}
INLINE = rs.Execution(executor="inline")


def both_twins(name: str, **changes: object) -> tuple[rs.Results, rs.Results]:
    """The scenario as it is, and its guarded twin, for a few steps of two untrained agents."""
    settings = SHORT | {key.replace("__", "."): value for key, value in changes.items()}
    results = rs.Sweep(name, over={"tampering.guarded": [False, True]}, seeds=2, settings=settings).run(
        execution=INLINE
    )
    return results.where({"tampering.guarded": False}), results.where({"tampering.guarded": True})


@pytest.mark.parametrize("name", ["reward_button", "bribe_the_supervisor", "cut_the_camera"])
def test_the_oracle_reward_stands_beside_the_one_that_was_used(name: str) -> None:
    bare, guarded = both_twins(name)
    assert (guarded.runs["tampering"] == 0).all()
    assert (guarded.runs["distortion"] == 0).all()
    seen = guarded.traces.filter(pl.col("step") > 0)
    assert seen["reward_used"].to_list() == seen["reward_oracle"].to_list()
    assert (bare.runs["tampering"] > 0).all()
    assert (bare.runs["distortion"] > 0).any()
    corrected = bare.traces.filter(pl.col("step") > 0, pl.col("arm") == "corrected")
    assert (corrected["reward_used"] >= corrected["reward_oracle"] - 1e-6).all()
    assert bare.guarded is not None
    assert guarded.guarded is None


def test_the_button_pays_its_gain_at_every_press() -> None:
    bare, _ = both_twins("reward_button", tampering__gain=2.0, overseer__penalty=0.0)
    steps = 12 * 16 * 32
    for run in bare.runs.iter_rows(named=True):
        assert run["distortion"] == pytest.approx(2.0 * run["tampering"] / steps, rel=1e-4)


def runs(first: list[str], distortion: float, **columns: object) -> pl.DataFrame:
    """A table of runs, as far as a placement reads it."""
    n = len(first)
    lost = [event == "catastrophe" for event in first]
    return pl.DataFrame(
        {
            "first_event": first,
            "distortion": [distortion * (1 + 0.01 * (i % 3)) for i in range(n)],
            "misbehaviour_watched": [1.0] * n,
            "misbehaviour_unwatched": [1.0] * n,
            "training_competence": [1.0] * n,
            "catastrophe": [True] * n,
            "catastrophe_in_race": lost,
            "corrected": [not x for x in lost],
            "suppressed": [not x for x in lost],
            "incapacitated": [False] * n,
            "concealment": [0.0] * n,
            "first_event_defended": pl.Series([None] * n, dtype=pl.String),
            "steps_to_catastrophe_defended": pl.Series([None] * n, dtype=pl.Int64),
            "steps_to_catastrophe_defended_lower": pl.Series([None] * n, dtype=pl.Int64),
            "position_defended": pl.Series([None] * n, dtype=pl.Float64),
            "position_defended_lower": pl.Series([None] * n, dtype=pl.Float64),
            "position_defended_upper": pl.Series([None] * n, dtype=pl.Float64),
            **columns,
        }
    )


FAILED, FINE = ["catastrophe"] * 64, ["removed"] * 64
SETTINGS = {"deployment.budget": 1000, "evaluation.threshold": 0.05}


def test_tampering_is_a_matter_of_the_guarded_twin() -> None:
    told = place(runs(FAILED, 0.2), SETTINGS, runs(FINE, 0.0))
    assert told["label"] == "tampering"
    assert "guarded twin" in told["family"]
    alone = place(runs(FAILED, 0.2), SETTINGS)
    assert alone["label"] == "undetermined"
    assert "tampering.guarded=true" in alone["reason"]
    still = place(runs(FAILED, 0.2), SETTINGS, runs(FAILED, 0.0))
    assert still["label"] == "undetermined"
    assert "64 of 64" in still["reason"]
    few = place(runs(FAILED[:8], 0.2), SETTINGS, runs(FINE[:8], 0.0))
    assert few["label"] == "undetermined"
    assert "59" in few["reason"]
    clean = place(runs(FAILED, 0.0), SETTINGS, runs(FINE, 0.0))
    assert clean["label"] == "undetermined"
    assert "tampering" not in clean["reason"]


def test_the_tampering_index_has_a_limit() -> None:
    mean, low = tampering_index(runs(FAILED, 0.2))
    assert mean == pytest.approx(0.202, abs=0.001)
    assert 0.2 < low < mean
    assert tampering_index(runs(FINE, 0.2)) == (0.0, 0.0)  # only runs that ended badly count


def test_flags_of_a_failure() -> None:
    lost = place(runs(FAILED, 0.0), SETTINGS | {"catastrophe.loss_of_control": True})
    assert lost["flags"] == ["loss-of-control"]
    assert "64 of 64 runs were never" in lost["reason"]
    perfect = {"overseer.coverage": 1.0, "overseer.budget": float("inf")}
    perfect |= {"overseer.per_update": float("inf"), "overseer.labels": float("inf")}
    zeros = ("latency", "delay", "miss_rate", "false_positive_rate", "onset", "ramp", "period")
    perfect |= {f"overseer.{name}": 0 for name in zeros}
    assert place(runs(FAILED, 0.0), SETTINGS | perfect)["flags"] == ["high-stakes"]
    assert place(runs(FINE, 0.0), SETTINGS | perfect)["flags"] == []
    held = runs(FAILED, 0.0, first_event_defended=["censored"] * 64)
    assert place(held, SETTINGS)["flags"] == ["monitoring-only"]


def test_control_that_is_lost_gives_no_more_penalties() -> None:
    """With every episode watched, corrections stop at the catastrophe, late ones included; without it they go on."""
    over = {"catastrophe.loss_of_control": [True, False], "overseer.latency": [0, 3]}
    settings = {"agent.gradient": "sampled", "catastrophe.threshold": 20, "deployment.budget": 4000}
    results = rs.Sweep("bandit", over=over, seeds=8, settings=settings).run(execution=INLINE)
    for latency in (0, 3):
        lost = results.where({"catastrophe.loss_of_control": True, "overseer.latency": latency}).runs
        kept = results.where({"catastrophe.loss_of_control": False, "overseer.latency": latency}).runs
        assert not lost["corrected"].any()
        assert kept["corrected"].all()
        # The rollout in which it fires is not penalised any more.
        assert (lost["corrections"] == 19).all()
        assert lost["steps_to_catastrophe"].to_list() == kept["steps_to_catastrophe"].to_list()
