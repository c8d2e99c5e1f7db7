"""What a learner is: a few pure functions on an agent state. A new learner is a new file beside this one."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from robustsim.pytree import pytree
from robustsim.types import Array, Tree


class Interface(NamedTuple):
    """What a learner may know of its world.

    Attributes:
      observation_size: D, the length of an observation, the signal of being watched included.
      num_actions: A.
      contexts: float[2, D], the only two observations of a one-decision world (looking watched, looking unwatched);
        None in any other world.
    """

    observation_size: int
    num_actions: int
    contexts: Array | None


@pytree
class Lesson:
    """Acts to imitate, for learners that can: the loss gains the mean of weight times -log pi(action)."""

    action: Array  # int32[T, B]
    weight: Array  # float[T, B]


@pytree
class Batch:
    """The experience of one gradient step: T steps in each of B environments.

    A batch need not be sampled: for the exact gradient it enumerates every outcome, with its probability as `weight`.
    """

    obs: Array  # float[T, B, D]
    action: Array  # int32[T, B]
    reward: Array  # float[T, B], the environment's reward plus the overseer's feedback
    signal: Array  # int32[T, B], 1 where the agent looked watched
    weight: Array  # float[T, B], sums to 1
    terminated: Array  # bool[T, B]
    truncated: Array  # bool[T, B]
    last_obs: Array  # float[B, D], the observation after the last step
    final_obs: Array  # float[K, B, D], the true last observations of the first K truncated episodes of each environment
    final_slot: Array  # int32[T, B], which of the K a truncated step belongs to
    lesson: Lesson | None = None


class Agent(Protocol):
    """The state of an agent: any pytree with the fields below."""

    @property
    def params(self) -> Tree:
        """What the policy is computed from."""
        ...


class Learner(NamedTuple):
    """A learning rule as pure functions.

    Attributes:
      init: `init(key) -> agent`. The key is consumed.
      log_policy: `log_policy(params, obs float[..., D]) -> float[..., A]`, log-probabilities of the actions.
      update: `update(agent, batch, params) -> agent`, one gradient step; the gradient is taken at `params`, which are
        `agent.params` unless feedback arrives late.
      hand_over: `hand_over(agent) -> agent`, what changes at deployment (the KL anchor is fixed to today's policy).
      exact: whether the learner wants enumerated batches (the exact gradient) in place of sampled ones.
      hidden: `hidden(params, obs float[..., D]) -> float[..., H]`, the last hidden layer, where there is one.
    """

    init: Callable[[Array], Any]
    log_policy: Callable[[Tree, Array], Array]
    update: Callable[[Any, Batch, Tree], Any]
    hand_over: Callable[[Any], Any]
    exact: bool = False
    hidden: Callable[[Tree, Array], Array] | None = None


class AgentSettings(Protocol):
    """Settings of an agent: a frozen pytree of numbers that knows how to make its learner."""

    @property
    def num_envs(self) -> int:
        """Environments per run."""
        ...

    @property
    def rollout_steps(self) -> int:
        """Environment steps in each, per gradient step."""
        ...

    def __check__(self, prefix: str) -> None:
        """Raises UserError where a setting's value needs more than a range to be judged."""
        ...

    @property
    def small_steps(self) -> bool:
        """Whether one run's gradient step is too small to keep a CPU core busy (then runs go side by side)."""
        ...

    @property
    def exact(self) -> bool:
        """Whether the gradient is an expectation and not a sample."""
        ...

    @property
    def hidden_units(self) -> int:
        """Units of the last hidden layer; 0 where there is none."""
        ...

    def canonical(self) -> Any:
        """These settings as they are compiled (what is switched off may become None, which is structure)."""
        ...

    def learner(self, interface: Interface) -> Learner:
        """The learner with these settings in a world with this interface."""
        ...
