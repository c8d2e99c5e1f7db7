"""Games in which nothing is wrong: only the return matters, to compare learners with those of others."""

from typing import Any

import flax.linen as nn
import gymnax
import optax

import robustsim as rs
from robustsim.types import Array

LIMITS = {"CartPole-v1": 500, "SpaceInvaders-MinAtar": 1000}  # steps of an episode


class Towers(nn.Module):
    """The peer's network: policy and value share nothing, two hidden layers of 64 each."""

    num_actions: int

    @nn.compact
    def __call__(self, obs: Array) -> tuple[Array, Array]:
        """The logits and the value of each observation."""

        def tower(outputs: int) -> Array:
            x = obs
            for _ in range(2):
                x = nn.tanh(nn.Dense(64)(x))
            return nn.Dense(outputs)(x)

        return tower(self.num_actions), tower(1)[..., 0]


def peer_like(num_actions: int, num_envs: int, rollout_steps: int) -> rs.PPO:
    """PPO with everything that the peer has: its network, its clipping of each number of a gradient, its losses."""
    return rs.PPO(
        network=Towers(num_actions),
        optimizer=lambda rate: optax.chain(optax.clip(0.5), optax.adam(rate)),
        learning_rate=5e-4,
        max_grad_norm=1e6,
        value_coefficient=0.25,  # the peer's 0.5 times the half in its square
        entropy=0.01,
        discount=0.99,
        num_envs=num_envs,
        rollout_steps=rollout_steps,
    )


def _game(name: str, agent: Any) -> rs.Scenario:
    env, params = gymnax.make(name)
    return rs.Scenario(
        env=rs.adapt(env, params, max_steps=LIMITS[name]),
        training_levels=params,
        deployment_levels=params,
        misbehaviour=lambda tr: tr.terminated,
        agent=agent,
        catastrophe=rs.Catastrophe(threshold=1_000_000_000),
        evaluation=rs.Evaluation(episodes=32, screen=16),
        training=rs.Training(competence=0.0),
        deployment=rs.Deployment(budget=1, patience=0.0, relapse_steps=0),
        records=[rs.Measure(name="gain", of=lambda tr: tr.reward, doc="return of an episode", unit="reward")],
    )


def peer_like_dqn(num_envs: int) -> rs.DQN:
    """DQN with what the peer has."""
    return rs.DQN(
        learning_rate=5e-4,
        discount=0.99,
        replay=12_500,
        exploration=0.02,
        exploration_steps=5000,
        minibatches=1,
        minibatch=128,
        num_envs=num_envs,
        rollout_steps=1,
    )


@rs.scenario
def cartpole() -> rs.Scenario:
    """A pole is kept upright for 500 steps, and every step pays 1."""
    return _game("CartPole-v1", rs.A2C())


@rs.scenario
def cartpole_peer() -> rs.Scenario:
    """The same, with the peer's network and settings."""
    return _game("CartPole-v1", peer_like(2, 16, 128))


@rs.scenario
def invaders_peer() -> rs.Scenario:
    """MinAtar's Space Invaders: every alien pays 1."""
    return _game("SpaceInvaders-MinAtar", peer_like(4, 64, 32))


@rs.scenario
def cartpole_dqn() -> rs.Scenario:
    """CartPole, with the settings of the peer's DQN."""
    return _game("CartPole-v1", peer_like_dqn(4))


@rs.scenario
def invaders_dqn() -> rs.Scenario:
    """Space Invaders, likewise."""
    return _game("SpaceInvaders-MinAtar", peer_like_dqn(16))


@rs.scenario
def cartpole_npg() -> rs.Scenario:
    """CartPole for the natural gradient: a step of the value must not move the policy, so they share nothing."""
    agent = rs.NPG(
        network=Towers(2),
        learning_rate=1.0,
        largest_step=0.03,
        critic_rate=0.01,
        entropy=0.0,
        discount=0.99,
        num_envs=16,
        rollout_steps=128,
    )
    return _game("CartPole-v1", agent)
