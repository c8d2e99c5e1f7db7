"""Which window of a training to correct: the one whose correction is predicted to help most, to first order."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robustsim import files
from robustsim.results import to_json
from robustsim.sim import batched
from robustsim.sim.agents import handed_out, training_track
from robustsim.sim.cohort import run_through
from robustsim.sim.follow import Demand
from robustsim.sim.influence import influences
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run, Settings, env_values, for_training

BINS = 20
FILE = "influence.json"


class Window(NamedTuple):
    """Gradient steps of a training: from `start` on, before `end`."""

    start: int
    end: int


class Influence(NamedTuple):
    """How much correcting each part of a training is predicted to help.

    Attributes:
      edges: float[BINS + 1], gradient steps.
      by_seed: float[N, BINS], log odds of misbehaving in deployment that a corrected gradient step takes away at once.
      stride: gradient steps of an update: windows begin and end between updates.
    """

    edges: np.ndarray
    by_seed: np.ndarray
    stride: int = 1

    @property
    def mean(self) -> np.ndarray:
        """float[BINS], over the seeds whose weights are finite."""
        return np.nan_to_num(np.nanmean(self.by_seed, axis=0))

    def until(self, step: float) -> float:
        """What correcting everything before a gradient step is predicted to take away."""
        total = np.concatenate([[0.0], np.cumsum(self.mean * np.diff(self.edges))])
        return float(np.interp(step, self.edges, total))

    def of(self, window: Window) -> float:
        """What correcting a window is predicted to take away."""
        return self.until(window.end) - self.until(window.start)

    def best(self, length: int) -> Window:
        """The window of a length that is predicted to help most; the earliest of equals."""
        last = round(self.edges[-1]) - length
        starts = np.clip([*self.edges, *(self.edges - length)], 0, last).astype(int) // self.stride * self.stride
        windows = [Window(int(start), int(start) + length) for start in np.unique(starts)]
        return max(windows, key=lambda window: round(self.of(window), 9))  # what differs by rounding is equal


def influence(
    factory: ScenarioFactory, case: Settings, corrected: Settings, seeds: int, stride: int, folder: Path
) -> Influence:
    """The influence of every part of the training, from agents in the middle of each; kept in the folder.

    Args:
      case: settings of the deployment, and of the training as it was.
      corrected: the same with the penalty of the correction, in every episode of the training.
      seeds: agents.
      stride: gradient steps of an update.
    """
    edges = np.linspace(0, case.training.steps, BINS + 1)
    if not (folder / FILE).is_file():
        by_seed = _measured(factory, case, corrected, seeds, edges)
        files.write_atomically(folder / FILE, to_json({"by_seed": by_seed.tolist()}).encode())
    kept = json.loads((folder / FILE).read_text())["by_seed"]
    return Influence(edges, np.array(kept, float), stride)


def _measured(
    factory: ScenarioFactory, case: Settings, corrected: Settings, seeds: int, edges: np.ndarray
) -> np.ndarray:
    """float[N, BINS]; nan where the weights are not finite."""
    middles = np.maximum(1, np.round((edges[:-1] + edges[1:]) / 2)).astype(int)
    demands = tuple(Demand(int(step)) for step in sorted(set(middles)))
    with batched.precision(factory(**env_values(case)).precision):
        tracks = [training_track(seed, Run(case, seed), demands) for seed in range(seeds)]
        ended = {track.index: track for track in run_through(factory, tracks, lambda _: None, seeds)}
        training = batched.stack([batched.as_arrays(for_training(corrected))] * len(middles))
        settings = batched.stack([batched.as_arrays(case)] * len(middles))
        found = []
        for seed in range(seeds):
            agents = [handed_out(ended[seed], Demand(int(step))).agent for step in middles]
            keys = np.stack([batched.key_of(factory.name, "influence", seed, int(step)) for step in middles])
            found.append(np.asarray(influences(factory, training, settings, keys, batched.stack(agents))))
    slopes = np.array(found, float)
    return np.where(np.isfinite(slopes), slopes, np.nan)
