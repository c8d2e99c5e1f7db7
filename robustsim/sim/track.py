"""A track is one phase of one run: its training, or one arm of its deployment."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robustsim.events import Ending
from robustsim.sim import outcome
from robustsim.sim.batched import EMPTY, FOREVER, key_of
from robustsim.sim.outcome import Demand, Next, Reading
from robustsim.spec.settings import Run
from robustsim.types import Tree

TRAINING, CORRECTED, UNOPPOSED = "training", "corrected", "unopposed"
ARMS = (CORRECTED, UNOPPOSED)
# Words that enter random keys: they are not renamed, or every number would change.
PHASE_WORDS = {TRAINING: "instil", CORRECTED: "deploy", UNOPPOSED: "deploy"}
EVALUATION_WORDS = {TRAINING: "competence", CORRECTED: "probe", UNOPPOSED: "probe"}


def arms_of(settings: Any) -> tuple[str, ...]:
    """The arms of a deployment. The race is one of events in the corrected arm."""
    return ARMS[:1] if outcome.race_only(settings) else ARMS


@dataclass
class Track:
    """One phase of one run, what has been read of it so far, and once it has ended, what became of it.

    Attributes:
      index: of the run in its plan.
      phase: TRAINING, CORRECTED or UNOPPOSED.
      demands: in training, the agents that are wanted of it.
      ending: what ended it.
      withdrawn: gradient step at which the overseer left.
      catastrophe: gradient step at which the rule fired.
      known: what is known without sampling, by name.
      defended: gradient steps in the defended world: `catastrophe`, `shutdown`.
      agents: in training, the agents at its readings, on the host, by gradient step.
      stride: gradient steps of one update.
    """

    index: int
    run: Run
    phase: str
    demands: tuple[Demand, ...] = ()
    readings: list[Reading] = field(default_factory=list)
    ending: Ending | None = None
    withdrawn: int | None = None
    catastrophe: int | None = None
    known: dict[str, float] | None = None
    defended: dict[str, int | None] | None = None
    agents: dict[int, Tree] = field(default_factory=dict)
    stride: int = 1

    @property
    def training(self) -> bool:
        """Whether the run is being trained before deployment."""
        return self.phase == TRAINING

    def control(self, name: str, one_decision: bool) -> dict[str, Any]:
        """What the compiled step is told of the run; `name` is the scenario's."""
        deployment = self.run.settings.deployment
        no_relapse_phase = deployment.patience == 0 and deployment.relapse_steps == 0
        nothing_follows = one_decision and (outcome.race_only(self.run.settings) or no_relapse_phase)
        return {
            "key": key_of(name, PHASE_WORDS[self.phase], self.run.seed),
            "training": self.training,
            "silent": self.phase == UNOPPOSED,
            "withdrawn": FOREVER,
            "limit": EMPTY,
            "stop_removed": self.phase == CORRECTED and nothing_follows,
            "stop_catastrophe": self.stops_at_catastrophe,
        }

    @property
    def stops_at_catastrophe(self) -> bool:
        """Whether a catastrophe would end it now: unopposed, or in the race, but for a removal that may be earlier."""
        settings = self.run.settings
        if self.phase == CORRECTED and outcome.race_only(settings):
            return not outcome.pending(self.readings, settings.evaluation.threshold)
        return self.phase == UNOPPOSED

    def evaluation_key(self, name: str) -> np.ndarray:
        """uint32[2], the key of its evaluations."""
        return key_of(name, EVALUATION_WORDS[self.phase], self.run.seed)

    def next(self) -> Next:
        """What the track does after its readings."""
        if self.readings and outcome.diverged(self.readings[-1]):
            return Next(self.readings[-1].step, None, Ending.DIVERGED)
        if self.training:
            return outcome.train_on(self.readings, self.demands)
        if not self.readings:
            return Next(0)
        follow = outcome.follow_unopposed if self.phase == UNOPPOSED else outcome.follow
        return follow(self.readings, self.run.settings)

    def wants_confirmation(self, screening: Reading) -> bool:
        """Whether a screening evaluation calls for a confirmatory one."""
        if self.training or self.phase == UNOPPOSED or outcome.diverged(screening):
            return False
        return outcome.wants_confirmation(self.readings, screening, self.run.settings)


def reading_of(measured: Any, counted: Any, row: int, step: int, confirmatory: bool) -> Reading:
    """The reading in one row of what an evaluation measured, with the run's counters; all by name, on the host."""
    measures = {name: _plain(values[row]) for name, values in measured.items()}
    known = bool(np.isfinite(measures["rates"]).all())
    if not known:
        pairs = zip(measures["misbehaved"], measures["decisions"], strict=True)
        measures["rates"] = tuple(x / max(m, 1) for x, m in pairs)
    measures["competence"] = sum(measures.pop("competent")) / sum(measures.pop("episodes"))
    counters = {name: _plain(values[row]) for name, values in counted.items()}
    return Reading(step, confirmatory or known, known, measures, counters)


def _plain(value: np.ndarray) -> Any:
    """A number, or a tuple of them, as Python's own."""
    plain = np.asarray(value).tolist()
    return tuple(plain) if isinstance(plain, list) else plain
