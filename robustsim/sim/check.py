"""Is a scenario sound? Everything a user's functions return is checked where they meet the simulator."""

import dataclasses
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.errors import UserError, blamed, first_line
from robustsim.records import Counter, Measure, check_records
from robustsim.sim.audit import Report, audit
from robustsim.sim.batched import as_arrays, evaluate_all, initialise, key_of, precision, stack
from robustsim.sim.counters import COUNTERS
from robustsim.sim.reference import criterion
from robustsim.spec.scenario import Online, Scenario, ScenarioFactory
from robustsim.spec.settings import Settings, env_values, for_training
from robustsim.types import Step, Transition

RESERVED = (*(counter.name for counter in COUNTERS), "misbehaviour", "competence", "entropy", "rates", "decisions")


def check_shapes(factory: ScenarioFactory, settings: Settings) -> None:
    """Traces every function of a scenario once, without running it.

    Raises:
      UserError: naming the function, what it returned and what it must return.
    """
    jax.eval_shape(lambda s: _check_scenario(factory, s), as_arrays(settings))


def _check_scenario(factory: ScenarioFactory, settings: Settings) -> None:
    scenario = factory(**env_values(settings))
    env, name = scenario.env, factory.name
    _same_structure(name, "training_levels and deployment_levels", scenario.training_levels, scenario.deployment_levels)
    for levels in (scenario.training_levels, scenario.deployment_levels):
        begun = _call(name, "env.reset", lambda: env.reset(jax.random.key(0), levels))  # noqa: B023
        obs, state = _parts(name, "env.reset", begun, tuple, "(obs, state)")
        _wants(name, "env.reset: the observation", obs, (env.observation_size,), "float")
        seen = _call(name, "env.observe", lambda: env.observe(state))  # noqa: B023
        _wants(name, "env.observe", seen, (env.observation_size,), "float")
        if env.mask is not None:
            allowed = _call(name, "env.mask", partial(env.mask, state))
            _wants(name, "env.mask", allowed, (env.num_actions,), "bool")
        step = _call(name, "env.step", lambda: env.step(jax.random.key(0), state, jnp.int32(0), levels))  # noqa: B023
        step = _parts(name, "env.step", step, Step, f"rs.Step({', '.join(f'{f.name}=...' for f in fields(Step))})")
        _same_structure(name, "the states of env.reset and env.step", state, step.state, types=True)
        _wants(name, "env.step: the observation", step.obs, (env.observation_size,), "float")
        _wants(name, "env.step: the reward", step.reward, (), "float")
        _wants(name, "env.step: terminated", step.terminated, (), "bool")
        _wants(name, "env.step: truncated", step.truncated, (), "bool")
        transition = Transition.of(state, jnp.int32(0), step)
        predicates = {role: getattr(scenario, role) for role in ("misbehaviour", "success", "event", "tampers")}
        for role, predicate in predicates.items():
            if predicate is not None:
                _wants(name, role, _call(name, role, partial(predicate, transition)), (), "bool")
        _wants(name, "avoidable", _call(name, "avoidable", partial(scenario.avoidable, state)), (), "bool")
        _check_records(name, scenario, transition)


def _check_records(name: str, scenario: Scenario, transition: Transition) -> None:
    """The monitor, and the scenario's own records of transitions."""
    check_records(scenario.records, RESERVED)
    for record in scenario.records:
        if isinstance(record, Counter | Measure) and getattr(record, "per", "transition") == "transition":
            kind = type(record).__name__.lower()
            value = _call(name, f"{kind} {record.name!r}", partial(record.of, transition))
            if jnp.shape(value) != ():
                raise UserError(f"scenario {name!r}: {kind} {record.name!r}: returned {jnp.shape(value)}; use a scalar")
    for feature in scenario.features:
        value = _call(name, f"feature {feature.name!r}", partial(feature.of, transition.before))
        if jnp.shape(value) != ():
            raise UserError(f"scenario {name!r}: feature {feature.name!r}: returned {jnp.shape(value)}; use a scalar")
    monitor = scenario.monitor
    if monitor is not None:
        flag = _call(name, "monitor", lambda: monitor.flag(monitor.begin(), transition))[1]
        _wants(name, "monitor: the score", flag, (), "bool")


def _call(name: str, role: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except UserError:
        raise
    except jax.errors.TracerBoolConversionError as error:
        raise UserError(
            f"scenario {name!r}: {role} branches in Python on a value that is not known yet; use jnp.where"
            f"{blamed(error)}"
        ) from None
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError) as error:
        raise UserError(
            f"scenario {name!r}: {role} gives NumPy, or a size, a value that is not known yet; "
            f"use jax.numpy and fixed sizes{blamed(error)}"
        ) from None
    except Exception as error:  # a user's function may raise anything; it becomes one line that names it
        raise UserError(f"scenario {name!r}: {role} fails: {first_line(error)}") from error


def _parts(name: str, role: str, value: Any, kind: type, said: str) -> Any:
    """A value of the kind that a function must return."""
    if not isinstance(value, kind) or (kind is tuple and len(value) != 2):
        got = f"{type(value).__name__} of {len(value)}" if isinstance(value, tuple | list) else type(value).__name__
        raise UserError(f"scenario {name!r}: {role}: returned a {got}; it must return {said}")
    return value


def _wants(name: str, role: str, value: Any, shape: tuple[int, ...], kind: str) -> None:
    kinds = {"bool": jnp.bool_, "float": jnp.floating}
    got_shape, got = getattr(value, "shape", None), getattr(value, "dtype", type(value))
    if isinstance(value, bool | float):  # a Python constant is a scalar
        got_shape, got = (), jnp.asarray(value).dtype
    if got_shape != shape or not jnp.issubdtype(got, kinds[kind]):
        sizes = "x".join(map(str, got_shape)) if got_shape else "no shape" if got_shape is None else "scalar"
        wanted = f"{kind}[{', '.join(map(str, shape))}]"
        raise UserError(f"scenario {name!r}: {role}: returned {got} ({sizes}); it must return {wanted}")


def _same_structure(name: str, role: str, a: Any, b: Any, types: bool = False) -> None:
    if jax.tree.structure(a) != jax.tree.structure(b):
        raise UserError(f"scenario {name!r}: {role} differ in structure; they must be the same")
    for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
        kinds = [leaf.dtype if hasattr(leaf, "dtype") else jnp.asarray(leaf).dtype for leaf in (x, y)]
        if jnp.shape(x) != jnp.shape(y) or (types and kinds[0] != kinds[1]):
            found = " and ".join(f"{kind}{list(jnp.shape(leaf))}" for kind, leaf in zip(kinds, (x, y), strict=True))
            where = jax.tree_util.keystr(path) or "the value"
            raise UserError(f"scenario {name!r}: {role} differ in shape or type at {where}: {found}; use one")


EPISODES = 512  # a condition


def inspect(factory: ScenarioFactory, settings: Settings) -> Report:
    """Looks a scenario over: shapes first, then the program of a step and random play, then both distributions.

    Raises:
      UserError: as :func:`check_shapes`.
    """
    scenario = factory(**env_values(settings))
    with precision(scenario.precision):
        check_shapes(factory, settings)
        problems, notes, facts = audit(factory, settings)
        measured, again = (_untrained(factory, settings) for _ in range(2))
    for phase, found in measured.items():
        episodes = int(found["episodes"].sum())
        decisions = int(found["decisions"].sum())
        facts[f"{phase}: episodes where it can be avoided"] = f"{decisions / episodes:.3f}"
        misbehaved = int(found["misbehaved"].sum()) / max(decisions, 1)
        facts[f"{phase}: of those, an untrained agent misbehaves in"] = f"{misbehaved:.3f}"
        facts[f"{phase}: an untrained agent succeeds in"] = f"{int(found['competent'].sum()) / episodes:.3f}"
    problems += _of_deployment(measured["deployment"])
    if scenario.env.outcomes is None:
        notes += _of_chance(settings, measured["deployment"])
    if measured["deployment"]["competent"].sum() == 0:
        notes.append(f"success: an untrained agent never succeeds in {2 * EPISODES:,} episodes; it may find no reward")
    pairs = zip(jax.tree.leaves(measured), jax.tree.leaves(again), strict=True)
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
        problems.append("env: the same key gave two different results; it must depend on its arguments alone")
    if scenario.env.render is None:
        notes.append("env.render is missing: there will be no pictures of this scenario")
    if settings.training.steps and settings.training.competence == 0:
        notes.append("training.competence is 0: an incompetent agent will be deployed without complaint")
    return Report(problems, notes, facts)


def _untrained(factory: ScenarioFactory, settings: Settings) -> dict[str, Any]:
    """What an evaluation measures of a randomly initialised agent, in training and in deployment."""
    table, count = {}, np.full(1, EPISODES, np.int32)
    deployed = dataclasses.replace(settings, online=Online())  # which would change an agent that was trained
    for phase, chosen in (("training", for_training(settings)), ("deployment", deployed)):
        numbers, keys = stack([as_arrays(chosen)]), np.stack([key_of(factory.name, "check", 0)])
        params = initialise(factory, numbers, keys).params
        step, training = np.zeros(1, np.int32), np.array([phase == "training"])
        table[phase] = jax.device_get(evaluate_all(factory, numbers, keys, step, params, training, count))
    return table


FEW_DECISIONS = 1 / 16  # share below which no evaluation is made large enough (:meth:`Track.episodes`)


def _of_chance(settings: Settings, measured: dict[str, Any]) -> list[str]:
    """What an untrained agent does in deployment without any goal, where that makes a number mean something else."""
    episodes, decisions = int(measured["episodes"].sum()), int(measured["decisions"].sum())
    misbehaved = int(measured["misbehaved"].sum()) / max(decisions, 1)
    competent = int(measured["competent"].sum()) / episodes
    threshold, notes = settings.evaluation.threshold, []
    if misbehaved > threshold:
        notes.append(
            f"misbehaviour: an untrained agent misbehaves in {misbehaved:.3f} of the episodes, above "
            f"evaluation.threshold={threshold:g}: part of T_c is the time to become better than chance"
        )
    if competent >= criterion(settings):
        notes.append(
            f"success: an untrained agent succeeds in {competent:.3f} of the episodes, which is competent already "
            f"(training.competence={criterion(settings):g}): competence tells nothing here"
        )
    if 0 < decisions / episodes < FEW_DECISIONS:
        notes.append(
            f"avoidable: only {decisions / episodes:.3f} of the deployment levels are decision levels, too few for "
            "evaluation.episodes to show that a misbehaviour is gone; raise it, or the share of such levels"
        )
    return notes


def _of_deployment(measured: dict[str, Any]) -> list[str]:
    if measured["decisions"].sum() == 0:
        return [f"avoidable: no deployment level of {2 * EPISODES:,} lets the agent do otherwise: nothing is counted"]
    if measured["misbehaved"].sum() == 0:
        return [
            f"misbehaviour: an untrained agent never misbehaves in {2 * EPISODES:,} episodes; can the predicate hold?"
        ]
    return []
