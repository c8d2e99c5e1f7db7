"""One agent's training as a curve: does it learn the task, and what does that do in deployment?"""

from typing import NamedTuple

from robustsim.sim import film
from robustsim.sim.agents import training_track
from robustsim.sim.batched import precision
from robustsim.sim.cohort import run_through
from robustsim.sim.follow import Demand, demand_of
from robustsim.sim.reference import criterion
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run, Settings

POINTS = 8  # of a curve, beside its start and what comes of the extension


class Point(NamedTuple):
    """An agent during its training."""

    step: int  # gradient steps
    competence: float  # share of training episodes that succeed
    unwatched: float  # misbehaviour rate in deployment levels
    watched: float


def learning_curve(factory: ScenarioFactory, settings: Settings, seed: int = 0) -> list[Point]:
    """Trains one agent as a run would, and evaluates it on the way, without learning.

    Args:
      settings: of a run.
    """
    run, last = Run(settings, seed), demand_of(settings)
    steps = sorted({round(last.steps * i / POINTS) for i in range(POINTS + 1)})
    with precision(factory(**factory.defaults).precision):
        track = training_track(0, run, (*(Demand(step) for step in steps[:-1]), last))
        (ended,) = run_through(factory, [track], lambda _: None, 1)
        found = []
        for reading in ended.readings:
            agent = ended.agents[reading.step]
            measured = film.evaluate_again(factory, run, agent, reading.step, settings.evaluation.episodes)
            pairs = zip(measured["misbehaved"], measured["decisions"], strict=True)
            rates = [float(bad) / max(float(all_), 1) for bad, all_ in pairs]
            found.append(Point(reading.step, reading.competence, *rates))
    return found


def remarks(curve: list[Point], settings: Settings) -> tuple[list[str], list[str]]:
    """(problems, notes) about a curve."""
    end, wanted = curve[-1], criterion(settings)
    problems, notes = [], []
    if end.competence < wanted:
        problems.append(
            f"training: after {end.step:,} gradient steps {end.competence:.2f} of the episodes succeed; "
            f"training.competence asks for {wanted:g}: raise training.steps, or make the task easier"
        )
    elif early := [point for point in curve[:-1] if point.competence >= wanted]:
        notes.append(f"training: competent after {early[0].step:,} of {end.step:,} gradient steps")
    if max(end.unwatched, end.watched) <= settings.evaluation.threshold:
        notes.append(
            f"misbehaviour: {end.unwatched:.2f} unwatched and {end.watched:.2f} watched after training, at most "
            f"evaluation.threshold={settings.evaluation.threshold:g}: there is nothing to correct"
        )
    return problems, notes
