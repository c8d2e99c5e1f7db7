"""What an overseer is: it watches episodes, and turns what it sees into feedback. All arrays are [T, B] of one rollout.

A new overseer is a settings class under `@rs.overseer` with `watch` and `respond`, and as much of :class:`Oversight`
as it wants to change.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp

from robustsim.agents.learner import Lesson
from robustsim.pytree import pytree
from robustsim.types import Array, Tree

EPISODE, STEP = 0, 1  # random numbers: one for the episode that would begin here, one for what is noticed at this step
UNIFORMS = 2


class Watch(NamedTuple):
    """How an episode is watched, fixed at its reset (event detection: how a step is watched)."""

    watched: Array  # bool[...]
    signal: Array  # bool[...], whether the agent sees that it is watched


class Site(NamedTuple):
    """Where an overseer works.

    Attributes:
      num_envs: B.
      observation_size, num_actions: of the agent.
      hidden_units: of the agent's last hidden layer; 0 where there is none.
    """

    num_envs: int
    observation_size: int
    num_actions: int
    hidden_units: int


@pytree
class Sight:
    """What there is to see in a rollout."""

    misbehaved: Array  # bool, a misbehaviour happened at this step, as far as the overseer's monitor can tell
    clean: Array  # bool, an episode without misbehaviour ended
    dirty: Array  # bool, an episode with misbehaviour ended
    watched: Array  # bool
    signal: Array  # bool, the agent saw the signal of being watched
    ended: Array  # bool, an episode ended
    obs: Array  # float[T, B, D]
    action: Array  # int32
    demonstrated: Array | None  # int32, the act to imitate, where the scenario has one
    hidden: Array | None  # float[T, B, H], the agent's last hidden layer, where it is read
    reward: Array | float = 0.0  # float, as the environment gave it


@pytree
class Feedback:
    """What an overseer makes of a rollout."""

    due: Array  # float, reward for these steps, whenever it arrives
    arrives: Array  # float, reward that arrives at these steps
    opinion: Array | float  # float, reward beside that, which is never late
    caught: Array  # bool, a misbehaviour that was penalised
    false_alarm: Array  # bool, a clean episode that was penalised
    audited: Array  # bool, a judged episode (step) that looked unwatched
    noticed: Array  # bool, a misbehaviour that was seen, whether or not there was feedback to give
    labels: Array  # int32[], episodes (steps, comparisons) that were judged
    lesson: Lesson | None = None
    dropped: Array | None = None  # bool, steps that the agent does not learn from


class Shift(NamedTuple):
    """What an overseer has in hand for one rollout.

    Attributes:
      active: bool[], whether the overseer gives feedback in this rollout.
      spent: what it has used up, by the names of the counters (`corrections`, `false_alarms`, `labels`): int32[].
      uniforms: float[T, B, UNIFORMS] in [0, 1).
      key: for whatever else needs chance.
      present: bool[], whether it is there and on duty; until it knows enough, it may be there without being active.
    """

    active: Array
    spent: Mapping[str, Array]
    uniforms: Array
    key: Array
    present: Any = True


class Oversight:
    """What an overseer has that says nothing else: no memory, the same every day, feedback at once."""

    latency: Any = 0  # gradient steps between a rollout and the update that learns from it
    staleness: Any = "action"
    queue: Any = 0  # room for what is late, in gradient steps
    visible: Any = True  # whether the agent sees a signal while it is watched
    detection: Any = "episode"  # "event": every step is watched or not for itself
    feedback: Any = "penalty"
    waits: Any = False  # whether it corrects only once it has a proof
    trains: ClassVar[bool] = False  # whether it gives its feedback in training

    @property
    def reads_plans(self) -> bool:
        """Whether it reads the agent's last hidden layer."""
        return False

    @property
    def beyond_expectation(self) -> str:
        """The name of a setting that no expected gradient has; "" if there is none."""
        return "kind"

    def check(self, prefix: str) -> None:
        """Raises UserError where two fields contradict each other."""

    def canonical(self) -> Any:
        """These settings as they are compiled."""
        return self

    def init(self, key: Array, site: Site) -> Tree:
        """What it carries from one gradient step to the next, before deployment. The key is consumed."""
        return ()

    def today(self, state: Tree, step: Array) -> Any:
        """The overseer as it is at one gradient step of deployment."""
        return self

    def on_duty(self, step: Array) -> Array:
        """bool[], whether feedback is given at this gradient step."""
        return jnp.ones_like(step, bool)

    def knows(self, state: Tree) -> Array:
        """bool[], whether it knows enough to give feedback; it is asked before every rollout."""
        return jnp.bool_(True)

    def watch(self, uniforms: Array) -> Watch:
        """Draws how an episode is watched, from float[..., UNIFORMS] in [0, 1)."""
        raise NotImplementedError

    def respond(self, state: Tree, shift: Shift, sight: Sight) -> tuple[Tree, Feedback]:
        """Feedback for one rollout, and what the overseer carries on."""
        raise NotImplementedError


def room(latest: int) -> int:
    """The smallest power of two that holds what is `latest` late, so that few programs are needed; 0 for 0."""
    return 0 if latest == 0 else 1 << (latest - 1).bit_length()
