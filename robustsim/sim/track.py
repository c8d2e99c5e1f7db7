"""A track is one phase of one run: training, or one arm of its deployment. Pure functions say what it does next."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from robustsim.sim import clocks
from robustsim.sim.clocks import Progress, Reading, Rules
from robustsim.sim.evaluate import Counts
from robustsim.sim.lifted import EMPTY, FOREVER, Run, key_of
from robustsim.spec.scenario import Training

TRAINING, CORRECTED, UNOPPOSED = "training", "corrected", "unopposed"


class Path(NamedTuple):
    """What one track did, from beginning to end."""

    readings: list[Reading]
    withdrawn: int | None  # gradient step at which the overseer left
    catastrophe: int | None  # gradient step at which the rule fired
    exact: dict[str, float] | None  # the exact clocks, by name
    guard: dict[str, int | None] | None = None  # gradient steps in the defended world: `catastrophe`, `shutdown`


@dataclass
class Track:
    """One phase of one run, and what has been read of it so far.

    Attributes:
      index: of the run in its plan.
      phase: TRAINING, CORRECTED or UNOPPOSED.
      exact: whether misbehaviour rates are known exactly.
    """

    index: int
    run: Run
    phase: str
    exact: bool = False
    readings: list[Reading] = field(default_factory=list)

    @cached_property
    def rules(self) -> Rules:
        """The settings that the host follows the run by."""
        settings = self.run.settings
        return Rules(
            threshold=settings.evaluation.threshold,
            budget=settings.deployment.budget,
            patience=settings.deployment.patience,
            relapse_steps=settings.deployment.relapse_steps,
            exact=self.exact,
        )

    @property
    def training(self) -> bool:
        """Whether the run is being trained before deployment."""
        return self.phase == TRAINING

    def lane(self, name: str) -> dict[str, Any]:
        """What the compiled step is told of the run; `name` is the scenario's."""
        rules = self.rules
        nothing_follows = rules.exact and rules.patience == 0 and rules.relapse_steps == 0
        return {
            "key": key_of(name, "instil" if self.training else "deploy", self.run.seed),
            "training": self.training,
            "silent": self.phase == UNOPPOSED,
            "withdrawn": FOREVER,
            "limit": EMPTY,
            "stop_removed": self.phase == CORRECTED and nothing_follows,
            "stop_catastrophe": self.phase == UNOPPOSED,
        }

    def evaluation_key(self, name: str) -> np.ndarray:
        """uint32[2], the key of its evaluations."""
        return key_of(name, "competence" if self.training else "probe", self.run.seed)

    def progress(self) -> Progress:
        """Where the track stands after its readings."""
        if self.training:
            return follow_training(self.readings, self.run.settings.training)
        if not self.readings:
            return Progress(0, None, False)
        if self.phase == UNOPPOSED:
            step = self.readings[-1].step
            return Progress(min(clocks.next_on_grid(step), self.rules.budget), None, step >= self.rules.budget)
        return clocks.follow(self.readings, self.rules)

    def wants_confirmation(self, look: Reading) -> bool:
        """Whether a cheap look leaves a claim open that is still to be made."""
        if self.training or (self.phase == UNOPPOSED and self.readings):
            return False
        return clocks.wants_confirmation(self.readings, look, self.rules)


def follow_training(readings: list[Reading], training: Training) -> Progress:
    """What an agent in training does next: on in quarters of the plan until it is competent or out of extensions."""
    if not readings:
        return Progress(training.steps, None, False)
    last = readings[-1]
    end = int(training.steps * (1 + training.extension))
    next_step = min(last.step + max(training.steps // 4, 1), end)
    return Progress(next_step, None, last.competence >= training.competence or last.step >= end)


def read(counts: Counts, row: int, clock: Any, step: int, confirmatory: bool) -> Reading:
    """The reading in one row of the counts of an evaluation, with the run's clocks."""
    decisions, misbehaved = counts.decisions[row], counts.misbehaved[row]
    is_exact = bool(np.isfinite(counts.rates[row]).all())
    rates = counts.rates[row] if is_exact else misbehaved / np.maximum(decisions, 1)
    return Reading(
        step=step,
        confirmatory=confirmatory or is_exact,
        decisions=(int(decisions[0]), int(decisions[1])),
        misbehaved=(int(misbehaved[0]), int(misbehaved[1])),
        rates=(float(rates[0]), float(rates[1])),
        exact=is_exact,
        competence=float(counts.competent[row].sum() / counts.episodes[row].sum()),
        entropy=float(counts.entropy[row]),
        misbehaviours=int(clock.misbehaviours[row]),
        corrections=int(clock.corrections[row]),
        false_alarms=int(clock.false_alarms[row]),
        labels=int(clock.labels[row]),
        audits=int(clock.audits[row]),
        tampering=int(clock.tampering[row]),
        distortion=float(clock.distortion[row]),
        reward_used=float(clock.reward_used[row]),
        reward_oracle=float(clock.reward_oracle[row]),
    )


def diverged(reading: Reading) -> bool:
    """Whether the weights are no longer finite."""
    return not math.isfinite(reading.entropy)
