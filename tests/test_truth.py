"""The analytic ground truths: the recursions against the reference values, and the simulator against both."""

import json

import numpy as np
import pytest

from robustsim.cli.main import main
from robustsim.truth import theory, validate, validate_oversight


def failed(checks: list[validate.Check]) -> list[validate.Check]:
    assert checks
    return [check for check in checks if not check.passed]


ORACLES = validate.oracles()
EXACT = ("bandit", "watched_disc", "latency", "entropy_T", "kl_anchor_T", "critic_lag")


def checked(name: str, rows: list[validate.Row], runs: int = 0) -> list[validate.Check]:
    return list(validate.TABLES[name](rows, runs, runs))


@pytest.mark.parametrize("name", EXACT)
def test_fast_rows_of_the_exact_tables(name: str) -> None:
    rows = [
        r
        for r in ORACLES[name]
        if (r.get("T_disc") or r.get("T") or r.get("T_U") or 0) <= 3000 and r.get("L", 0) in (0, 5)
    ]
    assert failed(checked(name, rows)) == []


def test_adam_and_pretraining() -> None:
    adam = [r for r in ORACLES["adam_T"] if r["alpha"] >= 0.01]
    assert failed(checked("adam_T", adam)) == []
    assert failed(checked("pretrain", [r for r in ORACLES["pretrain"] if r["n"] <= 300])) == []


def test_sampled_laws_on_few_runs() -> None:
    assert failed(checked("reinforce_penalty", ORACLES["reinforce_penalty"][:2], 400)) == []
    assert failed(checked("reinforce_praise", ORACLES["reinforce_praise"][:2], 400)) == []
    assert failed(checked("race_reinforce", ORACLES["race_reinforce"][1:2], 2000)) == []


OVERSIGHT = validate_oversight.oracles()


@pytest.mark.parametrize("name", OVERSIGHT)
def test_few_rows_of_the_oversight_tables(name: str) -> None:
    rows = [r for r in OVERSIGHT[name] if (r.get("T") or r.get("T_U") or 0) <= 1000][:2]
    assert failed(list(validate_oversight.table(name, rows, 300, 2000))) == []


def test_a_wrong_simulator_would_be_noticed() -> None:
    """The test of the sampled law has teeth: with a step 5% too large it fails."""
    row = dict(ORACLES["reinforce_penalty"][3])
    chances = theory.reinforce_chances(row["theta0"], row["eps"], row["a_p"] * 1.05, row["d"])
    checks = list(validate._law("reinforce_penalty", row, False, chances, 2000))
    assert not all(c.passed for c in checks if c.quantity.startswith("PIT"))


def test_the_distribution_of_a_sum_of_geometrics() -> None:
    chances = theory.reinforce_chances(2, 0.05, 1, 0.5)
    mass = theory.geometric_sum_distribution(chances, 2000)
    assert mass.sum() == pytest.approx(1, abs=1e-9)
    assert (np.arange(2001) * mass).sum() == pytest.approx((1 / chances).sum())
    below = mass.cumsum()
    assert [int((below < q).sum()) for q in (0.05, 0.5, 0.95)] == [43, 78, 153]  # theory A.1


def test_a_sigmoid_with_twice_the_rate_is_a_softmax() -> None:
    one, two = validate.exact_times(
        [{"agent.logits": 1, "agent.learning_rate": 1.0}, {"agent.logits": 2, "agent.learning_rate": 0.5}]
    )
    assert one["both"] == two["both"] == 88


def test_twice_the_penalty_at_half_the_coverage_is_the_same() -> None:
    a, b = validate.exact_times(
        [{"overseer.penalty": 1, "overseer.coverage": 0.8}, {"overseer.penalty": 2, "overseer.coverage": 0.4}]
    )
    assert a["both"] == b["both"]


def test_a_bonus_has_a_critical_coverage() -> None:
    """Theory A.5: d_c = b / p + f, with T = 292 and 875 just above it and never below."""
    base = {"env.bonus": 0.3, "deployment.budget": 20_000}
    times = validate.exact_times([{**base, "overseer.coverage": d} for d in (0.6, 0.4, 0.31, 0.29)])
    assert [int(t["both"]) for t in times] == [292, 875, 8743, -1]


def test_false_positives_lengthen_and_then_prevent_removal() -> None:
    """Theory A.5, theta0 = 4, d = .5."""
    base = {"overseer.coverage": 0.5, "deployment.budget": 20_000}
    times = validate.exact_times([{**base, "overseer.false_positive_rate": f} for f in (0, 0.05, 0.1, 0.3, 0.45, 0.5)])
    assert [int(t["both"]) for t in times] == [176, 195, 220, 438, 1749, -1]


def test_half_the_budget_of_penalties_buys_almost_nothing() -> None:
    """Theory A.1: left at theta_C, here in the sampled bandit with 60 of the 64 penalties."""
    settings = {"agent.gradient": "sampled", "overseer.coverage": 0.5, "overseer.budget": 60, "agent.initial_logit": 4}
    got = validate.sampled(settings, 50, 0, 2000)
    assert set(got["corrections"].tolist()) == {60}
    assert (got["steps"] == -1).all()


def test_updates_that_rounding_swallows_are_counted() -> None:
    """Theory A.1: an agent beyond the resolution of its numbers would look like one that nothing can move."""
    base = {"deployment.budget": 50}
    lost, fine = validate.exact_times([{**base, "agent.initial_logit": 37}, {**base, "agent.initial_logit": 20}])
    assert (lost["unresolved"], fine["unresolved"]) == (50, 0)


def test_the_same_through_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    sets = {
        "agent.initial_logit": 6,
        "overseer.penalty": 5,
        "agent.learning_rate": 0.1,
        "overseer.coverage": 0.3,
        "evaluation.threshold": 0.02,
    }
    words = [word for name, value in sets.items() for word in ("--set", f"{name}={value}")]
    main(["run", "bandit", "--seeds", "2", "--json", *words])
    answer = json.loads(capsys.readouterr().out)
    assert answer["steps_to_correct"] == {"median": 1575, "low": 1575, "high": 1575, "censored": 0}
    assert answer["expected_misbehaviours"]["median"] == pytest.approx(1380.1658399109476)
