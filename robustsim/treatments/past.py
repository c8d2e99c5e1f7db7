"""What an agent keeps of its training, so that it can be repaired: its last rollouts, and what it was before them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch, Experience, Learner, Penalty
from robustsim.pytree import pytree
from robustsim.treatments.wrap import Treated
from robustsim.types import Array, Tree


@pytree
class Past:
    """A ring of R rollouts."""

    params: Tree  # of the agent from before the first rollout that was ever kept
    rollouts: Batch  # leaves [R, ...], with the rewards of the task alone
    offence: Array  # float[R, T, B], what the overseer of training added to them
    count: Array  # int32[], rollouts so far

    def with_rollout(self, batch: Batch, offence: Array) -> "Past":
        """With one more rollout, in place of the oldest."""
        at = self.count % self.offence.shape[0]

        def put(ring: Array, value: Array) -> Array:
            return ring.at[at].set(value.astype(ring.dtype))

        return dataclasses.replace(
            self,
            rollouts=jax.tree.map(put, self.rollouts, plain(batch)),
            offence=put(self.offence, offence),
            count=self.count + 1,
        )

    def rollout(self, key: Array, strength: Array | float) -> Batch:
        """One of them at random; its reward has `strength` times what the overseer of training added. Uses the key."""
        at = jax.random.randint(key, (), 0, jnp.clip(self.count, 1, self.offence.shape[0]))
        batch = jax.tree.map(lambda ring: ring[at], self.rollouts)
        return dataclasses.replace(batch, reward=batch.reward + strength * self.offence[at])


def plain(batch: Batch) -> Batch:
    """A batch as it can be learned from at any time: without what the agent of that time computed."""
    return dataclasses.replace(batch, extras=(), lesson=None, verdict=None, sparse=None, fresh=False)


def recalling(learner: Learner, blank: Batch, room: int) -> Learner:
    """A learner whose agents keep so many rollouts; until they are told to, `blank` ones."""

    def init(key: Array) -> Treated:
        agent = learner.init(key)
        ring = jax.tree.map(lambda x: jnp.zeros((room, *x.shape), x.dtype), blank)
        past = Past(params=agent.params, rollouts=ring, offence=ring.reward, count=jnp.int32(0))
        return Treated(inner=agent, kept=past)

    def deploy(key: Array, agent: Treated, experience: Experience) -> Treated:
        return Treated(inner=learner.deploy(key, agent.inner, experience), kept=agent.kept)

    def update(key: Array, agent: Treated, batch: Batch, params: Tree, penalty: Penalty | None) -> Treated:
        return Treated(inner=learner.update(key, agent.inner, batch, params, penalty), kept=agent.kept)

    def restart(agent: Treated) -> Treated:
        return Treated(inner=learner.restart(agent.inner), kept=agent.kept)

    return learner._replace(init=init, deploy=deploy, update=update, restart=restart)


def past_of(agent: Any) -> Past | None:
    """What an agent keeps, inside whatever treatments have put around it; None if nothing."""
    while isinstance(agent, Treated):
        if isinstance(agent.kept, Past):
            return agent.kept
        agent = agent.inner
    return None


def with_past(agent: Treated, past: Past) -> Treated:
    """An agent that keeps something else."""
    if isinstance(agent.kept, Past):
        return Treated(inner=agent.inner, kept=past)
    return Treated(inner=with_past(agent.inner, past), kept=agent.kept)
