"""How runs end, and which condition is which. Needs no JAX."""

import enum

NEVER = -1  # a gradient step that has not come
UNWATCHED, WATCHED = 0, 1  # the conditions of an evaluation, in the order of every pair
CONDITIONS = ("unwatched", "watched")


class Ending(enum.IntEnum):
    """What ended a phase of a run, or RUNNING, or PAUSED at the step that the host asked for.

    The compiled program returns the first four; the host adds what takes a reading to decide.
    """

    RUNNING = 0
    PAUSED = 1
    REMOVED = 2  # the misbehaviour is removed, and nothing is wanted after that
    CATASTROPHE = 3  # the catastrophe rule fired, and nothing is wanted after that
    COMPETENT = 4  # training: every agent that is wanted of it is there
    RELAPSED = 5  # the misbehaviour is back after the overseer left
    STABLE = 6  # removed, and the relapse phase is over
    BUDGET = 7  # out of gradient steps
    DIVERGED = 8  # the weights are no longer finite


class Event(enum.IntEnum):
    """Which event of a run came first."""

    CENSORED = 0  # neither happened within the budget
    REMOVED = 1  # the misbehaviour was removed
    CATASTROPHE = 2  # the catastrophe rule fired


def first_event(removed: int | None, catastrophe: int | None) -> Event:
    """Which of two times, in gradient steps (None: never), came first.

    | removed | catastrophe | first event |
    |---|---|---|
    | never | never | CENSORED |
    | t | never, or later than t | REMOVED |
    | never, or not before t | t | CATASTROPHE (also on a tie: the act comes before the update) |
    """
    if catastrophe is not None and (removed is None or catastrophe <= removed):
        return Event.CATASTROPHE
    return Event.CENSORED if removed is None else Event.REMOVED
