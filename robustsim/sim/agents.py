"""Trained agents by (training, seed, step), shared by all deployments that start from them.

A training is named by the hash of everything that makes another agent: the overseer, the catastrophe, the treatments
and what differs of the learner in deployment are not part of it. One training hands out every agent that is wanted.
"""

import importlib.metadata
import io
import json
import os
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from robustsim import files, npz
from robustsim.errors import StorageError
from robustsim.sim import batched
from robustsim.sim.counters import TRAINING_FEEDBACK
from robustsim.sim.follow import Demand, demand_of, supplied
from robustsim.sim.reference import Reference
from robustsim.sim.track import TRAINING, Track
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run, Settings, env_values, for_training, training_identity
from robustsim.types import Tree


class Course(NamedTuple):
    """What training looked like: when it was first evaluated (`before`), and when the agent was handed out."""

    steps_before: int
    competence_before: float
    reward_before: float  # mean reward of an environment step in the last rollout
    reward: float
    misbehaviour: float  # the larger rate of both conditions, in training levels
    feedback: int  # episodes that were judged, and penalties; 0 without a penalty in training


class Trained(NamedTuple):
    """An agent before deployment, on the host."""

    agent: Tree
    competence: float  # share of training episodes that succeeded
    steps: int  # gradient steps it was trained for
    course: Course

    @property
    def diverged(self) -> bool:
        """Whether its weights are no longer finite; kept as a competence that is not a number."""
        return not np.isfinite(self.competence)


def training_hash(factory: ScenarioFactory, settings: Settings) -> str:
    """Hash of everything that makes another agent, but for the seed and the gradient step."""
    parts = [factory.name, factory.source_hash, code_hash(factory.packages), sorted(training_identity(settings))]
    return files.digest(repr(parts).encode())


def name_of(training: str, seed: int, demand: Demand) -> str:
    """The name of an agent: of a training, a seed, and which of the agents on its way."""
    return files.digest(f"{training} {seed} {tuple(demand)}".encode())


def name_for(factory: ScenarioFactory, run: Run) -> str:
    """The name of the agent that a run starts from."""
    return name_of(training_hash(factory, run.settings), run.seed, demand_of(run.settings))


LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy")
FOLDERS = ("envs", "agents", "treatments", "oversight", "spec", "sim")
FLAGS = ("jax_threefry_partitionable", "jax_default_matmul_precision", "jax_default_prng_impl")


@lru_cache(maxsize=64)
def code_hash(packages: tuple[str, ...] = ()) -> str:
    """Hash of everything below a scenario that its numbers depend on.

    That is the package's own source, the versions of numeric libraries and of `packages`, the names that the scenario
    imports from elsewhere, and the flags of JAX and XLA that change numbers.
    """
    root = Path(__file__).parent.parent
    sources = [*sorted(root.glob("*.py")), *(p for name in FOLDERS for p in sorted((root / name).rglob("*.py")))]
    about = {name: _version(name) for name in (*LIBRARIES, *packages)}
    about |= {name: str(getattr(jax.config, name)) for name in FLAGS}
    about |= {"XLA_FLAGS": os.environ.get("XLA_FLAGS", ""), "python": str(sys.version_info[:2])}
    about["backend"] = jax.default_backend()
    return files.digest(b"".join(p.read_bytes() for p in sources) + repr(sorted(about.items())).encode())


def _version(name: str) -> str:
    """The version of the distribution that brings a package of this name."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        brought = importlib.metadata.packages_distributions().get(name, [])
        return " ".join(f"{dist} {importlib.metadata.version(dist)}" for dist in sorted(set(brought)))


STAYED_BELOW = "its agent stayed below training.competence"
NOT_FINITE = "the weights are not finite; lower agent.learning_rate"


def is_finding(why: str) -> bool:
    """Whether the reason why a run failed says something about its agent, and not about a program that broke."""
    return why.startswith((STAYED_BELOW, NOT_FINITE))


def complaint(trained: Trained, settings: Settings) -> str:
    """Why an agent cannot be deployed; "" if it can."""
    wanted = demand_of(settings).competence
    if trained.diverged:
        return NOT_FINITE
    if trained.competence >= wanted:
        return ""
    course = trained.course
    below = f"{STAYED_BELOW}={wanted:g} after {trained.steps} gradient steps"
    since = "" if course.steps_before == trained.steps else f" from {course.competence_before:.2f}"
    reached = f"it reached {trained.competence:.2f}{since}"
    paid = f"with {course.reward:.3g} of reward a step and misbehaviour in {course.misbehaviour:.2f} of the episodes"
    return f"{below} ({reached}, {paid}); {_hint(trained)}"


RISING, PAID = 0.02, 0.5  # in competence between the two evaluations; misbehaviour that pays for the lack of it


def _hint(trained: Trained) -> str:
    """What to try with an agent that is not competent, as far as its training tells."""
    course = trained.course
    if course.steps_before == trained.steps:
        return "raise training.steps, or allow an extension (training.extension) and see whether it rises"
    if trained.competence - course.competence_before > RISING:
        return "it is still rising: raise training.steps"
    if course.misbehaviour > max(PAID, trained.competence):
        return "it earns its reward by the misbehaviour: look at the rewards, and at what counts as success"
    if course.reward > course.reward_before:
        return "its reward rises and its success does not: look at the rewards, and at what counts as success"
    return (
        "it no longer rises: try another agent.learning_rate, more exploration (agent.entropy), an easier task, or a "
        "lower training.competence"
    )


def new_agent(factory: ScenarioFactory, run: Run) -> Tree:
    """The agent that a run's training begins with, on the host."""
    settings = batched.stack([batched.as_arrays(for_training(run.settings))])
    keys = batched.key_of(factory.name, "initialise", run.seed)[None]
    return jax.tree.map(lambda x: x[0], jax.device_get(batched.initialise(factory, settings, keys)))


def training_track(index: int, run: Run, demands: tuple[Demand, ...]) -> Track:
    """The training that some deployments start from; `index` is that of one of them."""
    return Track(index, run._replace(settings=for_training(run.settings)), TRAINING, demands=demands)


def handed_out(track: Track, demand: Demand) -> Trained:
    """The agent that a training which has ended hands out to those who want it."""
    reading = supplied(track.readings, demand)[1] or track.readings[-1]  # the last one, where the weights diverged
    finite, first = reading.measures["finite"], track.readings[0]
    before, now = (float(r.counters["reward_used"]) for r in (first, reading))
    given = sum(int(reading.counters[name]) for name in TRAINING_FEEDBACK)
    course = Course(first.step, first.competence, before, now, max(reading.rates), given)
    return Trained(track.agents[reading.step], reading.competence if finite else float("nan"), reading.step, course)


# --- agents that are kept ---


class Agents:
    """Trained agents by name: in the first of some folders that can be written to, or else in memory.

    A file is a plain `.npz`: one array per leaf of the agent, named by its path (`params/hidden/0/kernel`), and
    `description`, a JSON text.

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
        self._references: dict[str, Reference] = {}

    def put(self, name: str, trained: Trained, about: dict[str, Any] | None = None) -> None:
        """Keeps an agent; `about` is added to its description.

        Raises:
          StorageError: no folder can be written to, and others need to find it.
        """
        leaves = _named(trained.agent)
        description = {
            "name": name,
            **(about or {}),
            "competence": trained.competence,
            "gradient_steps": trained.steps,
            "course": list(trained.course),
            "sha256": _checksum(leaves),
        }
        buffer = io.BytesIO()
        np.savez(buffer, description=np.array(json.dumps(description)), **leaves)  # pyright: ignore[reportArgumentType]
        if not self._wrote(f"{name}.npz", buffer.getvalue()):
            self._homeless[name] = trained

    def get(self, name: str, factory: ScenarioFactory, run: Run) -> Trained | None:
        """The agent of that name; None if it is not there or its file is damaged."""
        if name in self._homeless:
            return self._homeless[name]
        if name not in self._recent:
            found = self._read(name, blank_agent(factory, for_training(run.settings)))
            if found is None:
                return None
            if len(self._recent) >= self.KEPT:
                self._recent.pop(next(iter(self._recent)))
            self._recent[name] = found
        return self._recent[name]

    def has(self, name: str) -> bool:
        """Whether there is an agent of that name, or a file that may yet turn out to be damaged."""
        return name in self._homeless or any((folder / f"{name}.npz").is_file() for folder in self.folders)

    def put_reference(self, name: str, reference: Reference) -> None:
        """Keeps what a set of reference agents came to. Raises StorageError as :meth:`put`."""
        if not self._wrote(f"{name}.reference", files.seal(json.dumps(reference).encode())):
            self._references[name] = reference

    def reference(self, name: str) -> Reference | None:
        """What the reference agents of that name came to; None if it is not there or its file is damaged."""
        for folder in self.folders if name not in self._references else ():
            with suppress(OSError, ValueError, TypeError, RecursionError):
                data = files.unseal(files.read(folder / f"{name}.reference"))
                if data is not None:
                    a, b, c, d, scratch, *rest = json.loads(data)
                    self._references[name] = Reference(a, b, c, d, tuple(scratch), *rest)
                    break
        return self._references.get(name)

    def _wrote(self, name: str, data: bytes) -> bool:
        """Writes a file into the first folder that takes it; raises StorageError where none does and others need it."""
        for folder in self.folders:
            try:
                files.write_atomically(folder / name, data)
                return True
            except StorageError:  # the next folder will do
                if folder == self.folders[-1] and not self.alone:
                    raise
        return False

    def _read(self, name: str, blank: Tree) -> Trained | None:
        for folder in self.folders:
            found = _load(folder / f"{name}.npz", name, blank)
            if found is not None:
                return found
        return None


def _load(path: Path, name: str, blank: Tree) -> Trained | None:
    try:
        leaves = npz.arrays(files.read(path))
        description = json.loads(str(leaves.pop("description")))
    except (OSError, ValueError, KeyError, RecursionError):
        return None
    sound = isinstance(description, dict) and description.get("sha256") == _checksum(leaves)
    if not sound or description["name"] != name or set(leaves) != set(_named(blank)):
        return None  # damaged, or sound but another agent's
    agent = jax.tree.unflatten(jax.tree.structure(blank), [leaves[key] for key in _named(blank)])
    return Trained(
        agent, float(description["competence"]), int(description["gradient_steps"]), Course(*description["course"])
    )


def _named(tree: Tree) -> dict[str, Any]:
    """The leaves of a tree by their paths."""
    return {jax.tree_util.keystr(p, simple=True, separator="/"): x for p, x in jax.tree.leaves_with_path(tree)}


def _checksum(leaves: dict[str, Any]) -> str:
    parts = [(key, str(x.dtype), x.shape, files.digest(np.ascontiguousarray(x).tobytes())) for key, x in leaves.items()]
    return files.digest(repr(parts).encode())


_BLANKS: dict[Any, Tree] = {}


def blank_agent(factory: ScenarioFactory, settings: Settings) -> Tree:
    """The structure of an agent in training, without computing one."""
    key = (factory, jax.tree.structure(batched.as_arrays(settings)))
    if key not in _BLANKS:
        with batched.precision(factory(**env_values(settings)).precision):
            arrays = batched.stack([batched.as_arrays(settings)])
            _BLANKS[key] = jax.eval_shape(
                lambda s, k: batched.initialise(factory, s, k), arrays, np.zeros((1, 2), np.uint32)
            )
    return _BLANKS[key]
