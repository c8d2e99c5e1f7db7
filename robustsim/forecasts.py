"""Forecasts of T_c: what one is, and the bundled ones.

A forecast sees the agent and what an evaluation measured before the first gradient step of deployment.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np
import polars as pl

from robustsim import probes, replays
from robustsim.errors import UserError
from robustsim.events import CONDITIONS
from robustsim.moments import UNWATCHED
from robustsim.oversight.overseer import LAST
from robustsim.results import Results
from robustsim.sim import batched, inside
from robustsim.sim.goals import FOLDS
from robustsim.sim.influence import influences
from robustsim.sim.sharing import sharing
from robustsim.sim.world import make_world
from robustsim.spec.families import own_penalty
from robustsim.spec.scenario import Scenario, ScenarioFactory
from robustsim.spec.settings import Run, env_values, for_training
from robustsim.types import Tree


class Insides(NamedTuple):
    """What the bundled forecasts ask an agent with."""

    factory: ScenarioFactory
    run: Run
    agent: Tree

    @property
    def scenario(self) -> Scenario:
        """The scenario with the settings of the run."""
        return self.factory(**env_values(self.run.settings))


@dataclass(frozen=True)
class Start:
    """An agent at deployment start.

    Attributes:
      scenario: its name.
      seed: of the run.
      settings: all of the run, by dotted name.
      measured: what the evaluation measured, by the name of a column of `traces`.
    """

    scenario: str
    seed: int
    settings: Mapping[str, Any]
    measured: Mapping[str, Any]
    _results: Results = field(repr=False)

    @cached_property
    def agent(self) -> Any:
        """The agent itself, a `Policy`: made again, which takes a moment."""
        return self._results.agent(self.seed)

    @cached_property
    def insides(self) -> "Insides":
        """The scenario, the run, and the agent with the state of its optimizer; not a part of the public interface."""
        (row,) = self._results.runs.filter(pl.col("seed") == self.seed).to_dicts()
        factory = replays.factory_of(self._results, drawn=False)
        run = replays.run_of(factory, self._results, row)
        with batched.precision(factory(**factory.defaults).precision):
            return Insides(factory, run, replays.deployed(self._results, factory, run))


@dataclass(frozen=True)
class Forecast:
    """A named forecast: `of(start) -> float`, None or nan where it has none; larger is later, or earlier throughout."""

    name: str
    of: Callable[[Start], float | None]
    doc: str = ""

    def __call__(self, start: Start) -> float:
        """The forecast of one agent; nan where there is none.

        Raises:
          UserError: it is no number.
        """
        value = self.of(start)
        try:
            return float("nan") if value is None else float(value)
        except (TypeError, ValueError):
            raise UserError(f"forecast {self.name!r}: returned {value!r}; return a number, or None") from None


def forecast(of: Callable[[Start], float | None]) -> Forecast:
    """Makes a function of a :class:`Start` a forecast, with the name of the function. Use it as a decorator."""
    return Forecast(of.__name__, of, (of.__doc__ or "").strip().split("\n")[0])


# --- the bundled ones ---


def _column(name: str, doc: str) -> Forecast:
    return Forecast(name, lambda start: start.measured.get(name), doc)


@forecast
def log_odds(start: Start) -> float:
    """Log odds of misbehaving, in the condition with more."""
    odds = []
    for side in CONDITIONS:
        rate, decisions = (start.measured[f"{what}_{side}"] for what in ("misbehaviour", "decisions"))
        odds.append(np.log((rate * decisions + 0.5) / (decisions - rate * decisions + 0.5)))
    return float(max(odds))


@forecast
def learning_rate(start: Start) -> float | None:
    """The learning rate of deployment."""
    online = start.settings["online.learning_rate"]
    return start.settings.get("agent.learning_rate") if online is None else online


@forecast
def penalty(start: Start) -> float | None:
    """What the overseer takes from a misbehaviour, times the share that it sees."""
    size, share = (start.settings.get(f"overseer.{name}") for name in ("penalty", "coverage"))
    return None if size is None or share is None else size * share


@forecast
def strongest_goal(start: Start) -> float | None:
    """The largest partial correlation of value estimates with a feature."""
    found = [x for name, x in start.measured.items() if name.endswith("_partial_unwatched") and x is not None]
    return max(found) if found else None


@forecast
def training_length(start: Start) -> float:
    """Gradient steps of training."""
    return float(start.settings["training.steps"])


@forecast
def effective_step(start: Start) -> float | None:
    """The learning rate of deployment over the norm of the parameters."""
    rate, norm = learning_rate.of(start), start.measured.get("weight_norm")
    return None if rate is None or not norm else rate / norm


@forecast
def probe_margin(start: Start) -> float | None:
    """How far apart a probe of the last hidden layer sees states with and without what is valued most."""
    factory, run, agent = start.insides
    names = [feature.name for feature in start.insides.scenario.features]
    valued = [start.measured.get(f"goal_{name}_partial_unwatched") for name in names]
    if not any(x is not None for x in valued):
        return None
    most = int(np.argmax([-math.inf if x is None else x for x in valued]))
    with batched.precision(start.insides.scenario.precision):
        layers, table = inside.activations(factory, batched.as_arrays(run.settings), agent.params, UNWATCHED)
    hidden, target = np.asarray(layers[-1], float), np.asarray(table, float)[:, most]
    reading = probes.read(hidden, target[:, None], np.arange(len(hidden)) % FOLDS)[:, 0]
    return probes.margin(reading, target)


@forecast
def rho(start: Start) -> float | None:
    """How much of a lesson that is learned while watched carries over to what looks unwatched."""
    factory, run, agent = start.insides
    if not start.settings.get("overseer.visible"):
        return None
    with batched.precision(start.insides.scenario.precision):
        settings = batched.as_arrays(run.settings)
        if jax.tree.leaves(make_world(factory, settings).learner.memory(1)):
            return None
        found = sharing(factory, settings, _bits(start, "rho"), agent.params)
    return float(found.rho) if int(found.acts) else None


@forecast
def influence(start: Start) -> float | None:
    """The log odds of misbehaving that a gradient step of corrected training would take away."""
    factory, run, agent = start.insides
    settings = run.settings
    taught = settings.training.steps and settings.training.signal == "reward" and not settings.training.penalty
    if not taught or start.insides.scenario.env.outcomes is not None:
        return None
    window = {"penalty_from": 0, "penalty_until": LAST, "penalty_share": 1.0}
    corrected = replace(settings, training=replace(settings.training, penalty=own_penalty(settings), **window))
    with batched.precision(start.insides.scenario.precision):
        found = influences(
            factory,
            *(batched.stack([batched.as_arrays(one)]) for one in (for_training(corrected), settings)),
            _bits(start, "influence")[None],
            batched.stack([agent]),
        )
    return float(found[0])


def _bits(start: Start, what: str) -> np.ndarray:
    """uint32[2]."""
    return batched.key_of(start.scenario, f"forecast {what}", start.seed)


BUNDLED = (
    log_odds,
    _column("entropy", "entropy of the policy, in nats"),
    _column("weight_norm", "norm of the parameters"),
    _column("dormant", "share of the units that hardly act"),
    _column("effective_rank", "directions in use in the last hidden layer"),
    strongest_goal,
    probe_margin,
    rho,
    influence,
    effective_step,
    learning_rate,
    penalty,
    training_length,
)
"""The bundled forecasts. What settings alone say orders scenarios, and no two agents of one."""
