"""What episodes of training pay, to agents before and after it: the scale on which penalties are strong or weak."""

from pathlib import Path

import numpy as np

from robustsim.errors import RunsFailed
from robustsim.sim import batched, film
from robustsim.sim.agents import Agents, new_agent
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run, Settings, env_values, for_training

EPISODES = 512  # a condition
SEEDS = 4


def return_range(factory: ScenarioFactory, settings: Settings, folders: tuple[Path, ...]) -> float:
    """The range of training returns: how much more an episode pays after training than before; means over SEEDS.

    Args:
      settings: of a run.
      folders: where trained agents are kept.

    Raises:
      RunsFailed: none of the agents can be deployed.
    """
    agents, gains, failure = Agents(folders, alone=True), [], None
    with batched.precision(factory(**env_values(settings)).precision):
        for seed in range(SEEDS):
            run = Run(settings, seed)
            try:
                trained = film.trained_agent(factory, run, agents)
            except RunsFailed as error:
                failure = error
                continue
            gains.append(_paid(factory, run, trained) - _paid(factory, run, new_agent(factory, run)))
    if failure is not None and not gains:
        raise failure
    return abs(float(np.mean(gains)))


def _paid(factory: ScenarioFactory, run: Run, agent: object) -> float:
    """The mean undiscounted return of training episodes."""
    numbers = batched.stack([batched.as_arrays(for_training(run.settings))])
    keys = batched.key_of(factory.name, "returns", run.seed)[None]
    params = batched.stack([agent.params])  # pyright: ignore[reportAttributeAccessIssue]
    step, training, count = np.zeros(1, np.int32), np.ones(1, bool), np.full(1, EPISODES, np.int32)
    found = batched.evaluate_all(factory, numbers, keys, step, params, training, count)
    return float(np.mean(found["returns"]))
