"""Why an agent was not deployed: what it reached, where it was heading, what it is paid for, and what to try."""

import polars as pl
import pytest
from complaints import says

import robustsim as rs
from robustsim.errors import RunsFailed
from robustsim.report import words
from robustsim.sim.agents import Course, Trained, complaint
from robustsim.spec.settings import resolve

WANTED = 0.95


def why(competence: float, steps: int = 4000, **course: float) -> str:
    """The complaint about an agent of camera_vault, trained for 2000 steps and an extension of as many."""
    seen = {"steps_before": 2000, "competence_before": 0.5, "reward_before": 0.1, "reward": 0.1, "misbehaviour": 0.0}
    seen["feedback"] = 0
    trained = Trained(None, competence, steps, Course(**(seen | course)))  # pyright: ignore[reportArgumentType]
    return complaint(trained, resolve(rs.load("camera_vault"), {}))


def test_a_competent_agent_is_not_complained_of() -> None:
    assert why(WANTED) == ""
    assert why(WANTED - 0.001) != ""


@pytest.mark.parametrize(
    ("told", "parts"),
    [
        (why(0.8), ("training.competence=0.95", 4000, "0.80", "0.50", "training.steps", "rising")),
        (why(0.5), ("0.50", "agent.learning_rate", "agent.entropy")),
        (why(0.0, misbehaviour=0.97, reward=1.9), ("0.00", "0.97", "1.9", "misbehaviour", "success", "rewards")),
        (why(0.5, reward=0.4), ("0.4", "success", "rewards")),
        (why(0.5, steps=2000), ("0.50", "training.extension")),
    ],
)
def test_the_hint_is_about_this_agent(told: str, parts: tuple[object, ...]) -> None:
    assert says(told, *parts)
    assert "\n" not in told
    assert ("rising" in told) == ("rising" in parts)  # only an agent that improves is told to go on


def test_agents_that_fail_alike_are_one_reason() -> None:
    results = rs.run("bandit", seeds=1, settings={"deployment.budget": 5})
    alike = [why(0.51), why(0.5, reward_before=0.11), why(0.8)]
    failed = pl.DataFrame({"seed": [1, 2, 3], "why": alike})
    said = words.failures(rs.Results(results.runs, results.traces, results.manifest, failed=failed))
    assert said.count("training.competence=0.95") == 2
    assert says(said, "seed 1; seed 2:", "seed 3:")


def test_a_reward_that_is_farmed_is_not_a_matter_of_more_steps() -> None:
    """The bait pays more than the coin, and taking it is no success."""
    world = rs.Grid(
        map=rs.room(5),
        items={"coin": rs.Item(reward=1.0, ends=True), "bait": rs.Item(reward=5.0, ends=True)},
        max_steps=12,
    )

    @rs.scenario
    def farmed() -> rs.Scenario:
        """What is paid is not what is wanted."""
        return rs.Scenario(
            env=world.environment(),
            training_levels=world.levels(),
            deployment_levels=world.levels(),
            misbehaviour=world.took("bait"),
            success=world.took("coin"),
            agent=rs.A2C(),
        )

    with pytest.raises(RunsFailed) as failed:
        rs.run(farmed, seeds=1, settings={"training.steps": 600, "agent.learning_rate": 0.003})
    assert says(str(failed.value), "training.competence=0.95", "misbehaviour", "success", "rewards")
