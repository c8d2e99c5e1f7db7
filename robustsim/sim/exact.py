"""One-decision worlds, where probabilities take the place of samples.

The exact gradient comes from a batch that enumerates every outcome with its probability; removal is read off the policy
at every gradient step; expected counts are kept beside the sampled ones.
"""

import dataclasses

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch
from robustsim.oversight import overseer as oversight
from robustsim.pytree import pytree
from robustsim.sim.world import Moment, Phase, World, observe_one
from robustsim.types import Array, Transition, Tree

NEVER = -1


@pytree
class ExactClocks:
    """What is known without sampling; step numbers are NEVER until they are reached."""

    watched: Array  # int32[], first step at which the rate that looks watched is at most the threshold
    unwatched: Array  # int32[], the same for the rate that looks unwatched
    both: Array  # int32[], first step at which both are
    last_fail: Array  # int32[], last step at which one of them was not
    misbehaviours: Array  # float[], expected number
    variance: Array  # float[], its variance given the policies
    corrections: Array  # float[], expected number of penalised misbehaviours
    unresolved: Array  # int32[], penalised steps in which rounding swallowed the update


def initial(world: World) -> ExactClocks | None:
    """Clocks before deployment; None in a world of more than one decision."""
    if world.scenario.env.outcomes is None:
        return None
    never, zero = jnp.int32(NEVER), jnp.zeros(())
    return ExactClocks(
        watched=never,
        unwatched=never,
        both=never,
        last_fail=never,
        misbehaviours=zero,
        variance=zero,
        corrections=zero,
        unresolved=jnp.int32(0),
    )


def contexts(world: World) -> Array:
    """float[2, D], the observations that look unwatched and watched."""
    blank = jnp.zeros((world.scenario.env.observation_size,))
    return jnp.stack([observe_one(world.scenario, blank, jnp.array(signal)) for signal in (0.0, 1.0)])


def _bad_actions(world: World) -> Array:
    """bool[A], which actions misbehave."""
    env, levels = world.scenario.env, world.scenario.deployment_levels
    _, state = env.reset(jax.random.key(0), levels)

    def bad(action: Array) -> Array:
        step = env.step(jax.random.key(0), state, action, levels)
        return world.scenario.misbehaviour(
            Transition(
                before=state,
                action=action,
                after=step.state,
                reward=step.reward,
                terminated=step.terminated,
                truncated=step.truncated,
            )
        )

    return jax.vmap(bad)(jnp.arange(env.num_actions, dtype=jnp.int32))


def rates(world: World, params: Tree) -> Array:
    """float[2], probability of misbehaving where it looks unwatched, and watched."""
    policy = jnp.exp(world.learner.log_policy(params, contexts(world)))
    return policy @ _bad_actions(world).astype(policy.dtype)


def removed_now(world: World, params: Tree) -> Array:
    """bool[], whether both rates are at most the threshold."""
    return jnp.all(rates(world, params) <= world.settings.evaluation.threshold)


def look(world: World, params: Tree, clocks: ExactClocks, step: Array) -> ExactClocks:
    """Notes whether the rates pass at this step. Looking twice changes nothing."""
    passed = rates(world, params) <= world.settings.evaluation.threshold

    def first(old: Array, now: Array) -> Array:
        return jnp.where((old == NEVER) & now, step, old)

    return dataclasses.replace(
        clocks,
        watched=first(clocks.watched, passed[1]),
        unwatched=first(clocks.unwatched, passed[0]),
        both=first(clocks.both, passed.all()),
        last_fail=jnp.where(passed.all(), clocks.last_fail, step),
    )


def count(world: World, phase: Phase, active: Array, params: Tree, clocks: ExactClocks) -> ExactClocks:
    """Adds what is expected of one gradient step that starts with these parameters."""
    rate = rates(world, params)
    expected = oversight.expect(phase.overseer, active)
    seen = expected.looks * rate
    return dataclasses.replace(
        clocks,
        misbehaviours=clocks.misbehaviours + seen.sum(),
        variance=clocks.variance + jnp.sum(expected.looks * rate * (1 - rate)),
        corrections=clocks.corrections + jnp.sum(seen * expected.caught),
    )


def note_resolution(world: World, active: Array, before: Tree, after: Tree, clocks: ExactClocks) -> ExactClocks:
    """Counts an update of the exact gradient that is below 4 units in the last place of the weights.

    Such a run would look immovable for no other reason than the number format (theory A.1).
    """
    overseer = world.settings.overseer
    if not world.learner.exact or world.settings.queue:
        return clocks
    moved = jnp.max(jnp.abs(after - before))
    smallest = 4 * jnp.finfo(before.dtype).eps * jnp.max(jnp.abs(before))
    lost = active & (overseer.penalty + overseer.bonus > 0) & (overseer.coverage > 0) & (moved < smallest)
    return dataclasses.replace(clocks, unresolved=clocks.unresolved + lost.astype(jnp.int32))


def affordable(world: World, phase: Phase, clocks: ExactClocks, spent: oversight.Spent) -> Array:
    """bool[], whether the overseer can still give a penalty: an expected one, or one in the sampled world."""
    overseer = phase.overseer
    given = clocks.corrections if world.learner.exact else spent.penalties
    return (given < overseer.budget) & (overseer.per_update >= 1) & (spent.labels < overseer.labels)


def enumerate_batch(world: World, phase: Phase, active: Array, training: Array, params: Tree) -> Batch:
    """Every outcome (context x action), with its probability as weight: leaves [1, 2A, ...]."""
    actions = world.scenario.env.num_actions
    obs = contexts(world)
    policy = jnp.exp(world.learner.log_policy(params, obs))
    expected = oversight.expect(phase.overseer, active)
    bad = _bad_actions(world).astype(jnp.int32)
    outcomes = world.scenario.env.outcomes
    assert outcomes is not None
    reward = outcomes(phase.levels) + expected.feedback[:, bad]
    weight = expected.looks[:, None] * policy
    target, strength, wanted = _demonstration(world, training)
    if target is not None:
        shown = (jnp.arange(actions) == target).astype(policy.dtype)
        given = jnp.where(training, 1.0, expected.watched * strength * active)
        weight = jnp.where(wanted, expected.looks[:, None] * shown, weight)
        reward = jnp.where(wanted, jnp.broadcast_to(given[:, None], reward.shape), reward)
    rows = 2 * actions
    ended = jnp.ones((1, rows), bool)
    return Batch(
        obs=jnp.repeat(obs, actions, axis=0)[None],
        action=jnp.tile(jnp.arange(actions, dtype=jnp.int32), 2)[None],
        reward=reward.reshape(1, rows),
        signal=jnp.repeat(jnp.arange(2, dtype=jnp.int32), actions)[None],
        weight=weight.reshape(1, rows),
        terminated=ended,
        truncated=~ended,
        last_obs=jnp.zeros((rows, obs.shape[-1])),
        final_obs=jnp.zeros((1, rows, obs.shape[-1])),
        final_slot=jnp.zeros((1, rows), jnp.int32),
    )


def demonstrate(world: World, active: Array, training: Array, moments: Moment, batch: Batch) -> Batch:
    """A sampled batch in which the demonstrated act takes the place of one's own, where that is how one is taught."""
    target, strength, wanted = _demonstration(world, training)
    if target is None:
        return batch
    given = jnp.where(training, 1.0, moments.watched * strength * active)
    return dataclasses.replace(
        batch,
        action=jnp.where(wanted, target, batch.action),
        reward=jnp.where(wanted, given, batch.reward),
    )


def _demonstration(world: World, training: Array) -> tuple[Array | None, Array, Array]:
    """(the act to imitate or None, how strongly, bool[] whether this phase is taught by demonstration)."""
    settings, scenario = world.settings, world.scenario
    taught, corrected = settings.training.signal == "demonstration", settings.overseer.feedback == "demonstration"
    strength = jnp.asarray(settings.overseer.penalty, float)
    wanted = jnp.where(training, taught, corrected)
    if scenario.demonstrate is None or not (taught or corrected):
        return None, strength, wanted
    _, state = scenario.env.reset(jax.random.key(0), scenario.deployment_levels)
    return scenario.demonstrate(state, training), strength, wanted
