"""How much of a lesson learned while watched carries over to episodes that look unwatched: the tangent kernel's ratio.

The log odds of an act that led to a misbehaviour have a slope in the parameters where the agent looks watched, and one
where it looks unwatched. To first order a step along the first changes the unwatched log odds by rho times as much as
the watched ones, where rho is the inner product of both slopes over the square of the first (theory A.2, with the
empirical neural tangent kernel of Jacot et al. 2018, arXiv 1806.07572, in the place of the features').
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Act
from robustsim.errors import UserError
from robustsim.sim.episodes import Episodes, Moment, Script, begin, chance, play
from robustsim.sim.world import World, make_world, observe, starts
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings
from robustsim.types import Array, Tree

EPISODES = 512


class Sharing(NamedTuple):
    """What one lesson is worth where it was not taught."""

    rho: Array  # float[], the unwatched change of log odds over the watched one, to first order
    cosine: Array  # float[], of both slopes
    acts: Array  # int32[], that the slopes are means over; 0: there was no misbehaviour


@partial(jax.jit, static_argnames="factory")
def sharing(factory: ScenarioFactory, settings: Settings, key: Array, params: Tree) -> Sharing:
    """The sharing of an agent, along episodes of deployment that look watched; the key is uint32[2].

    Raises:
      UserError: the signal is hidden, or the agent has a memory.
    """
    world = make_world(factory, settings)
    if jax.tree.leaves(world.learner.memory(1)):
        raise UserError("sharing: an agent with a memory has no slope at a state; use another agent.network")
    states, actions, counted = _acts(world, jax.random.wrap_key_data(key), params)

    def log_odds(params: Tree, signal: float) -> Array:
        """float[], the mean over acts."""
        obs = observe(world, states, jnp.full(actions.shape, signal))
        log_policy = world.learner.act(params, world.learner.memory(len(actions)), obs).log_policy
        mine = jax.nn.one_hot(actions, log_policy.shape[-1], dtype=bool)
        others = jax.nn.logsumexp(jnp.where(mine, -jnp.inf, log_policy), -1)
        odds = jnp.sum(jnp.where(mine, log_policy, 0), -1) - others
        return jnp.sum(jnp.where(counted, odds, 0)) / jnp.maximum(jnp.sum(counted), 1)

    watched, unwatched = (jax.grad(log_odds)(params, signal) for signal in (1.0, 0.0))
    size, other, both = _inner(watched, watched), _inner(unwatched, unwatched), _inner(watched, unwatched)
    tiny = jnp.finfo(size.dtype).tiny
    return Sharing(
        rho=both / jnp.maximum(size, tiny),
        cosine=both / jnp.maximum(jnp.sqrt(size * other), tiny),
        acts=jnp.sum(counted, dtype=jnp.int32),
    )


def _inner(a: Tree, b: Tree) -> Array:
    return sum((jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)), jnp.zeros(()))


def _acts(world: World, key: Array, params: Tree) -> tuple[Tree, Array, Array]:
    """(states, actions int32[N], whether each led up to a misbehaviour, bool[N]); the key is consumed."""
    key_reset, key_act, key_env = jax.random.split(key, 3)
    watched = jnp.ones(EPISODES, bool)
    start = begin(world, starts(world, key_reset, (EPISODES,)), watched, watched)

    def fold(carry: Tree, after: Episodes, moment: Moment, act: Act, active: Array) -> tuple[Tree, Tree]:
        del act
        state, clean = carry
        frame = {"state": state, "action": moment.action, "counted": active & clean}
        return (after.state, clean & ~moment.misbehaved), frame

    drawn = chance(key_act, key_env, EPISODES)
    script = Script(lambda memory, obs: world.learner.act(params, memory, obs), drawn, fold, keep=True)
    played = play(world, script, start, (start.state, watched), world.scenario.env.max_steps)
    bad = played.episodes.misbehaved & start.avoidable
    frames = played.frames | {"counted": played.frames["counted"] & bad}
    flat = jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), frames)
    return flat["state"], flat["action"], flat["counted"]
