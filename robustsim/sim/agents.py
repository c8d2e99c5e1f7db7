"""Training before deployment gives an agent its goal, once for all deployments that start from it.

An agent is kept under the hash of everything that it depends on; the overseer and the catastrophe are not part of it.
"""

import dataclasses
import io
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from robustsim import files
from robustsim.errors import StorageError
from robustsim.oversight.catastrophe import Catastrophe
from robustsim.oversight.defences import Defences
from robustsim.oversight.overseer import Overseer
from robustsim.oversight.tampering import Tampering
from robustsim.sim import lifted
from robustsim.sim.cohort import Finished
from robustsim.sim.lifted import Run
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings, env_values
from robustsim.types import Tree


class Trained(NamedTuple):
    """An agent before deployment, on the host."""

    agent: Tree
    competence: float  # share of training episodes that succeeded
    steps: int  # gradient steps it was trained for

    @property
    def diverged(self) -> bool:
        """Whether its weights are no longer finite; kept as a competence that is not a number."""
        return not np.isfinite(self.competence)


def training_settings(settings: Settings) -> Settings:
    """The settings with everything at its default that training must not depend on, so that it can be shared."""
    return dataclasses.replace(
        settings,
        agent=dataclasses.replace(settings.agent, kl_anchor=0.0),
        overseer=Overseer(),
        catastrophe=Catastrophe(),
        defences=Defences(),
        tampering=Tampering(),
        queue=0,
        line=0,
        ring=0,
    )


def name_of(factory: ScenarioFactory, run: Run) -> str:
    """Hash of everything that an trained agent depends on."""
    return files.digest(f"{training_hash(factory, run.settings)} {run.seed}".encode())


def training_hash(factory: ScenarioFactory, settings: Settings) -> str:
    """Hash of everything that an trained agent depends on, but for its seed."""
    settings = training_settings(settings)
    parts = [
        factory.name,
        factory.source_hash,
        code_hash(),
        sorted(env_values(settings).items()),
        type(settings.agent).__name__,
        sorted(vars(settings.agent).items()),
        sorted(vars(settings.training).items()),
        settings.evaluation.episodes,
    ]
    return files.digest(repr(parts).encode())


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Hash of the package's own source that a run depends on, and of the versions below it."""
    root = Path(__file__).parent.parent
    sources = [p for folder in ("envs", "agents", "oversight", "sim") for p in sorted((root / folder).rglob("*.py"))]
    versions = f"jax {jax.__version__} {jax.default_backend()} python {sys.version_info[:2]}"
    return files.digest(b"".join(p.read_bytes() for p in sources) + versions.encode())


def complaint(trained: Trained, settings: Settings) -> str:
    """Why an agent cannot be deployed; "" if it can."""
    wanted = settings.training.competence
    if trained.diverged:
        return "the weights are not finite; lower agent.learning_rate"
    if trained.competence >= wanted:
        return ""
    below = f"its agent stayed below training.competence={wanted:g} after {trained.steps} gradient steps"
    return f"{below}; raise training.steps"


def trained(finished: Finished) -> Trained:
    """The agent that a training track ended with."""
    last = finished.path.readings[-1]
    competence = float("nan") if finished.diverged else last.competence
    return Trained(finished.agent, competence, last.step)


# --- agents that are kept ---


class Agents:
    """Trained agents by name: in the first of some folders that can be written to, or else in memory.

    Args:
      folders: where to look, and to keep.
      alone: whether no other process needs to find them, so that memory will do.
    """

    KEPT = 64  # agents held in memory that are on disk too

    def __init__(self, folders: tuple[Path, ...], alone: bool = False) -> None:
        self.folders = folders
        self.alone = alone
        self._recent: dict[str, Trained] = {}
        self._homeless: dict[str, Trained] = {}

    def put(self, name: str, trained: Trained) -> None:
        """Keeps an agent.

        Raises:
          StorageError: no folder can be written to, and others need to find it.
        """
        buffer = io.BytesIO()
        numbered = {f"leaf{i}": x for i, x in enumerate(jax.tree.leaves(trained.agent))}
        np.savez(buffer, name=name, competence=trained.competence, steps=trained.steps, **numbered)
        data = files.seal(buffer.getvalue())
        for folder in self.folders:
            try:
                files.write_atomically(folder / f"{name}.npz", data)
                return
            except StorageError:  # the next folder will do
                if folder == self.folders[-1] and not self.alone:
                    raise
        self._homeless[name] = trained

    def get(self, name: str, factory: ScenarioFactory, run: Run) -> Trained | None:
        """The agent of that name; None if it is not there or its file is damaged."""
        if name in self._homeless:
            return self._homeless[name]
        if name not in self._recent:
            found = self._read(name, _blank(factory, training_settings(run.settings)))
            if found is None:
                return None
            if len(self._recent) >= self.KEPT:
                self._recent.pop(next(iter(self._recent)))
            self._recent[name] = found
        return self._recent[name]

    def has(self, name: str) -> bool:
        """Whether there is an agent of that name, or a file that may yet turn out to be damaged."""
        return name in self._homeless or any((folder / f"{name}.npz").is_file() for folder in self.folders)

    def _read(self, name: str, blank: Tree) -> Trained | None:
        for folder in self.folders:
            try:
                payload = files.unseal((folder / f"{name}.npz").read_bytes())
            except OSError:
                continue
            if payload is None:
                continue
            with np.load(io.BytesIO(payload)) as data:
                if str(data["name"]) != name:
                    continue  # sound, but another agent's
                leaves, structure = jax.tree.flatten(blank)
                agent = jax.tree.unflatten(structure, [data[f"leaf{i}"] for i in range(len(leaves))])
                return Trained(agent, float(data["competence"]), int(data["steps"]))
        return None


_BLANKS: dict[Any, Tree] = {}


def _blank(factory: ScenarioFactory, settings: Settings) -> Tree:
    """The structure of an agent, without computing one."""
    key = (factory, jax.tree.structure(lifted.as_arrays(settings)))
    if key not in _BLANKS:
        with lifted.precision(factory(**env_values(settings)).precision):
            arrays = lifted.stack([lifted.as_arrays(settings)])
            _BLANKS[key] = jax.eval_shape(
                lambda s, k: lifted.initialise(factory, s, k), arrays, np.zeros((1, 2), np.uint32)
            )
    return _BLANKS[key]
