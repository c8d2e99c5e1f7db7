"""Rollouts: every truncated step has its own true last observation, however often an episode ends in a rollout."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import robustsim as rs
from robustsim.sim import batched
from robustsim.sim.episodes import UNIFORMS, as_batch, begin, collect
from robustsim.sim.world import make_world
from robustsim.spec.settings import resolve

STEPS, ENVS = 16, 3


def counting(shortest: Any) -> Any:
    """A world whose observation is the time, and whose episodes are cut after three or five steps, by their level."""

    def reset(key: Any, levels: Any) -> Any:
        limit = jnp.where(jax.random.uniform(key) < 0.5, 3, 5)
        return jnp.zeros(1), {"time": jnp.int32(0), "limit": limit.astype(jnp.int32)}

    def step(key: Any, state: Any, action: Any, levels: Any) -> rs.Step:
        after = {**state, "time": state["time"] + 1}
        no = jnp.bool_(False)
        return rs.Step(
            obs=after["time"][None].astype(float),
            state=after,
            reward=jnp.float32(1),
            terminated=no,
            truncated=after["time"] >= after["limit"],
        )

    def build() -> rs.Scenario:
        """Episodes end several times in a rollout."""
        env = rs.Environment(
            reset=reset,
            step=step,
            observe=lambda state: state["time"][None].astype(float),
            observation_size=1,
            num_actions=2,
            max_steps=16,
            shortest=shortest,
        )
        agent = rs.A2C(num_envs=ENVS, rollout_steps=STEPS, width=4)
        return rs.Scenario(
            env=env, training_levels=None, deployment_levels=None, misbehaviour=lambda tr: tr.action == 1, agent=agent
        )

    build.__name__ = "counting"
    return rs.scenario(build)


@pytest.mark.same_keys  # episodes begin with keys from an array, which the checker cannot follow
@pytest.mark.parametrize(("shortest", "room"), [(None, STEPS), (lambda levels: 3, 6)])
def test_every_truncated_step_has_its_own_last_observation(shortest: Any, room: int) -> None:
    factory = counting(shortest)
    world = make_world(factory, batched.as_arrays(resolve(factory, {})))
    assert world.truncations == room
    keys = jax.random.split(jax.random.key(0), 5)
    agent = world.learner.init(keys[0])
    watched = jnp.zeros(ENVS, bool)
    episodes = begin(world, jax.random.split(keys[1], ENVS), watched, watched)
    uniforms = jax.random.uniform(keys[2], (STEPS, ENVS, UNIFORMS))
    resets = jax.random.split(keys[3], (STEPS, ENVS))
    overseer = world.settings.overseer
    after, rollout = collect(world, overseer, agent.params, episodes, uniforms, resets, keys[4])
    batch = as_batch(world, after, rollout, rollout.moments.reward)
    cut, slot = np.asarray(batch.truncated), np.asarray(batch.final_slot)
    assert cut.sum(0).min() >= 3
    for t, env in zip(*np.nonzero(cut), strict=True):
        last = float(batch.final_obs[slot[t, env], env, 0])
        assert last == float(batch.obs[t, env, 0]) + 1  # one step on from where the last action was taken
        assert last in (3.0, 5.0)


def test_a_grid_knows_its_shortest_time_limit() -> None:
    """monster_shields trains in levels of 25 steps with rollouts of 32: two may end in one."""
    factory = rs.load("monster_shields")
    world = make_world(factory, batched.as_arrays(resolve(factory, {})))
    assert world.truncations == 2
    world = make_world(rs.load("camera_vault"), batched.as_arrays(resolve(rs.load("camera_vault"), {})))
    assert world.truncations == 2
