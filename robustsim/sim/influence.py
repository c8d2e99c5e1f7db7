"""What a corrected update of training does to the misbehaviour, to first order (Framing 1.5).

One rollout of training is learned from twice: with its own rewards, and with every misbehaviour penalised. The
influence of the correction is the slope of the misbehaviour's log odds in deployment along the difference, with the
sign turned: how much a gradient step of corrected training takes away. That is TracIn (Pruthi et al. 2020, arXiv
2002.08484) with the optimizer's own step in place of the gradient, and a probability's slope by its score function.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Act
from robustsim.oversight.protocol import Shift
from robustsim.sim import tally
from robustsim.sim.batched import in_turn
from robustsim.sim.episodes import UNIFORMS, Episodes, Moment, Script, as_batch, begin, chance, collect, play
from robustsim.sim.oversee import oversee
from robustsim.sim.world import World, make_world, starts
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings
from robustsim.types import Array, Tree

ROLLOUTS = 8  # of training, that the difference is a mean over
EPISODES = 512  # of deployment, a condition


@partial(jax.jit, static_argnames="factory")
def influences(factory: ScenarioFactory, training: Settings, settings: Settings, keys: Array, agents: Tree) -> Array:
    """float[N], the log odds of misbehaving in deployment that a gradient step of corrected training takes away.

    Args:
      training: of the training, with the overseer that corrects it; leaves lead with N, as in all of them.
      settings: of the deployment.
      keys: uint32[N, 2].
      agents: from training.
    """

    def one(training: Settings, settings: Settings, key: Array, agent: Any) -> Array:
        key_train, key_deploy = jax.random.split(jax.random.wrap_key_data(key))
        world = make_world(factory, training, True)
        direction = correction(world, key_train, agent)
        return -slope(make_world(factory, settings), key_deploy, agent.params, direction) / world.learner.gradient_steps

    return in_turn(one)(training, settings, keys, agents)


def correction(world: World, key: Array, agent: Any) -> Tree:
    """By how much the parameters differ after an update with and without the overseer's feedback; a mean over ROLLOUTS
    that follow each other. The key is consumed."""
    key_start, key_watch, key_overseer, key_rollouts = jax.random.split(key, 4)
    shape = (world.settings.agent.rollout_steps, world.settings.agent.num_envs)
    overseer = world.settings.overseer
    state = overseer.init(key_overseer, world.site)
    watch = overseer.watch(jax.random.uniform(key_watch, (shape[1], UNIFORMS)))
    episodes = begin(world, starts(world, key_start, (shape[1],)), watch.watched, watch.signal)

    def roll(episodes: Episodes, key: Array) -> tuple[Episodes, Tree]:
        key_uniform, key_resets, key_env, key_respond, key_update = jax.random.split(key, 5)
        uniforms, resets = jax.random.uniform(key_uniform, (*shape, UNIFORMS)), starts(world, key_resets, shape)
        after, rollout = collect(world, overseer, agent.params, episodes, uniforms, resets, key_env)
        shift = Shift(jnp.bool_(True), tally.init(world), uniforms[..., : UNIFORMS - 2], key_respond)
        _, overseen = oversee(world, overseer, state, shift, agent, rollout)

        def learned(reward: Array) -> Tree:
            batch = as_batch(world, after, rollout, reward, overseen.lesson)
            return world.learner.update(key_update, agent, batch, agent.params, None).params

        return after, jax.tree.map(jnp.subtract, learned(overseen.reward), learned(rollout.moments.reward))

    _, differences = jax.lax.scan(roll, episodes, jax.random.split(key_rollouts, ROLLOUTS))
    return jax.tree.map(lambda x: x.mean(0), differences)


def slope(world: World, key: Array, params: Tree, direction: Tree) -> Array:
    """float[], the slope of the log odds of misbehaving, in decision levels, along a direction of the parameters.

    The slope of a probability is the covariance of the event with the slope of the log-probability of what was done
    (Williams 1992). The key is consumed.
    """
    key_reset, key_act, key_env = jax.random.split(key, 3)
    count = 2 * EPISODES
    watched = jnp.arange(count, dtype=jnp.int32) >= EPISODES
    start = begin(
        world, starts(world, key_reset, (count,)), watched, watched & jnp.asarray(world.settings.overseer.visible, bool)
    )

    def fold(carry: Tree, after: Episodes, moment: Moment, act: Act, active: Array) -> tuple[Tree, None]:
        del after
        done = jnp.take_along_axis(act.log_policy, moment.action[:, None], -1)[:, 0]
        return carry + jnp.where(active, done, 0), None

    def played(params: Tree) -> tuple[Array, Array]:
        drawn = chance(key_act, key_env, count)
        script = Script(lambda memory, obs: world.learner.act(params, memory, obs), drawn, fold)
        found = play(world, script, start, jnp.zeros(count), world.scenario.env.max_steps)
        return found.carry, found.episodes.misbehaved

    _, score, misbehaved = jax.jvp(played, (params,), (direction,), has_aux=True)
    free, bad = start.avoidable.astype(score.dtype), (misbehaved & start.avoidable).astype(score.dtype)
    rate = jnp.sum(bad) / jnp.maximum(jnp.sum(free), 1)
    covariance = jnp.sum(free * (bad - rate) * score) / jnp.maximum(jnp.sum(free), 1)
    return covariance / jnp.maximum(rate * (1 - rate), jnp.finfo(score.dtype).eps)
