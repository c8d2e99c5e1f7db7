"""What a run does next, after its readings so far: the endings that take a reading to decide. Pure, and without JAX."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from robustsim.events import UNWATCHED, WATCHED, Ending
from robustsim.sim import readings as what
from robustsim.sim.readings import FAILURES, PASSES, Bar, Reading


class Next(NamedTuple):
    """What a run does next."""

    step: int  # of the next reading
    withdrawn: int | None = None  # gradient step at which the overseer left
    ending: Ending | None = None
    returned: int | None = None  # gradient step at which it came back


def race_only(settings: Any) -> bool:
    """Whether only the first event of the corrected arm counts."""
    return settings.deployment.stop == "first_event"


def next_on_grid(step: int) -> int:
    """The geometric grid of readings: every step up to 10, then a tenth further each time."""
    return step + max(1, step // 10)


def follow(readings: Sequence[Reading], settings: Any, bar: Bar) -> Next:
    """What the corrected arm does next, after its readings so far (at least the one at step 0)."""
    step, index = readings[-1].step, what.removal(readings, bar.threshold)
    if index is None:
        return to_the_budget(readings, settings)
    if race_only(settings):
        return Next(step, None, Ending.REMOVED)
    horizon = _horizon(readings, index, settings, bar)
    withdrawn = next((r.step for r in readings if r.step >= horizon), None)
    if withdrawn is None:
        return Next(min(next_on_grid(step), horizon))
    if settings.deployment.relapse_steps == 0:
        return Next(step, withdrawn, Ending.STABLE)
    end = withdrawn + max(readings[index].step, settings.deployment.relapse_steps)
    if settings.deployment.relearn:
        return _twice(readings, settings, bar, withdrawn, end)
    back = what.relapse(readings, bar.threshold, withdrawn) is not None
    ending = Ending.RELAPSED if back else Ending.STABLE if step >= end else None
    return Next(min(withdrawn + next_on_grid(step - withdrawn), end), withdrawn, ending)


def _twice(readings: Sequence[Reading], settings: Any, bar: Bar, withdrawn: int, end: int) -> Next:
    """What follows where the overseer is to come back: all of the phase without it, and then another correction."""
    step, budget = readings[-1].step, settings.deployment.budget
    if step < end:
        return Next(min(withdrawn + next_on_grid(step - withdrawn), end), withdrawn)
    end = next(r.step for r in readings if r.step >= end)  # an update may be several gradient steps
    alone, again = [r for r in readings if r.step <= end], [r for r in readings if r.step >= end]
    back = what.relapse(alone, bar.threshold, withdrawn) is not None
    if not back or not what.is_back(again[0], bar.threshold):
        return Next(step, withdrawn, Ending.RELAPSED if back else Ending.STABLE)
    over = step - end >= budget or what.removal(again, bar.threshold) is not None
    following = end + min(next_on_grid(step - end), budget)
    return Next(following, withdrawn, Ending.RELAPSED if over else None, end)


def _horizon(readings: Sequence[Reading], index: int, settings: Any, bar: Bar) -> int:
    """The gradient step until which the overseer stays on after a removal.

    Three checks, and `patience` times T; longer, up to the budget, for an agent that has only stopped.
    """
    confirmed = readings[index + what.needed(readings) - 1].step
    patience, budget = settings.deployment.patience, settings.deployment.budget
    if patience == 0:
        return confirmed
    least = confirmed
    if bar.competence is not None:
        redirected = what.redirection([r for r in readings if r.step <= budget], bar, index)
        if redirected is None:
            return max(confirmed, budget)
        least = max(confirmed, readings[redirected].step)  # the overseer was there until then
    checks = confirmed
    for _ in range(PASSES):
        checks = next_on_grid(checks)
    wanted = math.ceil(readings[index].step * (1 + patience))
    return max(least, min(budget, max(checks, wanted)))


def to_the_budget(readings: Sequence[Reading], settings: Any) -> Next:
    """What an arm does next that nothing but its budget (or a catastrophe) ends."""
    step, budget = readings[-1].step, settings.deployment.budget
    return Next(min(next_on_grid(step), budget), None, Ending.BUDGET if step >= budget else None)


def at_the_budget(readings: Sequence[Reading], settings: Any) -> Next:
    """The same of an arm of which nothing is to be read in between."""
    return to_the_budget(readings, settings)._replace(step=settings.deployment.budget)


def wants_confirmation(readings: Sequence[Reading], screening: Reading, settings: Any, bar: Bar) -> bool:
    """Whether a screening evaluation, taken after the readings so far, calls for a confirmatory one."""
    threshold = bar.threshold
    if screening.known or screening.confirmatory:
        return False
    if not readings:
        return True  # deployment start is always measured in full
    progress = follow(readings, settings, bar)
    if progress.ending is not None:
        return False
    if progress.returned is not None:
        return screening.step >= progress.returned + settings.deployment.budget or _open(screening, threshold)
    open_watched = what.might_pass(screening, threshold, WATCHED)
    if what.passing(readings, threshold, WATCHED) is None and open_watched:
        return True
    if what.removal(readings, threshold) is not None:  # from here on, a screening that is clear is enough
        if progress.withdrawn is not None:
            return what.might_be_back(screening, threshold)
        return not all(what.clears(screening, threshold, condition) for condition in (UNWATCHED, WATCHED))
    return screening.step >= settings.deployment.budget or _open(screening, threshold)


def wants_confirmation_unopposed(readings: Sequence[Reading], screening: Reading, bar: Bar) -> bool:
    """The same of the unopposed arm, where only the fading is claimed."""
    if screening.known or screening.confirmatory or what.removal(readings, bar.threshold) is not None:
        return False
    return _open(screening, bar.threshold)


def _open(screening: Reading, threshold: float) -> bool:
    """Whether a screening leaves a removal possible."""
    return all(what.might_pass(screening, threshold, condition) for condition in (UNWATCHED, WATCHED))


def wants_more(readings: Sequence[Reading], reading: Reading, bar: Bar) -> bool:
    """Whether a confirmatory evaluation, taken after the readings so far, calls for a larger one (theory G.8)."""
    if not readings or what.removal(readings, bar.threshold) is not None:
        return False
    failed = sum(r.level > 1 and not what.removed_at(r, bar.threshold) for r in readings)
    return failed < FAILURES and what.undecided(reading, bar.threshold)


# --- training ---


class Demand(NamedTuple):
    """The agent that a deployment wants of a training.

    Attributes:
      steps: gradient steps.
      extension: below the criterion it goes on, up to extension * steps more.
      competence: the criterion, a share of training episodes.
    """

    steps: int
    extension: float = 0.0
    competence: float = 0.0


def demand_of(settings: Any) -> Demand:
    """The agent that a run is deployed with."""
    if settings.deployment.start >= 0:
        return Demand(settings.deployment.start)
    training = settings.training
    return Demand(training.steps, training.extension, training.competence)


def supplied(readings: Sequence[Reading], demand: Demand) -> tuple[int, Reading | None]:
    """(the gradient step at which a demand is to be read next, the reading that meets it or None)."""
    end, step = int(demand.steps * (1 + demand.extension)), demand.steps
    while True:
        reading = next((r for r in readings if r.step >= step), None)
        if reading is None:
            return step, None
        if reading.competence >= demand.competence or step >= end:
            return step, reading
        step = min(step + max(demand.steps // 4, 1), end)


def train_on(readings: Sequence[Reading], demands: Sequence[Demand]) -> Next:
    """What a training does next: on to the first step at which one of its demands is to be read."""
    waiting = [step for step, reading in (supplied(readings, demand) for demand in demands) if reading is None]
    if waiting:
        return Next(min(waiting))
    short = any(supplied(readings, d)[1].competence < d.competence for d in demands)  # pyright: ignore[reportOptionalMemberAccess]
    return Next(readings[-1].step, None, Ending.BUDGET if short else Ending.COMPETENT)
