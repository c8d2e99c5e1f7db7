"""The agents of some results, made again at deployment start and at the last evaluation under the overseer."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from robustsim import replays
from robustsim.analysis.tables import Tables
from robustsim.arguments import whole
from robustsim.errors import UserError
from robustsim.sim import batched
from robustsim.sim.track import CORRECTED
from robustsim.sim.world import check_features
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run, env_values
from robustsim.sweep.axes import MOST_SEEDS
from robustsim.types import Array, Tree

STAGES = ("start", "final")
UNWATCHED = 0


class Moment(NamedTuple):
    """The agent of a run, at one gradient step of its deployment."""

    run: Run
    stage: str  # start, or final
    step: int
    params: Tree

    @property
    def about(self) -> dict[str, Any]:
        """What names it in a table."""
        return {"seed": self.run.seed, "stage": self.stage, "step": self.step}


def asked(results: Tables, what: str, scenario: Any) -> tuple[ScenarioFactory, list[str]]:
    """(the scenario of one configuration, the names of its features)."""
    results.check_one(what)
    factory = replays.factory_of(results, scenario, drawn=False)
    if results.runs.is_empty():
        raise UserError(f"{what}: no run of these results has finished")
    with batched.precision(factory(**factory.defaults).precision):
        made = factory(**env_values(replays.run_of(factory, results, results.runs.row(0, named=True)).settings))
    check_features(made, what)
    return factory, [feature.name for feature in made.features]


def moments_of(
    results: Tables, factory: ScenarioFactory, agents: int, scenario: Any, stages: Sequence[str] = STAGES
) -> Iterator[Moment]:
    """The agents of the first runs, at deployment start and at the last evaluation under the overseer."""
    whole("agents", agents, 1, MOST_SEEDS)
    traces = results.traces.filter((pl.col("arm") == CORRECTED) & pl.col("overseen"))
    last = dict(traces.group_by("run_id").agg(pl.col("step").max()).iter_rows())
    for row in results.runs.sort("seed").head(agents).iter_rows(named=True):
        run = replays.run_of(factory, results, row)
        steps = [0, last[row["run_id"]]][: len(stages)]
        folder = results.manifest.get("folder")
        found = replays.policies_at(results, row, CORRECTED, steps, folder=folder, scenario=scenario)
        for stage, policy in zip(stages, found, strict=True):
            yield Moment(run, stage, policy.step, policy.params)


def random_key(factory: ScenarioFactory, at: Moment) -> Array:
    return jax.random.wrap_key_data(jnp.asarray(random_bits(factory, at)))


def random_bits(factory: ScenarioFactory, at: Moment) -> np.ndarray:
    """uint32[2]."""
    return batched.key_of(factory.name, f"probe {at.stage}", at.run.seed)
