"""Training before deployment: it gives the agent its goal, up to a competence criterion, once for all deployments."""

import dataclasses
import io
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from robustsim import files
from robustsim.errors import InstilError, UserError
from robustsim.oversight.catastrophe import Catastrophe
from robustsim.oversight.overseer import Overseer
from robustsim.sim import cohort
from robustsim.sim.cohort import Narrate, Run, quiet
from robustsim.sim.scenario import ScenarioFactory
from robustsim.sim.settings import Settings, env_values
from robustsim.types import Tree


class Instilled(NamedTuple):
    """An agent before deployment, on the host."""

    agent: Tree
    competence: float  # share of training episodes that succeeded
    steps: int  # gradient steps it was trained for


def instil(factory: ScenarioFactory, runs: Sequence[Run], narrate: Narrate = quiet) -> list[Instilled]:
    """The agents of runs of equal structure, from the cache where they are there.

    Raises:
      InstilError: an agent did not reach the competence criterion.
    """
    runs = [Run(_training_settings(run.settings), run.seed) for run in runs]
    names = [_name(factory, run) for run in runs]
    known = {name: found for name in set(names) if (found := _read(name, _blank(factory, runs[0]))) is not None}
    missing = {name: run for name, run in zip(names, runs, strict=True) if name not in known}
    if missing:
        trained = _train(factory, list(missing.values()), narrate)
        known |= dict(zip(missing, trained, strict=True))
        for name, agent in zip(missing, trained, strict=True):
            if runs[0].settings.instil.steps:
                _write(name, agent)
    _check(factory, runs, [known[name] for name in names])
    return [known[name] for name in names]


def _training_settings(settings: Settings) -> Settings:
    """The settings with everything at its default that training must not depend on, so that it can be shared."""
    return dataclasses.replace(
        settings,
        agent=dataclasses.replace(settings.agent, kl_anchor=0.0),
        overseer=Overseer(),
        catastrophe=Catastrophe(),
        queue=0,
    )


def _check(factory: ScenarioFactory, runs: Sequence[Run], agents: Sequence[Instilled]) -> None:
    low = [(r, a) for r, a in zip(runs, agents, strict=True) if a.competence < r.settings.instil.competence]
    if low:
        worst = min(a.competence for _, a in low)
        seeds = ", ".join(str(r.seed) for r, _ in low[:8]) + (" ..." if len(low) > 8 else "")
        wanted = low[0][0].settings.instil.competence
        raise InstilError(
            f"scenario {factory.name!r}: {len(low)} of {len(runs)} agents stayed below instil.competence={wanted:g} "
            f"(worst {worst:.3f}; seeds {seeds}) after {low[0][1].steps} gradient steps; raise instil.steps"
        )


def _train(factory: ScenarioFactory, runs: Sequence[Run], narrate: Narrate) -> list[Instilled]:
    """Trains runs together; those below the criterion go on while the others stand still."""
    settings = cohort.stack([cohort.as_arrays(run.settings) for run in runs])
    keys = np.stack([cohort.key_of(factory.name, "initialise", run.seed) for run in runs])
    agents = cohort.initialise(factory, settings, keys)
    lanes = cohort.lanes_for(factory, runs, "instil", training=True)
    states = cohort.begin_phase(factory, settings, lanes, agents)
    first = np.array([run.settings.instil.steps for run in runs])
    last = np.array([int(r.settings.instil.steps * (1 + r.settings.instil.extension)) for r in runs])
    wanted = np.array([run.settings.instil.competence for run in runs])
    targets, block = first, np.maximum(first // 4, 1)
    while True:
        step = np.asarray(states.step)
        while np.any(step < targets):
            limits = np.minimum(step + cohort.CHUNK // 4, targets).astype(np.int32)
            states = cohort.advance(factory, settings, dataclasses.replace(lanes, limit=limits), states)
            step = np.asarray(states.step)
            narrate("instil", int(step.sum()), int(targets.sum()))
        competence = _competence(factory, runs, settings, states)
        targets = np.where((competence < wanted) & (step < last), np.minimum(step + block, last), step)
        if np.all(targets == step):
            break
    agents = jax.device_get(states.agent)
    return [
        Instilled(jax.tree.map(lambda x: x[i], agents), float(competence[i]), int(step[i]))  # noqa: B023
        for i in range(len(runs))
    ]


def _competence(factory: ScenarioFactory, runs: Sequence[Run], settings: Any, states: Any) -> np.ndarray:
    """float[N], share of training episodes that succeed."""
    keys = np.stack([cohort.key_of(factory.name, "competence", run.seed) for run in runs])
    episodes = runs[0].settings.probe.episodes
    values = []
    for i in range(len(runs)):  # one run at a time: a probe is large
        one = jax.tree.map(lambda x: x[i : i + 1], (settings, keys, np.asarray(states.step), states.agent.params))  # noqa: B023
        counts = jax.device_get(cohort.look(factory, *one, np.ones((), np.bool_), episodes))
        values.append(counts.competent.sum() / counts.episodes.sum())
    return np.array(values)


# --- the cache ---


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Hash of the package's own source that instilling depends on, and of the versions below it."""
    root = Path(__file__).parent.parent
    sources = [p for folder in ("envs", "agents", "oversight", "sim") for p in sorted((root / folder).glob("*.py"))]
    versions = f"jax {jax.__version__} {jax.default_backend()} python {sys.version_info[:2]}"
    return files.digest(b"".join(p.read_bytes() for p in sources) + versions.encode())


def _name(factory: ScenarioFactory, run: Run) -> str:
    """Hash of everything that an instilled agent depends on; the overseer is not part of it."""
    settings = run.settings
    parts = [
        factory.name,
        factory.source_hash,
        code_hash(),
        sorted(env_values(settings).items()),
        type(settings.agent).__name__,
        sorted(vars(settings.agent).items()),
        sorted(vars(settings.instil).items()),
        settings.probe.episodes,
        run.seed,
    ]
    return files.digest(repr(parts).encode())


def _blank(factory: ScenarioFactory, run: Run) -> Tree:
    """The structure of an agent, without computing one."""
    settings = cohort.stack([cohort.as_arrays(run.settings)])
    return jax.eval_shape(lambda s, k: cohort.initialise(factory, s, k), settings, np.zeros((1, 2), np.uint32))


def _path(name: str) -> Path:
    return files.cache_folder() / "agents" / f"{name}.npz"


def _write(name: str, instilled: Instilled) -> None:
    buffer = io.BytesIO()
    leaves = jax.tree.leaves(instilled.agent)
    np.savez(
        buffer, competence=instilled.competence, steps=instilled.steps, **{f"leaf{i}": x for i, x in enumerate(leaves)}
    )
    try:
        files.write_atomically(_path(name), files.seal(buffer.getvalue()))
    except UserError as error:  # a cache that cannot be written costs time, not results
        print(f"note: instilled agents are not kept: {error}", file=sys.stderr)


def _read(name: str, blank: Tree) -> Instilled | None:
    """The agent of that name; None if it is not there or its file is damaged."""
    try:
        payload = files.unseal(_path(name).read_bytes())
    except OSError:
        return None
    if payload is None:
        return None
    with np.load(io.BytesIO(payload)) as data:
        leaves, structure = jax.tree.flatten(blank)
        agent = jax.tree.unflatten(structure, [data[f"leaf{i}"] for i in range(len(leaves))])
        return Instilled(agent, float(data["competence"]), int(data["steps"]))
