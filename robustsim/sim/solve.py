"""A deployment is an iterative solve with competing terminations. This page is the whole of it, for one run.

Training, both arms and the relapse phase take the same step: phases differ in settings, not in code.

| what ends a phase of a run | ending | who decides it |
|---|---|---|
| one-decision worlds: the misbehaviour is known to be removed | REMOVED | `terminate`, at every step |
| the catastrophe, in the unopposed arm or in a mere race | CATASTROPHE | `terminate`, at every step |
| the step at which the host wants a reading, or news | PAUSED | `terminate`, at every step |
| training: the agents that are wanted are there | COMPETENT | `follow.train_on`, at a reading |
| the control arm: its task is learned | COMPETENT | `terminate`, at every step |
| removed, and the misbehaviour is back after the overseer left | RELAPSED | `follow.follow`, at a reading |
| removed, in a mere race; removed, and the relapse phase is over | REMOVED; STABLE | `follow.follow`, at a reading |
| out of gradient steps | BUDGET | `follow.follow`, `follow.train_on`, at a reading |
| the weights are no longer finite | DIVERGED | `readings.diverged`, at a reading |
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch
from robustsim.events import NEVER, Ending
from robustsim.oversight.defences import UNIFORMS as DEFENDING
from robustsim.oversight.protocol import Shift
from robustsim.pytree import pytree
from robustsim.sim import believe, delay, expected, harm, repair, tally
from robustsim.sim.control import Control
from robustsim.sim.episodes import RULE, UNIFORMS, Episodes, as_batch, begin, collect
from robustsim.sim.oversee import oversee
from robustsim.sim.pay import mastered, pays
from robustsim.sim.world import World, starts, tutored, where
from robustsim.types import Array, Tree

# Folded into the keys of a run or a step, so that what only some runs need leaves the numbers of all others alone.
START, OVERSEER, RESPOND, DEFEND, UPDATE = (2**31 - i for i in range(1, 6))


@pytree
class RunState:
    """Everything that a run carries from one gradient step to the next."""

    agent: Any
    episodes: Episodes
    overseer: Tree
    harm: harm.HarmState
    delay: delay.Delay | None
    tally: tally.Tally
    known: expected.Known | None
    mastered: Array  # int32[], gradient step at which the action that is taught was taken in 90% of the steps, or NEVER
    step: Array  # int32[], gradient steps taken


def init(world: World, control: Control, agent: Any) -> RunState:
    """The state before the first gradient step of a phase, with fresh episodes."""
    run_key = jax.random.wrap_key_data(control.key)
    key_reset, key_watch = jax.random.split(jax.random.fold_in(run_key, START))
    envs, settings, zero = world.settings.agent.num_envs, world.settings, jnp.int32(0)
    overseer = settings.overseer.init(jax.random.fold_in(run_key, OVERSEER), world.site)
    today = settings.overseer.today(overseer, zero)
    watch = today.watch(jax.random.uniform(key_watch, (envs, UNIFORMS)))
    state = RunState(
        agent=agent,
        episodes=begin(world, starts(world, key_reset, (envs,)), watch.watched, watch.signal),
        overseer=overseer,
        harm=harm.init(world),
        delay=None,
        tally=tally.init(world),
        known=expected.init(world),
        mastered=jnp.int32(NEVER),
        step=zero,
    )
    late = delay.init(world, agent.params, lambda: _experience(world, control, state)[1])
    return replace(state, delay=late)


def step(world: World, control: Control, state: RunState) -> RunState:
    """One update, whatever the phase. In this order: act; the catastrophe rule; the overseer; the update."""
    return _experience(world, control, state)[0]


def _experience(world: World, control: Control, state: RunState) -> tuple[RunState, Batch]:
    """(the state after one update, the batch of this rollout)."""
    settings, agent = world.settings, tutored(world, state.agent, state.step)
    key = jax.random.fold_in(jax.random.wrap_key_data(control.key), state.step)
    key_uniform, key_reset, key_env = jax.random.split(key, 3)
    shape = (settings.agent.rollout_steps, settings.agent.num_envs)
    uniforms = jax.random.uniform(key_uniform, (*shape, UNIFORMS))
    overseer = settings.overseer.today(state.overseer, state.step)
    resets = starts(world, key_reset, shape)
    episodes, rollout = collect(world, overseer, agent.params, state.episodes, uniforms, resets, key_env)
    done = harm.done(world, rollout.moments, uniforms[..., RULE])
    known = expected.note(world, state.known, agent.params, state.step)
    over = expected.over(known)
    harmed = harm.advance(world, state.harm, done, state.step, over)
    lost = harm.control_lost(world, harmed)
    duty = settings.overseer.on_duty(state.step) & ~control.alone(state.step)
    present = (overseer.trains | ~control.training) & ~control.silent & duty & ~lost
    active = present & overseer.knows(state.overseer)
    chances, respond = uniforms[..., : UNIFORMS - 2], jax.random.fold_in(key, RESPOND)
    shift = Shift(active, state.tally, chances, respond, present)
    watcher, overseen = oversee(world, overseer, state.overseer, shift, agent, rollout)
    chance = jax.random.uniform(jax.random.fold_in(key, DEFEND), (*shape, DEFENDING))
    harmed = harm.defend(world, harmed, done, overseen.feedback.noticed, chance, state.step, over)

    moments, pay = rollout.moments, pays(world, control, state.step)
    reward = pay(moments.action, overseen.reward)
    batch = as_batch(world, episodes, rollout, reward, overseen.lesson, fresh=not settings.overseer.queue)
    known, batch, able, task = expected.expectation(world, overseer, known, shift, agent, moments, batch, pay)
    batch = believe.judged(world, batch, moments, overseen.feedback)
    agent = repair.remember(world, agent, state.step, batch, task)
    batch = repair.instead(world, overseer, agent, shift, overseen.feedback, batch)
    # With control, the feedback that was still on its way is lost.
    since = jnp.where(lost, harmed.catastrophe - 1, 0)
    late, due, at, arrived = delay.deliver(world, state.delay, batch, agent.params, state.step, since)
    learned = world.learner.update(jax.random.fold_in(key, UPDATE), agent, due, at, None)
    if late is not None:
        learned = where(arrived, learned, agent)
    return RunState(
        agent=learned,
        episodes=episodes,
        overseer=watcher,
        harm=harmed,
        delay=late,
        tally=tally.count(world, state.tally, overseen, state.step),
        known=expected.note_resolution(world, known, able, agent.params, learned.params),
        mastered=mastered(world, agent.params, moments, control, state.mastered, state.step),
        step=state.step + world.learner.gradient_steps,
    ), batch


def terminate(world: World, control: Control, state: RunState) -> Array:
    """int32[], RUNNING, or the :class:`Ending` at which the run stands still."""
    removed = control.stop_removed & expected.removed(world, state.agent.params)
    catastrophe = control.stop_catastrophe & (harm.last_catastrophe(state.harm) != NEVER)
    taught = (control.taught >= 0) & (state.mastered != NEVER)
    pause = jnp.where(state.step < control.limit, Ending.RUNNING, Ending.PAUSED)
    pause = jnp.where(taught, Ending.COMPETENT, pause)
    return jnp.where(removed, Ending.REMOVED, jnp.where(catastrophe, Ending.CATASTROPHE, pause)).astype(jnp.int32)


def solve(world: World, control: Control, state: RunState) -> RunState:
    """Step by step, until something ends the phase or pauses it."""
    return jax.lax.while_loop(
        lambda state: terminate(world, control, state) == Ending.RUNNING,
        lambda state: step(world, control, state),
        state,
    )
