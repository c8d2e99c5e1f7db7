"""How long a call of the compiled program should take, and what the time went into."""

from dataclasses import dataclass

import jax
import numpy as np

CALL = 0.5  # seconds that one call of the compiled program is meant to take
FIRST = 8  # gradient steps of the first call, when it is not known yet how long one takes
LONG = 2**30


@dataclass
class Spent:
    """What a cohort has done so far; seconds exclude compiling."""

    steps: int = 0  # gradient steps
    slot_steps: int = 0  # gradient steps that the slots could have taken in the same time
    device_seconds: float = 0.0  # advancing
    evaluation_seconds: float = 0.0
    host_only_seconds: float = 0.0  # neither


@dataclass
class Pace:
    """Measured durations.

    Attributes:
      step: seconds of one gradient step of a call, 0 before it is known.
      between: seconds between two calls.
    """

    step: float = 0.0
    between: float = 0.0

    def room(self, stride: int) -> int:
        """Gradient steps that the next call may take, a whole number of updates."""
        steps = FIRST if self.step == 0 else max(1, int(CALL / self.step))
        return max(stride, steps // stride * stride)

    def patience(self, runs: int) -> int:
        """Steps that runs which have arrived may wait for the others, all together."""
        return 0 if self.step == 0 else min(int(runs * self.between / self.step), LONG)

    def waited(self, seconds: float) -> None:
        """Notes the seconds since the last call."""
        self.between = seconds if self.between == 0 else 0.9 * self.between + 0.1 * seconds

    def moved(self, before: np.ndarray, after: np.ndarray, seconds: float, together: bool, runs: int) -> None:
        """Notes a call in which nothing was compiled and `runs` runs went from one step to another."""
        total, longest = int((after - before).sum()), int((after - before).max(initial=0))
        if total:
            self.step = seconds / (longest if together else total / runs)


_COMPILED = [0.0]


def _listen(event: str, seconds: float, **_: str | int) -> None:
    if event.endswith(("/jaxpr_to_mlir_module_duration", "/backend_compile_duration")):
        _COMPILED[0] += seconds


jax.monitoring.register_event_duration_secs_listener(_listen)  # pyright: ignore[reportArgumentType]


def compile_seconds() -> float:
    """Seconds that this process has spent lowering and compiling so far."""
    return _COMPILED[0]
