"""What a learner is: a few pure functions on an agent. A new learner is a new file beside this one."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from robustsim.pytree import pytree, static
from robustsim.sparse import Sparse
from robustsim.types import Array, Tree


class Interface(NamedTuple):
    """What a learner may know of its world.

    Attributes:
      observation_size: D, the length of an observation, the signal of being watched and the mask included.
      num_actions: A.
      contexts: float[2, D], the only two observations of a one-decision world (looking watched, looking unwatched);
        None in any other world.
      masked: whether the last A numbers of an observation are a mask, 1 for the allowed actions and 0 for the others.
      image: the shape (height, width, channels) of the image that an observation begins with, flattened; None: it may
        be anything.
    """

    observation_size: int
    num_actions: int
    contexts: Array | None = None
    masked: bool = False
    image: tuple[int, int, int] | None = None


@pytree
class Lesson:
    """Demonstrated acts, for learners that can imitate: the loss gains the mean of weight times -log pi(action)."""

    action: Array  # int32[T, B]
    weight: Array  # float[T, B]


@pytree
class Verdict:
    """What became of the misbehaviours of a batch."""

    misbehaved: Array  # bool[T, B]
    caught: Array  # bool[T, B], and it was penalised


@pytree
class Batch:
    """The experience of one update: T steps in each of B environments.

    A batch need not be sampled: for the expected gradient it enumerates every outcome, with its probability as weight.
    """

    obs: Array  # float[T, B, D]
    action: Array  # int32[T, B]
    reward: Array  # float[T, B], the environment's reward plus the overseer's feedback
    signal: Array  # int32[T, B], 1 where the agent looked watched
    terminated: Array  # bool[T, B]
    truncated: Array  # bool[T, B]
    last_obs: Array  # float[B, D], the observation after the last step
    final_obs: Array  # float[K, B, D], the true last observations of the truncated episodes of each environment
    final_slot: Array  # int32[T, B], which of the K a truncated step belongs to
    weight: Array | None = None  # float[T, B], sums to 1; None where all steps weigh the same
    memory: Tree = ()  # leaves [B, ...], what the agent remembered before the first step
    extras: Tree = ()  # leaves [T, B, ...], what `act` returned beside the policy
    lesson: Lesson | None = None
    verdict: Verdict | None = None  # where the learner predicts it
    sparse: Sparse | None = None  # `obs` by its entries that may differ from 0, where the learner takes it so
    fresh: bool = static(default=False)  # the parameters that acted are those that the first gradient is taken at

    def mean(self, values: Array) -> Array:
        """float[], the weighted mean of float[T, B]."""
        return jnp.mean(values) if self.weight is None else jnp.sum(self.weight * values)


class Act(NamedTuple):
    """What an agent makes of one observation (any leading axes)."""

    log_policy: Array  # float[..., A], log-probabilities of the actions; -inf for those that are never taken
    memory: Tree  # what it remembers from now on
    extras: Tree = ()  # travels in the batch


class Agent(Protocol):
    """The state of an agent: any pytree with the property below."""

    @property
    def params(self) -> Tree:
        """What the policy is computed from: any pytree."""
        ...


Penalty = Callable[[Tree, Batch, Array], Array]
"""`penalty(params, batch, log_policy float[T, B, A]) -> float[]`, what a treatment adds to a learner's loss."""
Experience = Callable[[Array], Batch]
"""`experience(key) -> batch`, a rollout on training levels by the agent at deployment start."""


class Learner(NamedTuple):
    """A learning rule as pure functions.

    Attributes:
      init: `init(key) -> agent`, a randomly initialised one.
      act: `act(params, memory, obs float[..., D]) -> Act`.
      update: `update(key, agent, batch, params, penalty) -> agent`. The first gradient is taken at `params`, which are
        `agent.params` unless feedback is stale; `penalty` is a :data:`Penalty`, or None.
      restart: `restart(agent) -> agent` with the state of the optimizer as before the first update.
      deploy: `deploy(key, agent, experience) -> agent`, what changes at deployment start. It gets the agent as training
        left it; `experience` is a :data:`Experience`.
      memory: `memory(envs) -> leaves [envs, ...]`, what is remembered at the start of an episode.
      gradient_steps: optimizer updates in one call of `update`; the clock counts them.
      sparse: whether `act` also takes observations as :class:`robustsim.sparse.Sparse`.
      expected: whether the learner takes the expected gradient, from enumerated batches.
      hidden: `hidden(params, memory, obs float[..., D]) -> float[..., H]`, the last hidden layer, where there is one.
      layers: `layers(params, memory, obs float[..., D])`, all hidden layers float[..., H], from the first to the last;
        None: the last is the only one that is known, if any is.
      value: `value(params, memory, obs float[..., D]) -> float[...]`, what the agent expects from a state, where it
        estimates that.
    """

    init: Callable[[Array], Any]
    act: Callable[[Tree, Tree, Array], Act]
    update: Callable[[Array, Any, Batch, Tree, Penalty | None], Any]
    restart: Callable[[Any], Any]
    deploy: Callable[[Array, Any, Experience], Any] = lambda key, agent, experience: agent
    memory: Callable[[int], Tree] = lambda envs: ()
    gradient_steps: int = 1
    sparse: bool = False
    expected: bool = False
    hidden: Callable[[Tree, Tree, Array], Array] | None = None
    layers: Callable[[Tree, Tree, Array], tuple[Array, ...]] | None = None
    value: Callable[[Tree, Tree, Array], Array] | None = None


def policy_along(learner: Learner, params: Tree, batch: Batch) -> Array:
    """float[T, B, A], the log-policy at every step of a batch, with the memory that the agent would have there."""
    return log_policies(learner, params, batch.memory, batch.obs, batch.terminated | batch.truncated)


def log_policies(learner: Learner, params: Tree, memory: Tree, obs: Array, ended: Array) -> Array:
    """float[T, B, A], the log-policy along observations float[T, B, D].

    Args:
      memory: leaves [B, ...], what is remembered before the first of them.
      ended: bool[T, B], an episode ended.
    """
    return _between(learner, params, memory, obs, ended, lambda memory, obs, act: act.log_policy)


def hidden_along(learner: Learner, params: Tree, batch: Batch) -> Array:
    """float[T, B, H], the last hidden layer at every step of a batch."""
    return hidden_between(learner, params, batch.memory, batch.obs, batch.terminated | batch.truncated)


def hidden_between(learner: Learner, params: Tree, memory: Tree, obs: Array, ended: Array) -> Array:
    """float[T, B, H], the same along observations, as :func:`log_policies`."""
    hidden = learner.hidden
    assert hidden is not None
    return _between(learner, params, memory, obs, ended, lambda memory, obs, act: hidden(params, memory, obs))


def _between(
    learner: Learner,
    params: Tree,
    memory: Tree,
    obs: Array,
    ended: Array,
    read: Callable[[Tree, Array, Act], Array],
) -> Array:
    """`read(memory, obs, act)` of every step, with the memory that the agent has there."""
    if not jax.tree.leaves(memory):
        return read(memory, obs, learner.act(params, memory, obs))
    fresh = learner.memory(obs.shape[1])

    def step(memory: Tree, row: tuple[Array, Array]) -> tuple[Tree, Array]:
        act = learner.act(params, memory, row[0])
        return renewed(row[1], fresh, act.memory), read(memory, row[0], act)

    return jax.lax.scan(step, memory, (obs, ended))[1]


def renewed(ended: Array, fresh: Tree, memory: Tree) -> Tree:
    """Memory for the next step: that of a new episode where one has ended, bool[B]."""

    def choose(new: Array, old: Array) -> Array:
        return jnp.where(ended.reshape(ended.shape + (1,) * (old.ndim - ended.ndim)), new, old)

    return jax.tree.map(choose, fresh, memory)
