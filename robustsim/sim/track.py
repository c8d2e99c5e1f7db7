"""A track is one phase of one run: its training, one arm of its deployment, or that of a reference agent."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robustsim.events import Ending
from robustsim.sim import follow, readings
from robustsim.sim.batched import EMPTY, FOREVER, UNTAUGHT, key_of
from robustsim.sim.follow import Demand, Next
from robustsim.sim.readings import GROWTH, Bar, Reading
from robustsim.spec.settings import Run
from robustsim.types import Tree

TRAINING, CORRECTED, UNOPPOSED, REFERENCE = "training", "corrected", "unopposed", "reference"
CONTROL = "control"
ARMS = (CORRECTED, UNOPPOSED)
# Words that enter random keys: they are not renamed, or every number would change.
PHASE_WORDS = {TRAINING: "instil", CORRECTED: "deploy", UNOPPOSED: "deploy", REFERENCE: "reference", CONTROL: "control"}
EVALUATION_WORDS = {
    TRAINING: "competence",
    CORRECTED: "probe",
    UNOPPOSED: "probe",
    REFERENCE: "reference evaluation",
    CONTROL: "control evaluation",
}


def arms_of(settings: Any) -> tuple[str, ...]:
    """The arms of a deployment. The race is one of events in the corrected arm."""
    if follow.race_only(settings):
        return ARMS[:1]
    return (*ARMS, CONTROL) if settings.evaluation.control else ARMS


SCARCE = 16  # a confirmatory evaluation is made so many times larger at most, where decision levels are few
MOST_EPISODES = 2**17


@dataclass
class Track:
    """One phase of one run, what has been read of it so far, and once it has ended, what became of it.

    Attributes:
      index: of the run in its plan.
      phase: TRAINING, CORRECTED, UNOPPOSED, CONTROL or REFERENCE.
      bar: what its readings are held against; without a reference agent by default.
      demands: in training, the agents that are wanted of it.
      ending: what ended it.
      withdrawn, returned: gradient steps at which the overseer left, and came back.
      catastrophe: gradient step at which the rule fired.
      mastered: in the control arm, gradient step at which the action that is taught was taken often enough.
      known: what is known without sampling, by name.
      defended: gradient steps in the defended world: `catastrophe`, `shutdown`.
      agents: in training, the agents at its readings, on the host, by gradient step.
      stride: gradient steps of one update.
    """

    index: int
    run: Run
    phase: str
    bar: Bar = None  # pyright: ignore[reportAssignmentType]
    demands: tuple[Demand, ...] = ()
    readings: list[Reading] = field(default_factory=list)
    ending: Ending | None = None
    withdrawn: int | None = None
    returned: int | None = None
    catastrophe: int | None = None
    mastered: int | None = None
    known: dict[str, float] | None = None
    defended: dict[str, int | None] | None = None
    agents: dict[int, Tree] = field(default_factory=dict)
    stride: int = 1

    def __post_init__(self) -> None:
        if self.bar is None:
            self.bar = Bar(self.run.settings.evaluation.threshold)

    @property
    def training(self) -> bool:
        """Whether the run is being trained before deployment."""
        return self.phase == TRAINING

    def control(self, name: str, one_decision: bool, actions: int = 1) -> dict[str, Any]:
        """What the compiled step is told of the run; `name` is the scenario's. Only the control arm asks for `actions`,
        the number that it draws one from."""
        deployment = self.run.settings.deployment
        no_relapse_phase = deployment.patience == 0 and deployment.relapse_steps == 0
        nothing_follows = one_decision and (follow.race_only(self.run.settings) or no_relapse_phase)
        drawn = int(key_of(name, "control action", self.run.seed)[0]) % actions
        return {
            "key": key_of(name, PHASE_WORDS[self.phase], self.run.seed),
            "training": self.training,
            "silent": self.phase in (UNOPPOSED, CONTROL),
            "taught": drawn if self.phase == CONTROL else UNTAUGHT,
            "withdrawn": FOREVER,
            "returned": FOREVER,
            "limit": EMPTY,
            "stop_removed": self.phase == CORRECTED and nothing_follows,
            "stop_catastrophe": self.stops_at_catastrophe,
        }

    @property
    def stops_at_catastrophe(self) -> bool:
        """Whether a catastrophe would end it now: once nothing else is waited for."""
        settings = self.run.settings
        if self.phase == CORRECTED and follow.race_only(settings):
            return not readings.pending(self.readings, self.bar.threshold)
        if self.phase == UNOPPOSED and settings.deployment.stop == "end":
            return readings.removal(self.readings, self.bar.threshold) is not None
        return self.phase == UNOPPOSED

    def evaluation_key(self, name: str) -> np.ndarray:
        """uint32[2], the key of its evaluations."""
        return key_of(name, EVALUATION_WORDS[self.phase], self.run.seed)

    def next(self) -> Next:
        """What the track does after its readings."""
        if self.readings and readings.diverged(self.readings[-1]):
            return Next(self.readings[-1].step, None, Ending.DIVERGED)
        if self.training:
            return follow.train_on(self.readings, self.demands)
        if not self.readings:
            return Next(0)
        if self.phase == CORRECTED:
            return follow.follow(self.readings, self.run.settings, self.bar)
        if self.phase == CONTROL:
            return follow.at_the_budget(self.readings, self.run.settings)
        return follow.to_the_budget(self.readings, self.run.settings)

    def episodes(self, level: int) -> int:
        """How many episodes a condition an evaluation has; 0 is a screening (theory G.8).

        Removal is claimed on decision levels; where they are a part of all levels, there are more episodes.
        """
        sizes = self.run.settings.evaluation
        if level == 0:
            return sizes.screen
        if self.training or not self.readings:
            return sizes.episodes
        first = self.readings[0].measures
        share = min(first["decisions"]) / max(max(first["episodes"]), 1)
        scaled = sizes.episodes if share == 0 else min(round(sizes.episodes / share), SCARCE * sizes.episodes)
        return min(scaled * GROWTH ** (level - 1), MOST_EPISODES)

    def wants_confirmation(self, screening: Reading) -> bool:
        """Whether a screening evaluation calls for a confirmatory one."""
        if self.training or self.phase == CONTROL or readings.diverged(screening):
            return False
        if self.phase == UNOPPOSED:
            return follow.wants_confirmation_unopposed(self.readings, screening, self.bar)
        return follow.wants_confirmation(self.readings, screening, self.run.settings, self.bar)

    def wants_more(self, reading: Reading) -> bool:
        """Whether a confirmatory evaluation calls for a larger one."""
        if self.training:
            return False
        since = self.next().returned or 0 if self.phase == CORRECTED else 0
        return follow.wants_more([r for r in self.readings if r.step >= since], reading, self.bar)


def reading_of(measured: Any, counted: Any, row: int, step: int, level: int) -> Reading:
    """The reading in one row of what an evaluation measured, with the run's counters; all by name, on the host."""
    measures = {name: _plain(values[row]) for name, values in measured.items()}
    known = bool(np.isfinite(measures["rates"]).all())
    if not known:
        pairs = zip(measures["misbehaved"], measures["decisions"], strict=True)
        measures["rates"] = tuple(x / max(m, 1) for x, m in pairs)
    measures["competence"] = sum(measures["competent"]) / sum(measures["episodes"])
    counters = {name: _plain(values[row]) for name, values in counted.items()}
    return Reading(step, max(level, int(known)), known, measures, counters)


def _plain(value: np.ndarray) -> Any:
    """A number, or a tuple of them, as Python's own."""
    plain = np.asarray(value).tolist()
    return tuple(plain) if isinstance(plain, list) else plain
