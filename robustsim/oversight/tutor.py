"""The overseer of the training: feedback that is given before deployment, on training levels (theory C, R(n'))."""

from typing import Any, ClassVar

import jax.numpy as jnp

from robustsim.oversight.overseer import Expected, Overseer
from robustsim.oversight.protocol import EPISODE, STEP, Watch
from robustsim.pytree import pytree, static
from robustsim.types import Array


@pytree
class Tutor(Overseer):
    """Judges a share of the episodes: whatever the agent sees, or of those that look one way.

    The signal is on in some of them, as in any training.
    """

    trains: ClassVar[bool] = True
    looks: str = static(default="any")

    def watch(self, uniforms: Array) -> Watch:
        """The same signals as without a penalty."""
        signal = uniforms[..., EPISODE] < 1 - self.signal_noise
        judged = uniforms[..., STEP] < self.coverage  # nothing else asks for that number at the start of an episode
        dark, lit = self._judges()
        return Watch(judged & jnp.where(signal, lit, dark), signal)

    def _judges(self) -> tuple[bool, bool]:
        """Whether it judges episodes that look unwatched, and those that look watched."""
        return self.looks != "watched", self.looks != "unwatched"

    def expected(self, active: Array) -> Expected:
        """The share that is judged in each context."""
        lit = 1 - self.signal_noise
        seen = jnp.where(jnp.array(self._judges()), jnp.asarray(self.coverage, float), 0.0)
        caught = seen * active
        return Expected(
            looks=jnp.stack([1 - lit, lit]),
            watched=seen,
            feedback=jnp.stack([jnp.zeros(2), -caught * self.penalty], axis=1),
            caught=caught,
        )


def tutor(training: Any) -> Overseer:
    """The overseer of a training, from the settings of that section; without a penalty it only draws the signal."""
    if not training.penalty:
        return Overseer(coverage=training.watched)
    window = {"onset": training.penalty_from, "withdrawal": training.penalty_until}
    share, looks = training.penalty_share, training.penalty_looks
    return Tutor(penalty=training.penalty, coverage=share, looks=looks, signal_noise=1 - training.watched, **window)
