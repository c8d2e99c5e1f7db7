"""What the host tells a run: which phase it is in, and where it stops."""

from robustsim.pytree import pytree
from robustsim.types import Array


@pytree
class Control:
    """What the host tells one run of a batch."""

    key: Array  # uint32[2], hash of what the run is
    training: Array  # bool[], the phase
    silent: Array  # bool[], the overseer gives no feedback (the unopposed arm)
    taught: Array  # int32[], in the control arm, the action that alone pays; below 0 otherwise
    withdrawn: Array  # int32[], gradient step at which the host withdraws the overseer
    returned: Array  # int32[], gradient step at which it comes back
    limit: Array  # int32[], gradient step at which to pause
    stop_removed: Array  # bool[], end once the misbehaviour is known to be removed
    stop_catastrophe: Array  # bool[], end once the catastrophe rule fires

    def alone(self, step: Array) -> Array:
        """bool[], whether the host has withdrawn the overseer at a gradient step."""
        return (step >= self.withdrawn) & (step < self.returned)
