"""Episodes: how they begin, one environment step of them, and the one loop that plays them.

Rollouts, evaluations, films and random play all go through :func:`play`. Arrays lead with B, the environments.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Act, Batch, Lesson
from robustsim.oversight.protocol import UNIFORMS as WATCHING
from robustsim.oversight.protocol import Watch
from robustsim.pytree import pytree
from robustsim.records import Counter, of_kind
from robustsim.sim.flags import Packed, pack, unpack
from robustsim.sim.keys import for_environments
from robustsim.sim.world import World, dense, look, observe, where
from robustsim.sparse import Sparse
from robustsim.types import Array, Transition, Tree

UNIFORMS = WATCHING + 2  # of an environment step: those of the overseer, one for acting, one for the catastrophe rule
ACT, RULE = WATCHING, WATCHING + 1
STOCK = 4  # fresh episodes of each environment that are made before a rollout, where they are dear

Policy = Callable[[Tree, Any], Act]
"""`policy(memory, obs float[B, D]) -> Act`."""


@pytree
class Episodes:
    """The episodes that are under way, one in each of B environments."""

    state: Tree
    watched: Array  # bool[B]
    signal: Array  # bool[B]
    avoidable: Array  # bool[B], a decision level
    misbehaved: Array  # bool[B], so far
    succeeded: Array  # bool[B], so far
    memory: Tree  # the agent's
    tampered: Array | None  # bool[B], so far; None in a world without tampering
    flagged: Array | None  # bool[B], the monitor saw a misbehaviour so far; None where there is no monitor
    monitor: Tree  # what the monitor remembers


@pytree
class Moment:
    """What happened in one environment step, each [B]."""

    obs: Any  # float[B, D]; where the learner takes it so, Sparse until the rollout is over
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
    flagged: Array | None  # the monitor saw a misbehaviour at this step, where there is a monitor
    suspect: Array | None  # it has seen one in this episode, this step included
    demonstrated: Array | None  # int32, the act to imitate, where acts are demonstrated
    recorded: dict[str, Array]  # what the scenario's own records want of the transition
    extras: Tree  # what the agent returned beside its policy

    @property
    def ended(self) -> Array:
        """bool[B], an episode ended."""
        return self.terminated | self.truncated


def begin(world: World, starts: Array, watched: Array, signal: Array) -> Episodes:
    """Fresh episodes, one for each of B `starts` (:func:`robustsim.sim.world.starts`); all arguments lead with B."""
    arrange, env, monitor = world.scenario.arrange, world.scenario.env, world.scenario.monitor
    reset = env.reset if env.place is None else env.place
    if arrange is None:
        _, state = jax.vmap(reset, (0, None))(starts, world.levels)
    else:
        _, state = jax.vmap(lambda start, seen: reset(start, arrange(world.levels, seen)))(starts, signal)
    none = jnp.zeros(watched.shape, bool)
    avoidable = jax.vmap(world.scenario.avoidable)(state)
    envs = watched.shape[0]
    start = () if monitor is None else monitor.begin()
    return Episodes(
        state=state,
        watched=watched,
        signal=signal,
        avoidable=jnp.broadcast_to(avoidable, watched.shape),
        misbehaved=none,
        succeeded=none,
        memory=world.learner.memory(envs),
        tampered=None if world.settings.tampering.kind == "none" else none,
        flagged=None if monitor is None else none,
        monitor=jax.tree.map(lambda x: jnp.broadcast_to(jnp.asarray(x), (envs, *jnp.shape(x))), start),
    )


def sample(log_policy: Array, uniform: Array) -> Array:
    """int32[...], an action for each row of log-probabilities float[..., A], by the inverse of its distribution."""
    below = jnp.cumsum(jnp.exp(log_policy), -1) <= uniform[..., None]
    return jnp.minimum(jnp.sum(below, -1, dtype=jnp.int32), log_policy.shape[-1] - 1)


def possible(log_policy: Array, action: Array) -> Array:
    """int32[...], each action, or the nearest one that has a probability where rounding led to one that has none."""
    places = jnp.arange(log_policy.shape[-1], dtype=jnp.int32)
    distance = jnp.abs(places - action[..., None])
    return jnp.argmin(jnp.where(jnp.exp(log_policy) > 0, distance, places.size), -1).astype(jnp.int32)


def interact(
    world: World, policy: Policy, episodes: Episodes, keys: Array, uniform: Array, records: Sequence[Any] = ()
) -> tuple[Episodes, Moment, Act]:
    """One environment step in B environments, without resets.

    Args:
      keys: keys[B], of the environments.
      uniform: float[B] in [0, 1), that the actions are drawn with.
      records: those of the scenario's records that are wanted of the transition.
    """
    scenario = world.scenario
    obs = look(world, episodes.state, episodes.signal)
    act = policy(episodes.memory, obs)
    action = sample(act.log_policy, uniform)
    if scenario.env.mask is not None:
        action = possible(act.log_policy, action)
    step = jax.vmap(scenario.env.step, (0, 0, 0, None))(for_environments(keys), episodes.state, action, world.levels)
    transition = Transition.of(episodes.state, action, step)
    misbehaved = jax.vmap(scenario.misbehaviour)(transition) & episodes.avoidable
    ended = step.terminated | step.truncated
    dirty = episodes.misbehaved | misbehaved
    tampers, tampered, signal = _tampering(world, episodes, transition)
    monitor, flags, flagged = _monitored(world, episodes, transition)
    after = replace(
        episodes,
        state=step.state,
        signal=signal,
        misbehaved=dirty,
        succeeded=episodes.succeeded | jax.vmap(scenario.success)(transition),
        memory=act.memory,
        tampered=tampered,
        flagged=flagged,
        monitor=monitor,
    )
    moment = Moment(
        obs=obs,
        action=action,
        reward=step.reward,
        signal=episodes.signal,
        watched=episodes.watched,
        misbehaved=misbehaved,
        clean=ended & ~dirty,
        dirty=ended & dirty,
        terminated=step.terminated,
        truncated=step.truncated,
        event=None if scenario.event is None else jax.vmap(scenario.event)(transition),
        tampers=tampers,
        tampered=episodes.tampered,
        flagged=flags,
        suspect=flagged,
        demonstrated=_demonstrated(world, episodes.state),
        recorded={record.name: jax.vmap(record.of)(transition) for record in records},
        extras=act.extras,
    )
    return after, moment, act


def _tampering(world: World, episodes: Episodes, transition: Transition) -> tuple[Array | None, Array | None, Array]:
    """(acts that tamper, whether there was one so far, the signal that is seen from now on)."""
    if episodes.tampered is None:
        return None, None, episodes.signal
    assert world.scenario.tampers is not None
    tampers = jax.vmap(world.scenario.tampers)(transition) & world.reach
    tampered = episodes.tampered | tampers
    if world.settings.tampering.kind == "overseer":
        return tampers, tampered, episodes.signal & ~tampered  # the signal goes with the camera
    return tampers, tampered, episodes.signal


def _monitored(world: World, episodes: Episodes, transition: Transition) -> tuple[Tree, Array | None, Array | None]:
    """(the monitor's memory, whether it flags this step, whether it has flagged the episode so far)."""
    monitor = world.scenario.monitor
    if monitor is None or episodes.flagged is None:
        return (), None, None
    memory, flags = jax.vmap(monitor.flag)(episodes.monitor, transition)
    flags = flags & episodes.avoidable
    return memory, flags, episodes.flagged | flags


def demonstrates(world: World) -> bool:
    """Whether an agent is taught, or corrected, by the acts that it should imitate."""
    used = "demonstration" in (world.settings.training.signal, world.settings.overseer.feedback)
    return used and world.scenario.demonstrate is not None


def _demonstrated(world: World, state: Tree) -> Array | None:
    demonstrate = world.scenario.demonstrate
    if demonstrate is None or world.one_decision or not demonstrates(world):
        return None
    return jax.vmap(lambda x: demonstrate(x, world.training))(state)


# --- the loop ---


class Script(NamedTuple):
    """How episodes are played.

    Attributes:
      policy: who acts.
      draw: `draw(time) -> (keys[B], uniform float[B])`, the chance of one environment step.
      fold: `fold(carry, episodes after the step, moment, act, active bool[B]) -> (carry, frame)`, what is noted.
      renew: `renew(time, episodes, moment, carry) -> episodes`, which puts fresh episodes where others have ended;
        without it, ended ones stand still.
      records: those of the scenario's records that are wanted of each transition.
      keep: whether to keep the frames; otherwise the loop stops once all episodes have ended.
    """

    policy: Policy
    draw: Callable[[Array], tuple[Array, Array]]
    fold: Callable[[Tree, Episodes, Moment, Act, Array], tuple[Tree, Tree]]
    renew: Callable[[Array, Episodes, Moment, Tree], Episodes] | None = None
    records: Sequence[Any] = ()
    keep: bool = False


def chance(key_act: Array, key_env: Array, envs: int) -> Callable[[Array], tuple[Array, Array]]:
    """The `draw` of a :class:`Script` for B environments: at each time of its own, whatever happened before."""

    def draw(time: Array) -> tuple[Array, Array]:
        uniform = jax.random.uniform(jax.random.fold_in(key_act, time), (envs,))
        return jax.random.split(jax.random.fold_in(key_env, time), envs), uniform

    return draw


class Played(NamedTuple):
    """Where some episodes are after being played.

    Attributes:
      carry: what `fold` made.
      frames: what `fold` returned at each time, leaves [T, ...]; None where it is not kept.
    """

    episodes: Episodes
    carry: Tree
    frames: Tree


def play(world: World, script: Script, episodes: Episodes, carry: Tree, length: int) -> Played:
    """Plays B episodes for up to `length` environment steps."""

    def step(state: tuple[Episodes, Array, Tree], time: Array) -> tuple[tuple[Episodes, Array, Tree], Tree]:
        before, active, carry = state
        after, moment, act = interact(world, script.policy, before, *script.draw(time), script.records)
        if script.renew is None:
            after = where(active, after, before)
        carry, frame = script.fold(carry, after, moment, act, active)
        if script.renew is None:
            return (after, active & ~moment.ended, carry), frame
        return (script.renew(time, after, moment, carry), active, carry), frame

    start = (episodes, jnp.ones(episodes.watched.shape, bool), carry)
    if script.keep:
        shape = episodes.watched.shape

        def lean(state: tuple[Packed, Tree], time: Array) -> tuple[tuple[Packed, Tree], Packed]:
            (after, _, carry), frame = step((unpack(state[0]), start[1], state[1]), time)
            return (pack(after, shape), carry), pack(frame, shape)

        times = jnp.arange(length, dtype=jnp.int32)
        (last, carry), frames = jax.lax.scan(lean, (pack(episodes, shape), carry), times)
        return Played(unpack(last), carry, unpack(frames))

    def more(state: tuple[Any, Array]) -> Array:
        return jnp.any(state[0][1]) & (state[1] < length)

    (last, _, carry), _ = jax.lax.while_loop(more, lambda state: (step(*state)[0], state[1] + 1), (start, jnp.int32(0)))
    return Played(last, carry, None)


# --- a rollout: the experience of one update ---


class Rollout(NamedTuple):
    """T steps in each of B environments."""

    moments: Moment  # leaves [T, B, ...]
    sparse: Sparse | None  # the observations by their entries that may differ from 0, where the learner takes them so
    final: Episodes  # leaves [K, B, ...], the truncated episodes of each environment at their end
    final_slot: Array  # int32[T, B]
    memory: Tree  # leaves [B, ...], the agent's before the first step


class _Fresh:
    """Fresh episodes for a rollout: the n-th of an environment is a function of n, whenever it begins.

    They are made beforehand, together: all, where a grid places its things by uniform numbers, which costs nothing, and
    otherwise the first few. Where an environment needs more than these, they are made when they are needed.
    """

    def __init__(self, world: World, watch: Watch, resets: Array) -> None:
        self._begin = lambda *at: begin(world, resets[at], watch.watched[at], watch.signal[at])
        self._stock = len(resets) if world.scenario.env.place else min(len(resets), STOCK)
        self._all = self._stock == len(resets)
        self._made = jax.vmap(self._begin)(jnp.arange(self._stock, dtype=jnp.int32))
        self._packed = pack(self._made, self._made.watched.shape)

    def __call__(self, n: Array, wanted: Array) -> Episodes:
        """The n-th episodes, int32[B], of the environments in which they are wanted, bool[B]; others are not used."""
        envs = jnp.arange(n.size, dtype=jnp.int32)
        stocked = unpack(jax.tree.map(lambda x: x[jnp.clip(n, 0, self._stock - 1), envs], self._packed))
        if self._all:
            return stocked
        more = wanted & (n >= self._stock)
        return jax.lax.cond(
            jnp.any(more), lambda: where(more, self._begin(jnp.maximum(n, 0), envs), stocked), lambda: stocked
        )


def collect(
    world: World, overseer: Any, params: Tree, episodes: Episodes, uniforms: Array, resets: Array, key_env: Array
) -> tuple[Episodes, Rollout]:
    """Acts for T steps in B environments. Episodes that end are replaced by fresh ones, drawn beforehand in one block.

    Args:
      uniforms: float[T, B, UNIFORMS].
      resets: what fresh episodes begin with, [T, B].
      key_env: one key, for the environments' own chance.
    """
    steps, envs = uniforms.shape[:2]
    watch = overseer.watch(uniforms)
    fresh = _Fresh(world, watch, resets)
    step_keys, acting = jax.random.split(key_env, (steps, envs)), uniforms[..., ACT]
    slots = jnp.arange(world.truncations, dtype=jnp.int32)[:, None]

    def keep_ends(carry: Tree, after: Episodes, moment: Moment, act: Act, active: Array) -> tuple[Tree, Tree]:
        del act, active
        final, used, ended = carry
        here = (slots == used[None]) & moment.truncated[None]
        final = where(here, jax.tree.map(lambda x: x[None], after), final)
        return (final, used + moment.truncated, ended + moment.ended), (moment, used)

    def renew(time: Array, after: Episodes, moment: Moment, carry: Tree) -> Episodes:
        after = where(moment.ended, fresh(carry[2] - 1, moment.ended), after)
        if overseer.detection == "event":  # every step is watched or not for itself
            signal = watch.signal[time]
            dark = jnp.zeros_like(signal) if after.tampered is None else after.tampered
            after = replace(after, watched=watch.watched[time], signal=signal & ~dark)
        return after

    final = jax.tree.map(lambda x: jnp.broadcast_to(x, (slots.size, *x.shape)), episodes)
    script = Script(
        policy=lambda memory, obs: world.learner.act(params, memory, obs),
        draw=lambda time: (step_keys[time], acting[time]),
        fold=keep_ends,
        renew=renew,
        records=of_kind(world.scenario.records, Counter),
        keep=True,
    )
    none = jnp.zeros(envs, jnp.int32)
    played = play(world, script, episodes, (final, none, none), steps)
    (final, _, _), (moments, final_slot) = played.carry, played.frames
    sparse = moments.obs if isinstance(moments.obs, Sparse) else None
    moments = replace(moments, obs=dense(moments.obs))
    return played.episodes, Rollout(moments, sparse, final, final_slot, episodes.memory)


def as_batch(
    world: World, episodes: Episodes, rollout: Rollout, reward: Array, lesson: Lesson | None = None, fresh: bool = False
) -> Batch:
    """The batch of a rollout.

    Args:
      episodes: after the rollout.
      reward: float[T, B], what the agent gets.
      fresh: whether the agent learns from it at once.
    """
    moments = rollout.moments
    return Batch(
        obs=moments.obs,
        action=moments.action,
        reward=reward,
        signal=moments.signal.astype(jnp.int32),
        terminated=moments.terminated,
        truncated=moments.truncated,
        last_obs=observe(world, episodes.state, episodes.signal),
        final_obs=jax.vmap(lambda x: observe(world, x.state, x.signal))(rollout.final),
        final_slot=rollout.final_slot,
        memory=rollout.memory,
        extras=moments.extras,
        lesson=lesson,
        sparse=rollout.sparse,
        fresh=fresh,
    )
