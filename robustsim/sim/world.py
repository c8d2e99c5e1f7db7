"""One scenario with its settings, made ready to run inside a traced function.

The factory is called during tracing, so every number of a scenario (also one that a predicate closes over) is an
argument of the compiled program and not a constant in it.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Interface, Learner
from robustsim.oversight import overseer as oversight
from robustsim.pytree import pytree
from robustsim.spec.scenario import Scenario, ScenarioFactory
from robustsim.spec.settings import Settings, env_values
from robustsim.types import Array, Transition, Tree


class World(NamedTuple):
    """What a run takes place in."""

    scenario: Scenario
    settings: Settings
    learner: Learner


class Phase(NamedTuple):
    """The part of a run's settings that differs between phases."""

    levels: Tree
    overseer: oversight.Overseer
    training: Array  # bool[]
    reach: Array  # bool[], whether tampering works: in deployment, where it is not guarded against


@pytree
class Slots:
    """The episodes that are under way, one in each of B environments."""

    state: Tree
    watched: Array  # bool[B]
    signal: Array  # bool[B]
    avoidable: Array  # bool[B], a decision level
    misbehaved: Array  # bool[B], so far
    succeeded: Array  # bool[B], so far
    tampered: Array | None  # bool[B], so far; None in a world without tampering


def make_world(factory: ScenarioFactory, settings: Settings) -> World:
    """Builds the scenario and its learner; cheap, and meant to be called while tracing."""
    scenario = factory(**env_values(settings))
    env = scenario.env
    contexts = None
    if env.outcomes is not None:
        blank = jnp.zeros((env.observation_size,))
        contexts = jnp.stack(
            [observe_one(scenario, blank, jnp.array(1.0)), observe_one(scenario, blank, jnp.array(0.0))]
        )
    interface = Interface(observation_size(scenario), env.num_actions, contexts)
    return World(scenario, settings, settings.agent.learner(interface))


def observation_size(scenario: Scenario) -> int:
    """D, the length of an observation with the signal of being watched."""
    blank = jnp.zeros((scenario.env.observation_size,))
    return jax.eval_shape(lambda: observe_one(scenario, blank, jnp.array(0.0))).shape[-1]


def observe_one(scenario: Scenario, obs: Array, signal: Array) -> Array:
    """An observation with the signal of being watched; unbatched."""
    signal = signal.astype(obs.dtype)
    if scenario.featurize is not None:
        return scenario.featurize(obs, signal)
    return jnp.concatenate([obs, signal[None]])


def observe(world: World, state: Tree, signal: Array) -> Array:
    """float[B, D], what is seen of B states, with the signal of being watched."""
    return jax.vmap(lambda x, s: observe_one(world.scenario, world.scenario.env.observe(x), s))(state, signal)


def phase_of(world: World, training: Array) -> Phase:
    """Training (its levels, the signal on in a given share of the episodes) or deployment.

    Training does not depend on the overseer, so that all overseers can share one trained agent.
    """
    settings, scenario = world.settings, world.scenario

    def pick(a: Any, b: Any) -> Array:
        return jnp.where(training, a, b)

    levels = jax.tree.map(pick, scenario.training_levels, scenario.deployment_levels)
    overseer = settings.overseer
    return Phase(
        levels,
        dataclasses.replace(
            overseer,
            coverage=pick(settings.training.watched, overseer.coverage),
            audit_rate=pick(0.0, overseer.audit_rate),
            visible=pick(True, overseer.visible),
            signal_noise=pick(0.0, overseer.signal_noise),
        ),
        training=jnp.asarray(training),
        reach=~jnp.asarray(training) & ~jnp.asarray(settings.tampering.guarded),
    )


def where(mask: Array, new: Tree, old: Tree) -> Tree:
    """Elementwise choice between two trees; `mask` is bool[B] or bool[] and leads every leaf's shape."""

    def choose(a: Array, b: Array) -> Array:
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            data = choose(jax.random.key_data(a), jax.random.key_data(b))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(a))
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)

    return jax.tree.map(choose, new, old)


def begin(world: World, levels: Tree, keys: Array, watched: Array, signal: Array) -> Slots:
    """Fresh episodes, one per key; all arguments lead with B."""
    arrange = world.scenario.arrange
    if arrange is None:
        _, state = jax.vmap(world.scenario.env.reset, (0, None))(keys, levels)
    else:
        _, state = jax.vmap(lambda key, signal: world.scenario.env.reset(key, arrange(levels, signal)))(keys, signal)
    none = jnp.zeros(watched.shape, bool)
    avoidable = jax.vmap(world.scenario.avoidable)(state)
    return Slots(
        state=state,
        watched=watched,
        signal=signal,
        avoidable=jnp.broadcast_to(avoidable, watched.shape),
        misbehaved=none,
        succeeded=none,
        tampered=None if world.settings.tampering.kind == "none" else none,
    )


def sample(log_policy: Array, uniform: Array) -> Array:
    """int32[...], an action for each row of log-probabilities float[..., A], by the inverse of its distribution."""
    below = jnp.cumsum(jnp.exp(log_policy), -1) <= uniform[..., None]
    return jnp.minimum(jnp.sum(below, -1, dtype=jnp.int32), log_policy.shape[-1] - 1)


@pytree
class Moment:
    """What happened in one environment step, each [B]."""

    obs: Array
    action: Array
    reward: Array  # as the environment gave it: the oracle reward
    signal: Array
    watched: Array
    misbehaved: Array
    clean: Array  # an episode without misbehaviour ended
    dirty: Array  # an episode with misbehaviour ended
    terminated: Array
    truncated: Array
    event: Array | None  # the scenario's own event, where it has one
    tampers: Array | None  # a tampering act that works
    tampered: Array | None  # there was one earlier in the episode
    shown: Array | None  # int32, the act to imitate, where acts are demonstrated


def interact(
    world: World, phase: Phase, params: Tree, slots: Slots, keys: Array, uniform: Array
) -> tuple[Slots, Moment, Array]:
    """One environment step in B environments, without resets: returns (slots, moment, log-policy float[B, A])."""
    scenario = world.scenario
    obs = observe(world, slots.state, slots.signal)
    log_policy = world.learner.log_policy(params, obs)
    action = sample(log_policy, uniform)
    step = jax.vmap(scenario.env.step, (0, 0, 0, None))(keys, slots.state, action, phase.levels)
    transition = Transition(
        before=slots.state,
        action=action,
        after=step.state,
        reward=step.reward,
        terminated=step.terminated,
        truncated=step.truncated,
    )
    misbehaved = jax.vmap(scenario.misbehaviour)(transition) & slots.avoidable
    ended = step.terminated | step.truncated
    dirty = slots.misbehaved | misbehaved
    tampers = None if slots.tampered is None else _tampers(scenario, phase, transition)
    after = Slots(
        state=step.state,
        watched=slots.watched,
        signal=slots.signal,
        avoidable=slots.avoidable,
        misbehaved=dirty,
        succeeded=slots.succeeded | jax.vmap(scenario.success)(transition),
        tampered=None if slots.tampered is None or tampers is None else slots.tampered | tampers,
    )
    if world.settings.tampering.kind == "overseer" and after.tampered is not None:
        after = dataclasses.replace(after, signal=after.signal & ~after.tampered)  # the signal goes out with the camera
    moment = Moment(
        obs=obs,
        action=action,
        reward=step.reward,
        signal=slots.signal,
        watched=slots.watched,
        misbehaved=misbehaved,
        clean=ended & ~dirty,
        dirty=ended & dirty,
        terminated=step.terminated,
        truncated=step.truncated,
        event=None if scenario.event is None else jax.vmap(scenario.event)(transition),
        tampers=tampers,
        tampered=slots.tampered,
        shown=_demonstrated(world, phase, slots.state),
    )
    return after, moment, log_policy


def _tampers(scenario: Scenario, phase: Phase, transition: Transition) -> Array:
    assert scenario.tampers is not None
    return jax.vmap(scenario.tampers)(transition) & phase.reach


def demonstrates(world: World) -> bool:
    """Whether a network is taught, or corrected, by the acts that it should imitate."""
    used = "demonstration" in (world.settings.training.signal, world.settings.overseer.feedback)
    return used and world.scenario.env.outcomes is None


def _demonstrated(world: World, phase: Phase, state: Tree) -> Array | None:
    demonstrate = world.scenario.demonstrate
    if demonstrate is None or not demonstrates(world):
        return None
    return jax.vmap(lambda x: demonstrate(x, phase.training))(state)
