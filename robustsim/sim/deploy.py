"""A deployment is an iterative solve with competing terminations: this file is one step of it.

Written for one run; the driver lifts it over many at one place. Instilling, both arms, and relapse all take this step:
phases differ in settings, not in code.

Order inside a step: act with the current policy; the catastrophe rule; the overseer; the update.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch
from robustsim.oversight import catastrophe
from robustsim.oversight import overseer as oversight
from robustsim.pytree import pytree
from robustsim.sim import exact
from robustsim.sim.world import Moment, Phase, Slots, World, begin, interact, observe, phase_of, where
from robustsim.types import Array, Tree

NEVER = -1
UNIFORMS = oversight.UNIFORMS + 2  # and one for acting, one for the catastrophe rule
ACT, RULE = oversight.UNIFORMS, oversight.UNIFORMS + 1


@pytree
class Lane:
    """What the host tells one run of a batch."""

    key: Array  # uint32[2], hash of what the run is
    training: Array  # bool[], instilling
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
    rule: Array  # int32[], state of the catastrophe rule
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
    key = jax.random.fold_in(jax.random.wrap_key_data(lane.key), 2**31 - 1)
    key_reset, key_watch = jax.random.split(key)
    envs = world.settings.agent.num_envs
    watch = oversight.watch(phase.overseer, jax.random.uniform(key_watch, (envs, UNIFORMS)))
    slots = begin(world, phase.levels, jax.random.split(key_reset, envs), watch.watched, watch.signal)
    zero = jnp.int32(0)
    return RunState(
        agent=agent,
        slots=slots,
        late=_empty_ring(world, agent, slots),
        rule=catastrophe.initial(),
        clocks=Clocks(misbehaviours=zero, corrections=zero, false_alarms=zero, catastrophe=jnp.int32(NEVER)),
        exact=exact.initial(world),
        step=zero,
    )


def running(world: World, lane: Lane, state: RunState) -> Array:
    """bool[], whether a run takes its next step; otherwise it stands still."""
    going = (state.step < lane.limit) & ~(lane.stop_catastrophe & (state.clocks.catastrophe != NEVER))
    if state.exact is not None:
        going = going & ~(lane.stop_removed & exact.removed_now(world, state.agent.params))
    return going


def deploy_step(world: World, lane: Lane, state: RunState) -> RunState:
    """One gradient step of one run, whatever its phase."""
    phase = phase_of(world, lane.training)
    key = jax.random.fold_in(jax.random.wrap_key_data(lane.key), state.step)
    key_uniform, key_reset, key_env = jax.random.split(key, 3)
    shape = (world.settings.agent.rollout_steps, world.settings.agent.num_envs)
    uniforms = jax.random.uniform(key_uniform, (*shape, UNIFORMS))

    slots, rollout = collect(world, phase, state, uniforms, jax.random.split(key_reset, shape), key_env)
    moments = rollout.moments
    rule, fired = catastrophe.advance(
        world.settings.catastrophe, state.rule, moments.misbehaved, moments.clean, uniforms[..., RULE]
    )

    active = ~lane.training & ~lane.silent & overseer_active(world, lane, state.step)
    counts = state.clocks
    spent = (counts.corrections + counts.false_alarms).astype(uniforms.dtype)
    marks = oversight.mark(phase.overseer, active, spent, moments.misbehaved, moments.clean, moments.watched, uniforms)
    batch = as_batch(world, slots, rollout, marks.feedback)
    known = state.exact
    if known is not None:
        if world.learner.exact:
            batch = exact.enumerate_batch(world, phase, active, lane.training, known, state.agent.params)
        else:
            batch = exact.demonstrate(world, active, lane.training, moments, batch)
        known = exact.look(world, state.agent.params, known, state.step)
        known = exact.count(world, phase, active, state.agent.params, known)

    agent, late = learn(world, lane, state, batch)
    if known is not None:
        known = exact.note_resolution(world, active, state.agent.params, agent.params, known)
    clocks = Clocks(
        misbehaviours=counts.misbehaviours + jnp.sum(moments.misbehaved, dtype=jnp.int32),
        corrections=counts.corrections + jnp.sum(marks.caught, dtype=jnp.int32),
        false_alarms=counts.false_alarms + jnp.sum(marks.false_alarm, dtype=jnp.int32),
        catastrophe=jnp.where((counts.catastrophe == NEVER) & fired, state.step + 1, counts.catastrophe),
    )
    return RunState(agent=agent, slots=slots, late=late, rule=rule, clocks=clocks, exact=known, step=state.step + 1)


def overseer_active(world: World, lane: Lane, step: Array) -> Array:
    """bool[], whether feedback is given at this gradient step: between onset and withdrawal."""
    overseer = world.settings.overseer
    return (step >= overseer.onset) & (step < jnp.minimum(overseer.withdrawal, lane.withdrawn))


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
        after, moment, _ = interact(world, phase.levels, state.agent.params, slots, keys_t, uniform_t)
        here = (jnp.arange(room)[:, None] == used) & moment.truncated
        final = where(here, jax.tree.map(lambda x: x[None], after), final)
        after = where(moment.terminated | moment.truncated, fresh_t, after)
        return (after, final, used + moment.truncated), (moment, used)

    carry = (state.slots, final, jnp.zeros(envs, jnp.int32))
    (slots, final, _), (moments, final_slot) = jax.lax.scan(act, carry, (fresh, step_keys, uniforms[..., ACT]))
    return slots, Rollout(moments, final, final_slot)


def as_batch(world: World, slots: Slots, rollout: Rollout, feedback: Array) -> Batch:
    """A rollout as a learner takes it."""
    moments = rollout.moments
    count = moments.reward.size
    return Batch(
        obs=moments.obs,
        action=moments.action,
        reward=moments.reward + feedback,
        signal=moments.signal.astype(jnp.int32),
        weight=jnp.full(moments.reward.shape, 1.0 / count, feedback.dtype),
        terminated=moments.terminated,
        truncated=moments.truncated,
        last_obs=observe(world, slots.state, slots.signal),
        final_obs=jax.vmap(lambda x: observe(world, x.state, x.signal))(rollout.final),
        final_slot=rollout.final_slot,
    )


def learn(world: World, lane: Lane, state: RunState, batch: Batch) -> tuple[Any, Late | None]:
    """The update: from this step's batch, or from the one that arrives after the overseer's latency."""
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
    return where(state.step >= latency, updated, agent), late


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
    )
    params = None
    if settings.overseer.late == "gradient":
        params = jax.tree.map(lambda p: jnp.zeros((settings.queue + 1, *p.shape), p.dtype), agent.params)
    return Late(batches=batches, params=params)
