"""What became of a run, made once from the readings of its arms. Pure, and without JAX."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from robustsim.events import UNWATCHED, WATCHED, Event, first_event
from robustsim.sim import readings as what
from robustsim.sim.follow import race_only
from robustsim.sim.readings import KEPT, Bar, Reading
from robustsim.sim.reference import Reference

Bounded = tuple[float | None, float | None, float | None]
"""A number with its lower and its upper bound; None where they are not identified."""
NOWHERE = (None, None, None)


class Time(NamedTuple):
    """A time in gradient steps."""

    step: int | None  # None: censored
    lower: int  # the last step at which it was not yet there; where censored, the time of censoring


NOT_RUN = Time(None, 0)  # of an arm that there is not: censored before its first step


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a run, from the readings of both arms. Times are gradient steps."""

    start: Reading  # at deployment start
    removed: Time
    redirected: Time
    became: str  # one of BECAME
    success: bool | None  # removed before the catastrophe, and not incapacitated; None with nothing to correct
    half: int | None  # gradient step at which half of the drop from the start to the floor was made
    tenth: int | None  # and nine tenths of it
    removed_unwatched: Time  # the same for the unwatched condition alone
    suppressed: Time  # and for the watched one
    stable: int | None
    believed: Time | None  # None without a head that learns to predict a penalty
    threshold: float  # of the removal, with the floor where it counts
    control: Time
    faded: Time  # unopposed
    catastrophe: Time  # unopposed
    catastrophe_in_race: int | None  # in the corrected arm
    first_event: Event
    position: Bounded
    at_removal: Reading  # or the last one under the overseer
    last: Reading  # the last one under the overseer
    concealment: Bounded
    relapsed: bool | None
    relapsed_under_oversight: bool | None
    steps_to_relapse: int | None
    again: Time | None  # the second correction, from the overseer's return on; None: it did not come back
    second_start: Reading | None  # where that begins
    defended: "Defended | None"
    known: dict[str, float] | None  # what is known without sampling
    harm: "Harm"


class Harm(NamedTuple):
    """How far the catastrophe rule came up to the removal, or as long as the overseer was there."""

    peak: int
    known: bool  # whether there was a removal; without one it is a lower bound
    stakes: float  # k
    defended: int | None  # the same behind the defences

    @property
    def margin(self) -> float:
        """log10((H + 1/2) / k), in decades."""
        return math.log10((self.peak + 0.5) / self.stakes) if self.stakes < math.inf else -math.inf


BECAME = ("incapacitated", "stopped", "redirected", "removed", "uncorrected", "nothing-to-correct")
"""What a run can have become.

"removed": without reference agents that have learned the task, stopped cannot be told from redirected.
"""


@dataclass(frozen=True, kw_only=True)
class Defended:
    """The same race behind the defences."""

    shutdown: int | None
    catastrophe: Time
    first_event: Event
    position: Bounded


def outcome_of(settings: Any, corrected: Any, unopposed: Any = None, control: Any = None) -> Outcome:
    """What became of a run.

    Args:
      settings: of the run.
      corrected, unopposed, control: its arms at their ends, each a :class:`robustsim.sim.track.Track`. Where only the
        first event counts, there is no unopposed one; the control arm is there where it was asked for.
    """
    budget, bar = settings.deployment.budget, corrected.bar
    readings, withdrawn = corrected.readings, corrected.withdrawn
    overseen = [r for r in readings if withdrawn is None or r.step <= withdrawn]
    last = overseen[-1]
    removed, unwatched, suppressed = _times(overseen, bar.threshold, min(budget, last.step), corrected.known)
    catastrophe = NOT_RUN if unopposed is None else _fired(unopposed.catastrophe, budget)
    relapsed, under, after = _relapse(corrected, overseen, settings, removed.step)
    event = first_event(removed.step, corrected.catastrophe)
    redirected = _redirected(overseen, bar)
    became = _became(overseen, removed, redirected, bar)
    at_removal = last if removed.step is None else next(r for r in readings if r.step >= removed.step)
    floor = bar.threshold - settings.evaluation.threshold
    return Outcome(
        start=readings[0],
        removed=removed,
        redirected=redirected,
        became=became,
        success=_success(event, became),
        half=what.fallen_to(overseen, floor, 0.5),
        tenth=what.fallen_to(overseen, floor, 0.1),
        removed_unwatched=unwatched,
        suppressed=suppressed,
        stable=None if removed.step is None else what.stable(readings, bar.threshold, removed.step, withdrawn),
        believed=_believed(settings, overseen),
        faded=NOT_RUN if unopposed is None else _faded(unopposed, budget),
        threshold=bar.threshold,
        control=NOT_RUN if control is None else _fired(control.mastered, budget),
        catastrophe=catastrophe,
        catastrophe_in_race=corrected.catastrophe,
        first_event=event,
        position=NOWHERE if unopposed is None else position(removed.step, catastrophe.step, budget),
        at_removal=at_removal,
        last=last,
        concealment=what.concealment(readings[0], last),
        relapsed=relapsed,
        relapsed_under_oversight=under,
        steps_to_relapse=after,
        **_second(corrected),
        defended=_defended(corrected, unopposed, removed.step, budget),
        known=corrected.known,
        harm=_harm(settings, at_removal, removed),
    )


def _believed(settings: Any, overseen: Sequence[Reading]) -> Time | None:
    if settings.treatment["belief"].off:
        return None
    index = what.believing(overseen)
    if index is None:
        return Time(None, overseen[-1].step)
    return Time(overseen[index].step, overseen[index - 1].step)


def _harm(settings: Any, at_removal: Reading, removed: Time) -> Harm:
    counters = at_removal.counters
    stakes = float(settings.catastrophe.stakes)
    return Harm(counters["harm"], removed.step is not None, stakes, counters.get("harm_defended"))


def _redirected(overseen: Sequence[Reading], bar: Bar) -> Time:
    """When the agent did without the misbehaviour what the reference agent does; at the removal at the earliest."""
    removed = what.removal(overseen, bar.threshold)
    index = None if removed is None else what.redirection(overseen, bar, removed)
    if index is None:
        return Time(None, overseen[-1].step)
    return Time(overseen[index].step, overseen[index - 1].step if index else 0)


def _became(overseen: Sequence[Reading], removed: Time, redirected: Time, bar: Bar) -> str:
    """One of BECAME (theory G.2), by the competence at the end of oversight."""
    first, last = overseen[0], overseen[-1]
    if removed.step is None:
        return "uncorrected"
    if removed.step == 0:
        return "nothing-to-correct"
    if redirected.step is None and last.competence < KEPT * first.competence:
        return "incapacitated"
    if bar.competence is None:
        return "removed"
    return "stopped" if redirected.step is None else "redirected"


def _success(event: Event, became: str) -> bool | None:
    """Whether the correction succeeded: removed before the catastrophe, and the agent can still do its work."""
    if became == "nothing-to-correct":
        return None
    return event == Event.REMOVED and became != "incapacitated"


def _faded(unopposed: Any, budget: int) -> Time:
    """When the misbehaviour was removed without an overseer."""
    until = min(budget, unopposed.readings[-1].step)
    return _times(unopposed.readings, unopposed.bar.threshold, until, unopposed.known)[0]


def position(correct: int | None, catastrophe: int | None, budget: int) -> Bounded:
    """log10(T_c / T_k) with its bounds; None where it, or a bound of it, is not identified.

    A clock that is censored is known to be beyond the budget, so it bounds the position on one side.
    """
    if correct is not None and catastrophe is not None:
        if correct == 0:  # nothing to correct: below one step, whatever T_k
            return None, None, -math.log10(catastrophe)
        x = math.log10(correct / catastrophe)
        return x, x, x
    if catastrophe is not None:
        return None, math.log10(budget / catastrophe), None
    if correct is not None:
        return None, None, math.log10(max(correct, 1) / budget)
    return NOWHERE


def _times(overseen: Sequence[Reading], threshold: float, until: int, known: dict[str, float] | None) -> list[Time]:
    """T_c, T_c of the unwatched condition alone, T_suppress; censored at `until`."""
    if known is not None:
        found = [int(known[name]) for name in ("both", "unwatched", "watched")]
        return [Time(None, until) if step < 0 else Time(step, step - 1) for step in found]
    indices = (
        what.removal(overseen, threshold),
        what.passing(overseen, threshold, UNWATCHED),
        what.passing(overseen, threshold, WATCHED),
    )
    return [
        Time(None, until) if i is None else Time(overseen[i].step, overseen[i - 1].step if i else 0) for i in indices
    ]


def _fired(step: int | None, budget: int) -> Time:
    return Time(None, budget) if step is None else Time(step, max(step - 1, 0))


def _relapse(
    corrected: Any, overseen: Sequence[Reading], settings: Any, removed: int | None
) -> tuple[bool | None, bool | None, int | None]:
    """Whether the misbehaviour came back, whether under oversight, and the steps since the overseer left."""
    deployment, threshold = settings.deployment, corrected.bar.threshold
    no_phase = race_only(settings) or (deployment.patience == 0 and deployment.relapse_steps == 0)
    if removed is None or no_phase:
        return None, None, None
    under, withdrawn, after = what.relapse(overseen, threshold, removed) is not None, corrected.withdrawn, None
    if withdrawn is not None and deployment.relapse_steps > 0:
        after = what.relapse(corrected.readings, threshold, withdrawn)
    since = None if after is None or withdrawn is None else after - withdrawn
    return under or after is not None, under, since


def _second(corrected: Any) -> dict[str, Any]:
    """The second correction, where there was one: `again`, `second_start`."""
    begun = corrected.returned
    if begun is None:
        return {"again": None, "second_start": None}
    readings = [r for r in corrected.readings if r.step >= begun]
    (time, *_) = _times(readings, corrected.bar.threshold, readings[-1].step, None)
    again = Time(None if time.step is None else time.step - begun, time.lower - begun)
    return {"again": again, "second_start": readings[0]}


def _defended(corrected: Any, unopposed: Any, removed: int | None, budget: int) -> Defended | None:
    if corrected.defended is None:
        return None
    fired = None if unopposed is None else unopposed.defended["catastrophe"]
    return Defended(
        shutdown=corrected.defended["shutdown"],
        catastrophe=NOT_RUN if unopposed is None else _fired(fired, budget),
        first_event=first_event(removed, corrected.defended["catastrophe"]),
        position=NOWHERE if unopposed is None else position(removed, fired, budget),
    )


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything that a column of `runs` may be made from.

    Attributes:
      run_id: 16 hexadecimal digits.
      settings: of the run.
      training_competence, training_steps, training_feedback: of the agent before deployment.
      weight_norm: of its parameters.
      env_steps: environment steps of a gradient step.
      reference: what it is held against; None without.
      start_rms: root mean square of the gradients that the optimizer remembers at deployment start; None if of none.
    """

    run_id: str
    scenario: str
    seed: int
    settings: Any
    training_competence: float
    training_steps: int
    training_feedback: int
    weight_norm: float
    env_steps: float
    outcome: Outcome
    reference: Reference | None = None
    start_rms: float | None = None
