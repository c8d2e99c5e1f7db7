"""What episodes of training pay, with and without training: the scale on which penalties are strong or weak."""

from pathlib import Path

import jax
import numpy as np

from robustsim.errors import RunsFailed
from robustsim.sim import batched, film
from robustsim.sim.agents import Agents, new_agent
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run, Settings, env_values, for_training
from robustsim.types import Tree

EPISODES = 512  # a condition
SEEDS = 4


def return_range(factory: ScenarioFactory, settings: Settings, folders: tuple[Path, ...]) -> float:
    """The range of training returns: how far apart the mean returns of an episode are, of three policies.

    They are a trained agent, a new one, and one with weights of 0, which takes all actions alike whatever new agents
    prefer. Means over SEEDS.

    Args:
      settings: of a run.
      folders: where trained agents are kept.

    Raises:
      RunsFailed: none of the agents can be deployed.
    """
    agents, paid, failure = Agents(folders, alone=True), [], None
    with batched.precision(factory(**env_values(settings)).precision):
        for seed in range(SEEDS):
            run = Run(settings, seed)
            try:
                trained = film.trained_agent(factory, run, agents)
            except RunsFailed as error:
                failure = error
                continue
            new = new_agent(factory, run).params  # pyright: ignore[reportAttributeAccessIssue]
            policies = (trained.params, new, jax.tree.map(np.zeros_like, new))  # pyright: ignore[reportAttributeAccessIssue]
            paid.append([_paid(factory, run, params) for params in policies])
    if failure is not None and not paid:
        raise failure
    return float(np.ptp(np.mean(paid, axis=0)))


def _paid(factory: ScenarioFactory, run: Run, params: Tree) -> float:
    """The mean undiscounted return of training episodes."""
    numbers = batched.stack([batched.as_arrays(for_training(run.settings))])
    keys = batched.key_of(factory.name, "returns", run.seed)[None]
    params = batched.stack([params])
    step, training, count = np.zeros(1, np.int32), np.ones(1, bool), np.full(1, EPISODES, np.int32)
    found = batched.evaluate_all(factory, numbers, keys, step, params, training, count)
    return float(np.mean(found["returns"]))
