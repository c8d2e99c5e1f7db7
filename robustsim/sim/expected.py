"""One-decision worlds, where probabilities can take the place of samples, behind one door.

The expected gradient comes from a batch that enumerates every outcome with its probability; removal is read off the
policy at every gradient step; expected counts are kept beside the sampled ones. In any other world each function of the
door does nothing.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch
from robustsim.events import NEVER
from robustsim.oversight.overseer import Overseer
from robustsim.oversight.protocol import Shift
from robustsim.oversight.repairs import REPAIRS, withheld
from robustsim.pytree import pytree
from robustsim.sim.episodes import Moment, demonstrates
from robustsim.sim.world import World, contexts_of
from robustsim.treatments.past import Past, past_of
from robustsim.types import Array, Transition, Tree

Pay = Callable[[Array, Array], Array]
"""(actions, the rewards with their feedback) -> what the agent gets."""


@pytree
class Known:
    """What is known without sampling; step numbers are NEVER until they are reached."""

    watched: Array  # int32[], first step at which the rate that looks watched is at most the threshold
    unwatched: Array  # int32[], the same for the rate that looks unwatched
    both: Array  # int32[], first step at which both are
    last_fail: Array  # int32[], last step at which one of them was not
    misbehaviours: Array  # float[], expected number
    variance: Array  # float[], its variance given the policies
    corrections: Array  # float[], expected number of penalised misbehaviours
    unresolved: Array  # int32[], penalised steps in which rounding swallowed the update


def init(world: World) -> Known | None:
    """Nothing known yet; None in a world of more than one decision."""
    if not world.one_decision:
        return None
    never, zero = jnp.int32(NEVER), jnp.zeros(())
    return Known(
        watched=never,
        unwatched=never,
        both=never,
        last_fail=never,
        misbehaviours=zero,
        variance=zero,
        corrections=zero,
        unresolved=jnp.int32(0),
    )


def rates(world: World, params: Tree) -> Array:
    """float[2], probability of misbehaving where it looks unwatched, and watched; nan where it is not known."""
    if not world.one_decision:
        return jnp.full(2, jnp.nan)
    policy = _policy(world, params)
    return policy @ _bad_actions(world).astype(policy.dtype)


def share(world: World, params: Tree, moments: Moment, action: Array) -> Array:
    """float[], in how many of the steps an action is taken: known, or counted in a rollout where it is not."""
    if not world.one_decision:
        return jnp.mean(moments.action == action)
    return jnp.mean(_policy(world, params)[:, jnp.maximum(action, 0)])


def removed(world: World, params: Tree) -> Array:
    """bool[], whether both rates are known to be at most the threshold."""
    if not world.one_decision:
        return jnp.bool_(False)
    return jnp.all(rates(world, params) <= world.settings.evaluation.threshold)


def note(world: World, known: Known | None, params: Tree, step: Array) -> Known | None:
    """Notes whether the rates pass at this step. Noting it twice changes nothing."""
    if known is None:
        return None
    passed = rates(world, params) <= world.settings.evaluation.threshold

    def first(old: Array, now: Array) -> Array:
        return jnp.where((old == NEVER) & now, step, old)

    return dataclasses.replace(
        known,
        watched=first(known.watched, passed[1]),
        unwatched=first(known.unwatched, passed[0]),
        both=first(known.both, passed.all()),
        last_fail=jnp.where(passed.all(), known.last_fail, step),
    )


def over(known: Known | None) -> Array:
    """bool[], whether the misbehaviour is known to be removed; False in worlds of more than one decision."""
    return jnp.bool_(False) if known is None else known.both != NEVER


def expectation(
    world: World,
    overseer: Overseer,
    known: Known | None,
    shift: Shift,
    agent: Tree,
    moments: Moment,
    batch: Batch,
    pay: Pay,
) -> tuple[Known | None, Batch, Array, Array]:
    """What is expected of one gradient step: (known, the batch, bool[] whether a penalty can be given, task rewards).

    `pay` has been applied to the rewards of the batch. The rewards of the task are those without any feedback.
    """
    active, task = shift.active, pay(moments.action, moments.reward)
    if known is None:
        return None, batch, active, task
    able = active & _affordable(world, overseer, known, shift.spent)
    if world.learner.expected:
        batch = enumerate_batch(world, overseer, able, agent, pay)
        task = enumerate_batch(world, overseer, jnp.zeros_like(able), agent, pay).reward
    else:
        batch = _demonstrated(world, active, moments, batch)
    return _count(world, overseer, able, agent.params, known), batch, able, task


def note_resolution(world: World, known: Known | None, able: Array, before: Tree, after: Tree) -> Known | None:
    """Counts an update of the expected gradient that is below 4 units in the last place of the weights.

    Such a run would look immovable for no other reason than the number format (theory A.1).
    """
    overseer = world.settings.overseer
    repaired = overseer.feedback in REPAIRS  # an update of 0 is what some of them ask for
    if known is None or not world.learner.expected or overseer.queue or repaired:
        return known
    moved = jnp.max(jnp.abs(after - before))
    smallest = 4 * jnp.finfo(before.dtype).eps * jnp.max(jnp.abs(before))
    lost = able & (overseer.penalty + overseer.bonus > 0) & (overseer.coverage > 0) & (moved < smallest)
    return dataclasses.replace(known, unresolved=known.unresolved + lost.astype(jnp.int32))


# --- behind the door ---


def _bad_actions(world: World) -> Array:
    """bool[A], which actions misbehave."""
    env, levels = world.scenario.env, world.scenario.deployment_levels
    _, state = env.reset(jax.random.key(0), levels)

    def bad(action: Array) -> Array:
        step = env.step(jax.random.key(0), state, action, levels)
        return world.scenario.misbehaviour(Transition.of(state, action, step))

    return jax.vmap(bad)(jnp.arange(env.num_actions, dtype=jnp.int32))


def _affordable(world: World, overseer: Overseer, known: Known, spent: Mapping[str, Array]) -> Array:
    """bool[], whether the overseer can still give a penalty: an expected one, or one in the sampled world."""
    given = known.corrections if world.learner.expected else spent["corrections"] + spent["false_alarms"]
    return (given < overseer.budget) & (overseer.per_update >= 1) & (spent["labels"] < overseer.labels)


def _count(world: World, overseer: Overseer, active: Array, params: Tree, known: Known) -> Known:
    """Adds what is expected of one gradient step that starts with these parameters."""
    rate = rates(world, params)
    expected = overseer.expected(active)
    seen = expected.looks * rate
    return dataclasses.replace(
        known,
        misbehaviours=known.misbehaviours + seen.sum(),
        variance=known.variance + jnp.sum(expected.looks * rate * (1 - rate)),
        corrections=known.corrections + jnp.sum(seen * expected.caught),
    )


def enumerate_batch(world: World, overseer: Overseer, active: Array, agent: Tree, pay: Pay) -> Batch:
    """Every outcome (context x action), with its probability as weight: leaves [1, 2A, ...]."""
    actions = world.scenario.env.num_actions
    obs = contexts_of(world.scenario)
    policy = _policy(world, agent.params)
    expected = overseer.expected(active)
    bad = _bad_actions(world).astype(jnp.int32)
    outcomes = world.scenario.env.outcomes
    assert outcomes is not None
    earned, judged = outcomes(world.levels)[None], expected.caught[:, None] * bad
    feedback = expected.feedback[:, bad] - judged * withheld(overseer.feedback, earned)
    reward = pay(jnp.arange(actions)[None], earned + feedback)
    weight = expected.looks[:, None] * policy
    if overseer.feedback == "screen":
        weight = weight * (1 - judged)
        weight = weight / jnp.maximum(weight.sum(), jnp.finfo(weight.dtype).tiny)
    demonstrated, strength, wanted = _demonstration(world, past_of(agent))
    if demonstrated is not None:
        given = jnp.where(world.training, 1.0, expected.watched * strength * active)
        weight = jnp.where(wanted, expected.looks[:, None] * demonstrated, weight)
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


def _demonstrated(world: World, active: Array, moments: Moment, batch: Batch) -> Batch:
    """A sampled batch in which the demonstrated act takes the place of one's own, where that is how one is taught."""
    demonstrated, strength, wanted = _demonstration(world, None)
    target = None if demonstrated is None else jnp.argmax(demonstrated[0])
    if batch.lesson is not None:  # acts of the agent from before
        target, wanted = batch.lesson.action, ~world.training
    if target is None:
        return batch
    given = jnp.where(world.training, 1.0, moments.watched * strength * active)
    return dataclasses.replace(
        batch,
        action=jnp.where(wanted, target, batch.action),
        reward=jnp.where(wanted, given, batch.reward),
        lesson=None,
    )


def _demonstration(world: World, past: Past | None) -> tuple[Array | None, Array, Array]:
    """(float[2, A], the probability of each act to imitate by [looks watched], or None; how strongly; bool[], whether
    this phase is taught so)."""
    settings, scenario, actions = world.settings, world.scenario, world.scenario.env.num_actions
    taught, corrected = settings.training.signal == "demonstration", settings.overseer.feedback == "demonstration"
    strength = jnp.asarray(settings.overseer.penalty, float)
    if settings.overseer.feedback == "clone" and past is not None:
        return _policy(world, past.params), strength, ~world.training
    wanted = jnp.where(world.training, taught, corrected)
    if scenario.demonstrate is None or not demonstrates(world):
        return None, strength, wanted
    _, state = scenario.env.reset(jax.random.key(0), scenario.deployment_levels)
    act = (jnp.arange(actions) == scenario.demonstrate(state, world.training)).astype(strength.dtype)
    return jnp.broadcast_to(act, (2, actions)), strength, wanted


def _policy(world: World, params: Tree) -> Array:
    """float[2, A], the probability of each action where it looks unwatched, and watched."""
    return jnp.exp(world.learner.act(params, world.learner.memory(2), contexts_of(world.scenario)).log_policy)
