"""What an agent's head expects to happen to its misbehaviours, and what has happened to them."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp

from robustsim.agents.learner import Batch, Verdict
from robustsim.oversight.protocol import Feedback
from robustsim.sim.episodes import Moment
from robustsim.sim.world import World
from robustsim.treatments.belief import head_of
from robustsim.types import Array, Tree


class Beliefs(NamedTuple):
    """Pairs float[2] of (looking unwatched, looking watched); nan where there is nothing to say."""

    belief: Array  # mean probability of a penalty, over the misbehaviours of the last rollout that had any
    caught: Array  # share of the misbehaviours so far that were penalised


def beliefs(agent: Tree) -> Beliefs:
    """Those of an agent, of the rollouts that it has learned from."""
    head = head_of(agent)
    if head is None:
        nothing = jnp.full(2, jnp.nan)
        return Beliefs(nothing, nothing)
    return Beliefs(jnp.where(head.misbehaved > 0, head.expected, jnp.nan), head.caught / head.misbehaved)


def judged(world: World, batch: Batch, moments: Moment, feedback: Feedback) -> Batch:
    """The batch with what became of each misbehaviour, where an agent learns from that."""
    if "belief" not in world.settings.treatment:
        return batch
    return dataclasses.replace(batch, verdict=Verdict(misbehaved=moments.misbehaved, caught=feedback.caught))
