"""The environment protocol: two pure functions, without auto-reset.

The deployment loop owns resets, because predicates need the state before the reset, and the learner needs the true last
observation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustsim.envs.picture import of_image
from robustsim.errors import UserError
from robustsim.recording import Sign
from robustsim.records import Feature
from robustsim.sparse import Sparse
from robustsim.types import Array, Step, Tree


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An environment as functions and sizes; everything that varies is in `params` and `state`.

    Attributes:
      reset: `reset(key, params) -> (obs, state)`, with `obs` float[observation_size]. The key is consumed.
      step: `step(key, state, action, params) -> Step`, with `action` int32[]. The key is consumed.
      observe: `observe(state) -> obs`, the same observation that `reset` and `step` return with that state.
      observation_size: length of the flat observation.
      num_actions: number of discrete actions.
      max_steps: the time limit of an episode in environment steps, after which `truncated` is set.
      render: `render(state, signal) -> uint8[height, width, 3]`, on the host; `signal`: whether the signal is on. By
        default, where there is an `image`, a picture of that.
      text: `text(state) -> str`, a drawing for the terminal, on the host.
      legend: what the things in both mean.
      outcomes: for worlds of one decision only: `outcomes(params) -> float[num_actions]`, the expected reward of each
        action. It lets a learner use the exact gradient.
      sparse: `sparse(state) -> Sparse`, the same vector as `observe`, for observations that are mostly 0.
      draws, place: `place(uniform float[draws], levels) -> (obs, state)`, a reset by so many uniform numbers in [0, 1);
        many resets then draw their numbers in one block.
      shortest: `shortest(levels) -> int`, the fewest environment steps after which an episode of these levels can be
        truncated, on the host while tracing; None: it may be after any step.
      scatter: `scatter(key) -> state`, a state in which whatever may be there is placed independently of the rest, for
        `evaluation.goals`. The key is consumed.
      features: what may be there (`rs.Feature`), where a scenario names no features of its own.
      mask: `mask(state) -> bool[num_actions]`, the allowed actions; None: all are. Agents with a network never choose
        another one, unless none is allowed.
      image: (height, width, channels) of observations that are flattened images, for the network `cnn`.

    Raises:
      UserError: an image of another size than an observation; a mask in a world of one decision.
    """

    reset: Callable[[Array, Tree], tuple[Array, Tree]]
    step: Callable[[Array, Tree, Array, Tree], Step]
    observe: Callable[[Tree], Array]
    observation_size: int
    num_actions: int
    max_steps: int
    render: Callable[[Tree, bool], Any] | None = None
    text: Callable[[Tree], str] | None = None
    legend: tuple[Sign, ...] = ()
    outcomes: Callable[[Tree], Array] | None = None
    sparse: Callable[[Tree], Sparse] | None = None
    draws: int = 0
    place: Callable[[Array, Tree], tuple[Array, Tree]] | None = None
    shortest: Callable[[Tree], int] | None = None
    scatter: Callable[[Array], Tree] | None = None
    features: tuple[Feature, ...] = ()
    mask: Callable[[Tree], Array] | None = None
    image: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        shape = self.image
        if self.render is None and shape is not None:
            seen = self.observe
            object.__setattr__(self, "render", lambda state, signal: of_image(np.asarray(seen(state)).reshape(shape)))
        if self.image is not None and (len(self.image) != 3 or math.prod(self.image) != self.observation_size):
            raise UserError(
                f"Environment.image: {self.image} is not allowed; use (height, width, channels), of which the product "
                f"is observation_size={self.observation_size}"
            )
        if self.mask is not None and self.outcomes is not None:
            raise UserError(
                "Environment.mask: is not allowed with outcomes: a world of one decision allows every action"
            )
