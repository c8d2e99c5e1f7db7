"""The overseer of the training: feedback that is given before deployment, on training levels (theory C, R(n'))."""

from typing import Any, ClassVar

import jax.numpy as jnp

from robustsim.oversight.overseer import Overseer
from robustsim.oversight.protocol import EPISODE, Watch
from robustsim.pytree import pytree
from robustsim.types import Array


@pytree
class Tutor(Overseer):
    """Judges every episode, whatever the agent sees: the signal is on in a share of them, as in any training."""

    trains: ClassVar[bool] = True

    def watch(self, uniforms: Array) -> Watch:
        """The same signals as without a penalty."""
        signal = uniforms[..., EPISODE] < 1 - self.signal_noise
        return Watch(jnp.ones_like(signal), signal)


def tutor(training: Any) -> Overseer:
    """The overseer of a training, from the settings of that section; without a penalty it only draws the signal."""
    if not training.penalty:
        return Overseer(coverage=training.watched)
    window = {"onset": training.penalty_from, "withdrawal": training.penalty_until}
    return Tutor(penalty=training.penalty, coverage=1.0, signal_noise=1 - training.watched, **window)
