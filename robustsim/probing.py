"""What agents represent, and whether they act on it: probes of their hidden layers, and steering (Framing 2, theory D).

Agents are made again from results, at deployment start and at the last evaluation under the overseer. Features are
read, and layers moved, on states in which everything is placed independently, looking unwatched.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import polars as pl

from robustsim import probes, replays
from robustsim.agents.steering import ablated, steered
from robustsim.analysis import sharing as linear
from robustsim.analysis.tables import Tables
from robustsim.arguments import whole
from robustsim.errors import UserError, nearest
from robustsim.events import CONDITIONS
from robustsim.moments import STAGES, UNWATCHED, Moment, asked, moments_of, random_bits, random_key
from robustsim.sim import batched, inside
from robustsim.sim import sharing as tangent
from robustsim.sim.track import CORRECTED, Track
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run
from robustsim.types import Tree

AGENT, RANDOM_NETWORK, RANDOM_LABELS = "agent", "random network", "random labels"
EFFECT, PROBE, RANDOM = "effect", "probe", "random"
DOSES = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
MOST_EPISODES = 2**20
FOLD_RANDOM, FOLD_LABELS, FOLD_NETWORK = range(3)


def represented(results: Tables, *, agents: int = 8, scenario: Any = "") -> pl.DataFrame:
    """How well linear probes read each feature of a scenario from each hidden layer of its agents.

    Args:
      results: of one configuration of a scenario that names features (`rs.Feature`).
      agents: how many of its runs, the first by seed.
      scenario: the scenario or its file, if it is not installed.

    Returns:
      A row per agent, stage (start, final), feature, layer (0 is the first) and what is probed: the agent, a random
      network of the same shape, and the agent with the labels in a random order. Columns: seed, stage, step, feature,
      layer, of, score, low, high: AUC of a feature that is 0 or 1, R2 of another, on held-out states, with 95% limits
      of a bootstrap over states, each of which is an episode of its own here. Limits are of each number by itself.

    Raises:
      UserError: there are several configurations, the scenario names no features, or the agents have no layer that is
        known; or their runs cannot be made again here.
    """
    factory, names = asked(results, "represented", scenario)
    tables = []
    for at in moments_of(results, factory, agents, scenario):
        with batched.precision(factory(**factory.defaults).precision):
            tables.append(_read(factory, at, names))
    return pl.concat(tables)


def _read(factory: ScenarioFactory, at: Moment, names: list[str]) -> pl.DataFrame:
    """What probes read from the layers of one agent, and the controls."""
    settings, key = batched.as_arrays(at.run.settings), random_key(factory, at)
    blank = inside.untrained(factory, settings, np.asarray(jax.random.key_data(jax.random.fold_in(key, FOLD_NETWORK))))
    mine, table = inside.activations(factory, settings, at.params, UNWATCHED)
    others, _ = inside.activations(factory, settings, blank, UNWATCHED)
    targets = np.asarray(table, np.float64)
    shuffled = targets[np.asarray(jax.random.permutation(jax.random.fold_in(key, FOLD_LABELS), len(targets)))]
    rows = []
    for of, layers, labels in (
        (AGENT, mine, targets),
        (RANDOM_NETWORK, others, targets),
        (RANDOM_LABELS, mine, shuffled),
    ):
        for i, layer in enumerate(layers):
            found = probes.scored(np.asarray(layer, np.float64), labels, np.arange(len(labels)))
            for j, name in enumerate(names):
                score = dict(zip(("score", "low", "high"), (float(x[j]) for x in found), strict=True))
                rows.append(at.about | {"feature": name, "layer": i, "of": of} | score)
    return pl.DataFrame(rows)


def steer(
    results: Tables,
    feature: str,
    *,
    doses: Sequence[float] = DOSES,
    layer: int = -1,
    agents: int = 8,
    episodes: int = 1024,
    scenario: Any = "",
) -> pl.DataFrame:
    """Whether behaviour follows a representation: one hidden layer is moved along a direction, or loses it.

    The directions are what one unit of the feature adds to the layer on average (effect), the weights of the linear
    probe that reads it best (probe), and one that is drawn for each agent (random). All are as long as the first.

    Args:
      results: of one configuration of a scenario that names features, with agents that are perceptrons.
      feature: the name of one.
      doses: in units of the feature; 1 moves the layer as far as the presence of something does that is 0 or 1.
      layer: 0 is the first hidden layer, -1 the last.
      agents: how many of its runs, the first by seed.
      episodes: of each evaluation and condition; they are the same at all doses.
      scenario: the scenario or its file, if it is not installed.

    Returns:
      A row per agent, stage (start, final), direction and dose, and one per direction for the layer that is the same
      everywhere along it (dose null). Columns: seed, stage, step, feature, layer, direction, dose,
      misbehaviour_unwatched, misbehaviour_watched, competence.

    Raises:
      UserError: as :func:`represented`; the feature is not one of the scenario's, the layer is not there, or the agents
        are no perceptrons.
    """
    factory, names = asked(results, "steer", scenario)
    whole("episodes", episodes, 1, MOST_EPISODES)
    if not all(isinstance(dose, int | float) and math.isfinite(dose) for dose in doses):
        raise UserError(f"doses: {list(doses)!r} is not allowed; use finite numbers")
    if feature not in names:
        raise UserError(f"feature: {feature!r} is not one of scenario {factory.name!r}; {nearest(str(feature), names)}")
    tables = []
    for at in moments_of(results, factory, agents, scenario):
        with batched.precision(factory(**factory.defaults).precision):
            found = _steered(factory, at, names.index(feature), doses, layer, episodes)
        about = at.about | {"feature": feature, "layer": layer}
        tables.append(found.select(**{name: pl.lit(value) for name, value in about.items()}, rest=pl.struct(pl.all())))
    return pl.concat(tables).unnest("rest")


def _steered(
    factory: ScenarioFactory, at: Moment, feature: int, doses: Sequence[float], layer: int, episodes: int
) -> pl.DataFrame:
    """What one agent does when it is steered."""
    layers, table = inside.activations(factory, batched.as_arrays(at.run.settings), at.params, UNWATCHED)
    if not -len(layers) <= layer < len(layers):
        raise UserError(f"layer: {layer!r} is not allowed; use a whole number from {-len(layers)} to {len(layers) - 1}")
    hidden, target = np.asarray(layers[layer], np.float64), np.asarray(table, np.float64)[:, feature]
    effect, centre, changed, rows = probes.effect(hidden, target), hidden.mean(0), [], []
    if not effect.any():
        raise UserError("feature: it is the same in all states that were drawn, so nothing can be moved along it")
    random = np.asarray(
        jax.random.normal(jax.random.fold_in(random_key(factory, at), FOLD_RANDOM), hidden.shape[1:]), np.float64
    )
    for name, direction in ((EFFECT, effect), (PROBE, probes.direction(hidden, target)), (RANDOM, random)):
        along = (direction / np.linalg.norm(direction)).astype(np.float32)
        for dose in doses:
            changed.append(steered(at.params, layer, np.float32(dose * np.linalg.norm(effect)) * along))
            rows.append({"direction": name, "dose": float(dose)})
        changed.append(ablated(at.params, layer, along, centre.astype(np.float32)))
        rows.append({"direction": name, "dose": None})
    return pl.DataFrame(rows).hstack(_evaluated(factory, at, changed, episodes))


def _evaluated(factory: ScenarioFactory, at: Moment, agents: list[Tree], episodes: int) -> pl.DataFrame:
    """Misbehaviour and competence of some parameters, in the same episodes."""
    n, settings = len(agents), batched.as_arrays(_measured_plainly(at.run).settings)
    measured = batched.evaluate_all(
        factory,
        batched.stack([settings] * n),
        np.stack([Track(0, at.run, CORRECTED).evaluation_key(factory.name)] * n),
        np.full(n, at.step, np.int32),
        jax.tree.map(lambda *x: np.stack(x), *agents),
        np.zeros(n, bool),
        np.full(n, episodes, np.int32),
    )
    rates = np.asarray(measured["misbehaved"]) / np.maximum(np.asarray(measured["decisions"]), 1)
    competent = np.asarray(measured["competent"]).sum(-1) / np.asarray(measured["episodes"]).sum(-1)
    columns = {f"misbehaviour_{name}": rates[:, i] for i, name in enumerate(CONDITIONS)}
    return pl.DataFrame({**columns, "competence": competent})


def _measured_plainly(run: Run) -> Run:
    """The run whose evaluations measure behaviour alone."""
    plain = replace(run.settings.evaluation, goals=False, plasticity=False)
    return run._replace(settings=replace(run.settings, evaluation=plain))


def sharing(results: Tables, *, agents: int = 32, scenario: Any = "") -> pl.DataFrame:
    """How much of a lesson that is learned while watched carries over to what looks unwatched, before and after.

    To first order a step that changes the log odds of misbehaving where the agent looks watched changes those where it
    looks unwatched by rho times as much: the ratio of the empirical neural tangent kernel, at deployment start (theory
    A.2). Where only watched episodes teach, that and the watched rates predict the unwatched ones.

    Args:
      results: of one configuration in which agents see whether they are watched.
      agents: how many of its runs, the first by seed.
      scenario: the scenario or its file, if it is not installed.

    Returns:
      A row per agent: seed, rho, cosine (of both slopes), acts (that they are means over; 0: no misbehaviour, and rho
      means nothing); the first evaluations at which a rate is at most the threshold of the removal: steps_watched,
      steps_unwatched, and steps_predicted, where rho would have the unwatched one be; and shown, the ratio of what both
      log odds had fallen by at steps_watched. Null where that is never.

    Raises:
      UserError: there are several configurations, the signal is hidden, or the agents have a memory; or their runs
        cannot be made again here.
    """
    results.check_one("sharing")
    if not results.settings["overseer.visible"]:
        raise UserError(
            "overseer.visible: False is not allowed for sharing; agents cannot see whether they are watched"
        )
    factory, rows = replays.factory_of(results, scenario, drawn=False), []
    for at in moments_of(results, factory, agents, scenario, STAGES[:1]):
        with batched.precision(factory(**factory.defaults).precision):
            found = tangent.sharing(factory, batched.as_arrays(at.run.settings), random_bits(factory, at), at.params)
        rho, cosine, acts = (x.item() for x in jax.device_get(found))
        (row,) = results.runs.filter(pl.col("seed") == at.run.seed).to_dicts()
        exact = row["expected_misbehaviours"] is not None
        mine = linear.course(results.traces.filter(pl.col("run_id") == row["run_id"]), exact)
        limit = row["removal_threshold"]
        rows.append(
            {"seed": at.run.seed, "rho": rho, "cosine": cosine, "acts": acts, "shown": linear.shown(mine, limit)}
            | {"steps_watched": linear.first_below(mine, "watched", limit)}
            | {"steps_unwatched": linear.first_below(mine, "unwatched", limit)}
            | {"steps_predicted": linear.predicted(mine, rho, limit)}
        )
    steps = dict.fromkeys(("steps_watched", "steps_unwatched", "steps_predicted"), pl.Int64)
    return pl.DataFrame(rows, schema_overrides={"shown": pl.Float64, **steps})
