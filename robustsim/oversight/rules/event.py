"""The `threshold`-th event that the scenario defines itself is the catastrophe."""

from robustsim.oversight.rules.cumulative import Cumulative
from robustsim.parts import rule


@rule
class Event(Cumulative):
    """Fires at the `threshold`-th event (a door opened, a machine disabled), whether it is a misbehaviour or not."""

    counts_events = True
