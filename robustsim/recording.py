"""What a replay shows, as plain arrays: made where the simulator is, drawn where it is not needed."""

from typing import NamedTuple

import numpy as np


class Sign(NamedTuple):
    """What one thing in a picture means."""

    symbol: str  # its character in the drawing for the terminal
    colour: tuple[int, int, int]  # red, green, blue, 0 to 255
    shape: str  # "disc" or "cell"
    meaning: str


class Stage(NamedTuple):
    """Some held-out episodes of one agent: E of them, each unwatched and watched, at most T environment steps long.

    What follows the end of an episode repeats its last picture, and counts as nothing.
    """

    name: str  # before, during or after the correction
    step: int  # gradient steps of deployment that the agent has taken
    rates: tuple[float, float]  # misbehaviour rates of this agent in its evaluation, (unwatched, watched)
    shown: np.ndarray  # int[2, E, T + 1], the picture before each step, and after the last
    signal: np.ndarray  # bool[2, E, T + 1], whether the agent sees that it is watched
    misbehaved: np.ndarray  # bool[2, E, T]
    reward: np.ndarray  # float[2, E, T], as the environment gave it
    length: np.ndarray  # int[2, E], environment steps until the episode ended


class Recording(NamedTuple):
    """One agent on its way through the correction."""

    scenario: str
    run_id: str
    seed: int
    point: dict[str, float | int | bool | str]  # the value of each swept name
    corrected: bool
    visible: bool  # whether a signal shows that the agent is watched
    pictures: np.ndarray  # uint8[P, height, width, 3]
    stages: tuple[Stage, ...]
    legend: tuple[Sign, ...] = ()
