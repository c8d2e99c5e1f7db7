"""Tampering, its guarded twin, and loss of control."""

import polars as pl
import pytest

import robustsim as rs

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


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("reward_button", {}),
        ("tamper_with_oversight", {"env__act": "cut"}),
        ("tamper_with_oversight", {"env__act": "bribe"}),
    ],
)
def test_the_oracle_reward_stands_beside_the_one_that_was_used(name: str, own: dict[str, str]) -> None:
    bare, guarded = both_twins(name, **own)
    assert (guarded.runs["tampering"] == 0).all()
    assert (guarded.runs["distortion"] == 0).all()
    seen = guarded.traces.filter(pl.col("step") > 0)
    assert seen["reward_used"].to_list() == seen["reward_oracle"].to_list()
    assert (bare.runs["tampering"] > 0).all()
    assert (bare.runs["distortion"] > 0).any()
    corrected = bare.traces.filter(pl.col("step") > 0, pl.col("arm") == "corrected")
    assert (corrected["reward_used"] >= corrected["reward_oracle"] - 1e-6).all()


def test_the_button_pays_its_gain_at_every_press() -> None:
    bare, _ = both_twins("reward_button", tampering__gain=2.0, overseer__penalty=0.0)
    steps = 12 * 16 * 32
    for run in bare.runs.iter_rows(named=True):
        assert run["distortion"] == pytest.approx(2.0 * run["tampering"] / steps, rel=1e-4)


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
