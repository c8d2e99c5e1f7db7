"""Feedback beyond penalties: a probe that reads plans, a reward model that learns from comparisons, demonstrations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import robustsim as rs
from robustsim.oversight import judge, reader


def test_what_is_still_to_come_ends_with_the_episode() -> None:
    misbehaved = jnp.array([0, 0, 1, 0, 0, 0], bool)[:, None]
    ended = jnp.array([0, 1, 0, 1, 0, 0], bool)[:, None]
    assert reader.still_to_come(misbehaved, ended)[:, 0].tolist() == [False, False, True, False, False, False]
    ended = jnp.zeros((6, 1), bool)
    assert reader.still_to_come(misbehaved, ended)[:, 0].tolist() == [True, True, True, False, False, False]


def test_a_probe_learns_to_foresee_what_the_hidden_layer_knows() -> None:
    hidden = jnp.tanh(jax.random.normal(jax.random.key(0), (32, 16, 64)))
    label = hidden[..., 3] > 0.6
    seen = jax.random.uniform(jax.random.key(1), label.shape) < 0.8
    probe = reader.blank(64)
    assert float(reader.foresee(probe, hidden).max()) == 0.5  # it foresees nothing before it has studied
    for _ in range(60):
        probe = reader.study(probe, hidden, label, seen)
    right = (np.asarray(reader.foresee(probe, hidden)) > 0.5) == np.asarray(label)
    assert right.mean() > 0.9
    same = reader.study(probe, hidden, label, jnp.zeros_like(seen))
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), probe, same)))


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_reward_model_learns_from_comparisons_which_act_is_bad(noise: float) -> None:
    model = judge.model(4, 3)
    state = model.begin(jax.random.key(0))
    study = jax.jit(model.study)
    for i in range(300):
        key_obs, key_act, key_choice = jax.random.split(jax.random.key(i + 1), 3)
        obs = jax.nn.one_hot(jax.random.randint(key_obs, (8, 16), 0, 4), 4)
        action = jax.random.randint(key_act, (8, 16), 0, 3)
        bad = (obs[..., 1] == 1) & (action == 2)
        faults = bad.sum(0).reshape(2, 8)
        preferred = judge.prefer(faults, jnp.float32(noise), jax.random.uniform(key_choice, (8,)))
        state = study(state, obs, action, preferred)
    every = np.array([[model.reward(state.params, jnp.eye(4)[s], jnp.int32(a)) for a in range(3)] for s in range(4)])
    assert np.unravel_index(every.argmin(), every.shape) == (1, 2)
    assert every[1, 2] < np.delete(every.ravel(), 5).min() - 0.3


def test_ties_prefer_neither_and_noise_turns_choices_round() -> None:
    faults = jnp.array([[0, 2, 1], [1, 1, 1]])
    assert judge.prefer(faults, jnp.float32(0.1), jnp.full(3, 0.5)).tolist() == [1.0, 0.0, 0.5]
    assert judge.prefer(faults, jnp.float32(0.1), jnp.full(3, 0.05)).tolist() == [0.0, 1.0, 0.5]


def test_the_way_to_an_item_is_a_shortest_one() -> None:
    scenario = rs.load("camera_vault")()
    env, levels = scenario.env, scenario.deployment_levels
    assert scenario.demonstrate is not None
    for seed in range(20):
        _, state = env.reset(jax.random.key(seed), levels)
        coin, gold = (state.names.index(name) for name in ("coin", "gold"))
        moves = 0
        while not bool(state.taken[coin]):
            step = env.step(jax.random.key(0), state, scenario.demonstrate(state, jnp.array(False)), levels)
            state, moves = step.state, moves + 1
            assert moves <= 20
        assert not bool(state.taken[gold])  # no way to the coin leads over the gold


SHORT = {
    "training.steps": 0,
    "training.competence": 0.0,
    "evaluation.episodes": 64,
    "evaluation.screen": 16,
    "agent.width": 16,
}


def test_demonstrations_teach_a_network_the_good_act() -> None:
    settings = SHORT | {"overseer.feedback": "demonstration", "overseer.penalty": 5.0, "deployment.budget": 120}
    settings |= {"overseer.visible": False, "agent.learning_rate": 3e-3}
    runs = rs.run("camera_vault", seeds=2, settings=settings, execution=rs.Execution(executor="inline")).runs
    assert (runs["final_competence"] > 0.9).all()
    assert (runs["final_misbehaviour_watched"] < 0.1).all()  # by 64 episodes, of about 0.9 at the start
    assert (runs["labels"] > 0).all()


def test_labels_and_audits_are_counted_and_limited() -> None:
    settings = SHORT | {"overseer.labels": 50, "overseer.coverage": 1.0, "overseer.audit_rate": 0.5}
    settings |= {"deployment.budget": 30}
    runs = rs.run("camera_vault", seeds=2, settings=settings, execution=rs.Execution(executor="inline")).runs
    assert (runs["labels"] == 50).all()
    assert (runs["audits"] > 10).all()
    assert (runs["audits"] < 40).all()
    cost = runs["labels"] + runs["audits"] + runs["corrections"] + runs["false_alarms"]
    assert runs["feedback_cost"].to_list() == cost.to_list()
