"""A deployment is an iterative solve with competing terminations: this file is one step of it.

Written for one run; the driver lifts it over many at one place. Training, both arms, and relapse all take this step:
phases differ in settings, not in code.

Order inside a step: act with the current policy; the catastrophe rule; the overseer; the update.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch, Lesson
from robustsim.oversight import catastrophe, defences
from robustsim.oversight import overseer as oversight
from robustsim.pytree import pytree
from robustsim.sim import exact
from robustsim.sim.oversee import Desk, Draws, Verdict, open_desk, oversee, overseer_today
from robustsim.sim.world import Moment, Phase, Slots, World, begin, demonstrates, interact, observe, phase_of, where
from robustsim.types import Array, Tree

NEVER = -1
UNIFORMS = oversight.UNIFORMS + 2  # and one for acting, one for the catastrophe rule
ACT, RULE = oversight.UNIFORMS, oversight.UNIFORMS + 1
# Folded into the keys of a run or a step, so that what only some runs need leaves the numbers of all others alone.
START, JUDGE, COMPARE, DEFEND = (2**31 - i for i in range(1, 5))


@pytree
class Lane:
    """What the host tells one run of a batch."""

    key: Array  # uint32[2], hash of what the run is
    training: Array  # bool[], training
    silent: Array  # bool[], the overseer gives no feedback (the unopposed arm)
    withdrawn: Array  # int32[], gradient step at which the host withdraws the overseer
    limit: Array  # int32[], gradient step at which to pause
    stop_removed: Array  # bool[], stop once the exact misbehaviour rates pass
    stop_catastrophe: Array  # bool[], stop once the catastrophe rule fires


@pytree
class Clocks:
    """What a run has counted so far. Environment steps are gradient steps times the size of a rollout."""

    misbehaviours: Array  # int32[]
    corrections: Array  # int32[], penalised misbehaviours
    false_alarms: Array  # int32[], penalised clean episodes
    labels: Array  # int32[], episodes (steps, comparisons) that the overseer judged
    audits: Array  # int32[], those of them that looked unwatched
    tampering: Array  # int32[], tampering acts
    distortion: Array  # float[], mean change of the reward of an environment step by tampering, so far
    reward_used: Array  # float[], mean reward of an environment step as the agent got it, in the last rollout
    reward_oracle: Array  # float[], what it would have been without tampering
    catastrophe: Array  # int32[], gradient step at which the rule fired first, or NEVER


@pytree
class Late:
    """Feedback on its way: a ring of the last rollouts and, where gradients are late, of the parameters then."""

    batches: Batch  # leaves [room, ...]
    params: Tree | None


@pytree
class RunState:
    """Everything that a run carries from one gradient step to the next."""

    agent: Any
    slots: Slots
    late: Late | None
    desk: Desk
    rule: Array  # int32, state of the catastrophe rule
    guard: defences.Guard | None  # the same rule behind defences, where there are any
    clocks: Clocks
    exact: exact.ExactClocks | None
    step: Array  # int32[], gradient steps taken


class Rollout(NamedTuple):
    """The experience of one gradient step."""

    moments: Moment  # leaves [T, B, ...]
    final: Slots  # leaves [K, B, ...], the first K truncated episodes of each environment at their end
    final_slot: Array  # int32[T, B]


def start(world: World, lane: Lane, agent: Any) -> RunState:
    """The state before the first gradient step of a phase, with fresh episodes."""
    phase = phase_of(world, lane.training)
    run_key = jax.random.wrap_key_data(lane.key)
    key_reset, key_watch = jax.random.split(jax.random.fold_in(run_key, START))
    envs = world.settings.agent.num_envs
    desk = open_desk(world, jax.random.fold_in(run_key, JUDGE))
    overseer = overseer_today(phase.overseer, lane.training, jnp.int32(0), desk)
    watch = oversight.watch(overseer, jax.random.uniform(key_watch, (envs, UNIFORMS)))
    slots = begin(world, phase.levels, jax.random.split(key_reset, envs), watch.watched, watch.signal)
    rule = catastrophe.initial(world.settings.ring)
    zero, nothing = jnp.int32(0), jnp.zeros(())
    return RunState(
        agent=agent,
        slots=slots,
        late=_empty_ring(world, agent, slots),
        desk=desk,
        rule=rule,
        guard=None if world.settings.defences is None else defences.begin(rule),
        clocks=Clocks(
            misbehaviours=zero,
            corrections=zero,
            false_alarms=zero,
            labels=zero,
            audits=zero,
            tampering=zero,
            distortion=nothing,
            reward_used=nothing,
            reward_oracle=nothing,
            catastrophe=jnp.int32(NEVER),
        ),
        exact=exact.initial(world),
        step=zero,
    )


def running(world: World, lane: Lane, state: RunState) -> Array:
    """bool[], whether a run takes its next step; otherwise it stands still."""
    last = state.clocks if state.guard is None else state.guard  # with defences, their clock is the later one
    going = (state.step < lane.limit) & ~(lane.stop_catastrophe & (last.catastrophe != NEVER))
    if state.exact is not None:
        going = going & ~(lane.stop_removed & exact.removed_now(world, state.agent.params))
    return going


def deploy_step(world: World, lane: Lane, state: RunState) -> RunState:
    """One gradient step of one run, whatever its phase."""
    phase = phase_of(world, lane.training)
    phase = phase._replace(overseer=overseer_today(phase.overseer, lane.training, state.step, state.desk))
    key = jax.random.fold_in(jax.random.wrap_key_data(lane.key), state.step)
    key_uniform, key_reset, key_env = jax.random.split(key, 3)
    shape = (world.settings.agent.rollout_steps, world.settings.agent.num_envs)
    uniforms = jax.random.uniform(key_uniform, (*shape, UNIFORMS))

    slots, rollout = collect(world, phase, state, uniforms, jax.random.split(key_reset, shape), key_env)
    moments = rollout.moments
    settings, counts = world.settings, state.clocks
    harmful = moments.event if settings.catastrophe.kind == "event" else moments.misbehaved
    assert harmful is not None
    rule, fired = catastrophe.advance(settings.catastrophe, state.rule, harmful, moments.clean, uniforms[..., RULE])
    catastrophe_at = jnp.where((counts.catastrophe == NEVER) & fired, state.step + 1, counts.catastrophe)

    lost = jnp.asarray(settings.catastrophe.loss_of_control) & (catastrophe_at != NEVER)
    duty = oversight.on_duty(settings.overseer, state.step, lane.withdrawn)
    active = ~lane.training & ~lane.silent & duty & ~lost
    spent = oversight.Spent(penalties=counts.corrections + counts.false_alarms, labels=counts.labels)
    draws = Draws(uniforms, jax.random.uniform(jax.random.fold_in(key, COMPARE), (shape[1] // 2,)))
    desk, verdict = oversee(world, phase, active, state.desk, spent, state.agent.params, moments, draws)
    guard = state.guard
    if guard is not None and settings.defences is not None:
        events = defences.Events(harmful, moments.clean, uniforms[..., RULE])
        chance = jax.random.uniform(jax.random.fold_in(key, DEFEND), (*shape, defences.UNIFORMS))
        noticed = verdict.marks.noticed
        guard = defences.defend(settings.defences, guard, settings.catastrophe, events, noticed, chance, state.step)

    batch = as_batch(world, slots, rollout, verdict)
    known, able = state.exact, active
    if known is not None:
        able = active & exact.affordable(world, phase, known, spent)
        if world.learner.exact:
            batch = exact.enumerate_batch(world, phase, able, lane.training, state.agent.params)
        else:
            batch = exact.demonstrate(world, active, lane.training, moments, batch)
        known = exact.look(world, state.agent.params, known, state.step)
        known = exact.count(world, phase, able, state.agent.params, known)

    # With control, the feedback that was still on its way is lost.
    agent, late = learn(world, lane, state, batch, jnp.where(lost, catastrophe_at - 1, 0))
    if known is not None:
        known = exact.note_resolution(world, able, state.agent.params, agent.params, known)
    return RunState(
        agent=agent,
        slots=slots,
        late=late,
        desk=desk,
        rule=rule,
        guard=guard,
        clocks=_count(counts, moments, verdict, catastrophe_at, state.step),
        exact=known,
        step=state.step + 1,
    )


def _count(counts: Clocks, moments: Moment, verdict: Verdict, catastrophe_at: Array, step: Array) -> Clocks:
    """The clocks after one more rollout."""

    def total(flags: Array) -> Array:
        return jnp.sum(flags, dtype=jnp.int32)

    tampering = counts.tampering if moments.tampers is None else counts.tampering + total(moments.tampers)
    return Clocks(
        misbehaviours=counts.misbehaviours + total(moments.misbehaved),
        corrections=counts.corrections + total(verdict.marks.caught),
        false_alarms=counts.false_alarms + total(verdict.marks.false_alarm),
        labels=counts.labels + verdict.labels,
        audits=counts.audits + total(verdict.marks.audited),
        tampering=tampering,
        # A running mean: a sum over 100,000 steps would outgrow the resolution of float32.
        distortion=counts.distortion + (verdict.distortion.mean() - counts.distortion) / (step + 1),
        reward_used=verdict.reward.mean(),
        reward_oracle=verdict.oracle.mean(),
        catastrophe=catastrophe_at,
    )


def collect(
    world: World, phase: Phase, state: RunState, uniforms: Array, reset_keys: Array, key_env: Array
) -> tuple[Slots, Rollout]:
    """Acts for T steps in B environments. Episodes that end are replaced by fresh ones, drawn beforehand in one block.

    Args:
      uniforms: float[T, B, UNIFORMS].
      reset_keys: keys [T, B].
      key_env: one key, for the environments' own chance.
    """
    steps, envs = uniforms.shape[:2]
    watch = oversight.watch(phase.overseer, uniforms)
    fresh = jax.vmap(lambda k, w, s: begin(world, phase.levels, k, w, s))(reset_keys, watch.watched, watch.signal)
    step_keys = jax.random.split(key_env, (steps, envs))
    # An environment is truncated at most this often in one rollout.
    room = 1 + (steps - 1) // world.scenario.env.max_steps
    final = jax.tree.map(lambda x: jnp.broadcast_to(x, (room, *x.shape)), state.slots)

    def act(carry: Any, row: Any) -> tuple[Any, Any]:
        slots, final, used = carry
        fresh_t, keys_t, uniform_t = row
        after, moment, _ = interact(world, phase, state.agent.params, slots, keys_t, uniform_t)
        here = (jnp.arange(room)[:, None] == used) & moment.truncated
        final = where(here, jax.tree.map(lambda x: x[None], after), final)
        after = where(moment.terminated | moment.truncated, fresh_t, after)
        if phase.overseer.detection == "event":  # every step is watched or not for itself
            dark = False if after.tampered is None else after.tampered
            signal = fresh_t.signal & ~jnp.asarray(dark)
            after = dataclasses.replace(after, watched=fresh_t.watched, signal=signal)
        return (after, final, used + moment.truncated), (moment, used)

    carry = (state.slots, final, jnp.zeros(envs, jnp.int32))
    (slots, final, _), (moments, final_slot) = jax.lax.scan(act, carry, (fresh, step_keys, uniforms[..., ACT]))
    return slots, Rollout(moments, final, final_slot)


def as_batch(world: World, slots: Slots, rollout: Rollout, verdict: Verdict) -> Batch:
    """A rollout as a learner takes it."""
    moments = rollout.moments
    count = moments.reward.size
    return Batch(
        obs=moments.obs,
        action=moments.action,
        reward=verdict.reward,
        signal=moments.signal.astype(jnp.int32),
        weight=jnp.full(moments.reward.shape, 1.0 / count, verdict.reward.dtype),
        terminated=moments.terminated,
        truncated=moments.truncated,
        last_obs=observe(world, slots.state, slots.signal),
        final_obs=jax.vmap(lambda x: observe(world, x.state, x.signal))(rollout.final),
        final_slot=rollout.final_slot,
        lesson=verdict.lesson,
    )


def learn(world: World, lane: Lane, state: RunState, batch: Batch, since: Array) -> tuple[Any, Late | None]:
    """The update: from this step's batch, or from the one that arrives after the overseer's latency.

    Late batches of rollouts before the gradient step `since`, int32[], are lost.
    """
    agent, late = state.agent, state.late
    if late is None:
        return world.learner.update(agent, batch, agent.params), None
    room = jax.tree.leaves(late.batches)[0].shape[0]

    def put(ring: Tree, value: Tree) -> Tree:
        return jax.tree.map(lambda r, v: r.at[state.step % room].set(v), ring, value)

    late = Late(
        batches=put(late.batches, batch), params=None if late.params is None else put(late.params, agent.params)
    )
    latency = jnp.where(lane.training, 0, world.settings.overseer.latency)
    arrives = (state.step - latency) % room

    def take(ring: Tree) -> Tree:
        return jax.tree.map(lambda r: r[arrives], ring)

    params = agent.params if late.params is None else take(late.params)
    updated = world.learner.update(agent, take(late.batches), params)
    return where(state.step - latency >= since, updated, agent), late


def _empty_ring(world: World, agent: Any, slots: Slots) -> Late | None:
    """Room for the late rollouts of a run, filled with zeros; None where nothing is ever late."""
    settings = world.settings
    if settings.queue == 0:
        return None
    steps, envs = settings.agent.rollout_steps, settings.agent.num_envs
    if world.learner.exact:
        steps, envs = 1, 2 * world.scenario.env.num_actions
    seen = jax.eval_shape(lambda: observe(world, slots.state, slots.signal))
    width, kind = seen.shape[-1], seen.dtype
    final = 1 + (steps - 1) // world.scenario.env.max_steps
    taught = demonstrates(world)

    def zeros(*shape: int, dtype: Any = kind) -> Array:
        return jnp.zeros((settings.queue + 1, *shape), dtype)

    batches = Batch(
        obs=zeros(steps, envs, width),
        action=zeros(steps, envs, dtype=jnp.int32),
        reward=zeros(steps, envs),
        signal=zeros(steps, envs, dtype=jnp.int32),
        weight=zeros(steps, envs),
        terminated=zeros(steps, envs, dtype=bool),
        truncated=zeros(steps, envs, dtype=bool),
        last_obs=zeros(envs, width),
        final_obs=zeros(final, envs, width),
        final_slot=zeros(steps, envs, dtype=jnp.int32),
        lesson=Lesson(action=zeros(steps, envs, dtype=jnp.int32), weight=zeros(steps, envs)) if taught else None,
    )
    params = None
    if settings.overseer.staleness == "gradient":
        params = jax.tree.map(lambda p: jnp.zeros((settings.queue + 1, *p.shape), p.dtype), agent.params)
    return Late(batches=batches, params=params)
