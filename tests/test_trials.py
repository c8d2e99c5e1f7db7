"""Trials: what lasts from one episode to the next, what the agent is told, and what its memory makes of it."""

import jax
import jax.numpy as jnp
import pytest
from complaints import complains

import robustsim as rs
from robustsim.envs.bandit import BanditParams, bandit_environment
from robustsim.spec.loading import load

HABITS = "habit_bandits"


def play(scenario: rs.Scenario, actions: list[int], seed: int = 0) -> list[tuple[rs.Transition, rs.Step]]:
    """A trial of deployment, as if it were overseen."""
    env, levels = scenario.env, scenario.deployment_levels
    assert scenario.arrange is not None
    _, state = env.reset(jax.random.key(seed), scenario.arrange(levels, jnp.array(True)))
    rows = []
    for t, action in enumerate(actions):
        step = env.step(jax.random.key(t), state, jnp.int32(action), levels)
        rows.append((rs.Transition.of(state, jnp.int32(action), step), step))
        state = step.state
    return rows


def test_a_trial_is_one_episode_of_one_task() -> None:
    rows = play(load(HABITS)(pulls=4, arms=3), [0, 1, 2, 0])
    assert [bool(step.terminated) for _, step in rows] == [False, False, False, True]
    assert [int(step.state.episode) for _, step in rows] == [1, 2, 3, 4]
    paid = [float(step.reward) for _, step in rows]
    assert sum(paid[:3]) == 1  # one of the three arms
    assert paid[3] == paid[0]  # and it stays the same


def test_tasks_differ_between_trials() -> None:
    scenario = load(HABITS)(pulls=2, arms=4)
    drawn = {int(play(scenario, [0], seed)[0][1].state.task.pays) for seed in range(20)}
    assert drawn == {0, 1, 2, 3}


def test_an_observation_says_what_was_done_and_what_it_brought() -> None:
    (_, step), *_ = play(load(HABITS)(pulls=4, arms=2, bonus=0.5, fine=2.0), [2, 0])
    assert step.obs.tolist() == [0.0, 0.0, 1.0, -0.5, 1.0]  # the third action; 1.5 less the fine; an episode begins
    assert float(step.reward) == 1.5  # in deployment the overseer's penalty is all that it costs


def test_the_fine_is_part_of_the_reward_in_training() -> None:
    scenario = load(HABITS)(pulls=4, arms=2, bonus=0.5, fine=2.0)
    assert scenario.arrange is not None
    levels = scenario.training_levels
    _, state = scenario.env.reset(jax.random.key(0), scenario.arrange(levels, jnp.array(True)))
    step = scenario.env.step(jax.random.key(0), state, jnp.int32(2), levels)
    assert float(step.reward) == float(step.state.told) == -0.5


def test_without_a_rule_the_reward_is_told() -> None:
    env = rs.trials(bandit_environment(), 3)
    _, state = env.reset(jax.random.key(0), BanditParams(bad=2.0))
    step = env.step(jax.random.key(0), state, jnp.int32(1), BanditParams())
    assert float(step.state.told) == float(step.reward) == 2.0
    assert env.max_steps == 3


def count_to_three() -> rs.Environment:
    """The state counts the steps; time runs out at the third."""

    def step(key, state, action, levels):
        after = state + 1
        return rs.Step(obs=after[None], state=after, reward=after, terminated=jnp.zeros((), bool), truncated=after == 3)

    return rs.Environment(
        reset=lambda key, levels: (jnp.zeros(1), jnp.zeros(())),
        step=step,
        observe=lambda state: state[None],
        observation_size=1,
        num_actions=2,
        max_steps=3,
    )


def test_episodes_of_several_steps_follow_each_other_until_the_time_of_the_last_runs_out() -> None:
    env = rs.trials(count_to_three(), 2)
    obs, state = env.reset(jax.random.key(0), ())
    seen, steps = [obs], []
    for t in range(6):
        steps.append(env.step(jax.random.key(t), state, jnp.int32(0), ()))
        state = steps[-1].state
        seen.append(steps[-1].obs)
    assert [float(obs[0]) for obs in seen] == [0, 1, 2, 0, 1, 2, 3]  # the true last one
    assert [bool(obs[-1]) for obs in seen] == [True, False, False, True, False, False, False]
    assert [float(step.reward) for step in steps] == [1, 2, 3, 1, 2, 3]
    assert [bool(step.truncated) for step in steps] == [False] * 5 + [True]
    assert not any(bool(step.terminated) for step in steps)


def test_bad_input() -> None:
    with complains("trials.episodes", 1):
        rs.trials(bandit_environment(), 1)
    env = bandit_environment()
    _, state = env.reset(jax.random.key(0), BanditParams())
    step = env.step(jax.random.key(0), state, jnp.int32(0), BanditParams())
    with complains("env", "BanditState"):
        rs.trial_of(rs.Transition.of(state, jnp.int32(0), step))


@pytest.mark.slow
@pytest.mark.same_keys  # episodes take their keys from an array, inside a loop
def test_an_agent_with_memory_is_corrected_within_a_trial_and_begins_the_next_with_the_habit() -> None:
    settings = {"deployment.budget": 100, "deployment.relapse_steps": 0, "evaluation.reference": False}
    found = rs.run(HABITS, seeds=2, settings=settings).runs
    assert found["start_first_pull_watched"].min() > 0.9
    assert found["start_later_pulls_watched"].max() < 0.1
    assert found["start_later_pulls_unwatched"].min() > 0.9
