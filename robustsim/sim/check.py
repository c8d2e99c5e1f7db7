"""Is a scenario sound? Everything a user's functions return is checked where they meet the simulator."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.errors import UserError
from robustsim.sim.audit import audit
from robustsim.sim.lifted import as_arrays, initialise, key_of, look, precision, stack
from robustsim.spec.scenario import Scenario, ScenarioFactory
from robustsim.spec.settings import Settings, env_values
from robustsim.types import Transition


def check_shapes(factory: ScenarioFactory, settings: Settings) -> None:
    """Traces every function of a scenario once, without running it.

    Raises:
      UserError: naming the function, what it returned and what it must return.
    """
    jax.eval_shape(lambda s: _check_scenario(factory, s), as_arrays(settings))


def _check_scenario(factory: ScenarioFactory, settings: Settings) -> None:
    scenario = _call(factory.name, "the factory", lambda: factory(**env_values(settings)))
    env, name = scenario.env, factory.name
    _same_structure(name, "training_levels and deployment_levels", scenario.training_levels, scenario.deployment_levels)
    for levels in (scenario.training_levels, scenario.deployment_levels):
        obs, state = _call(name, "env.reset", lambda: env.reset(jax.random.key(0), levels))  # noqa: B023
        _wants(name, "env.reset: the observation", obs, (env.observation_size,), "float")
        seen = _call(name, "env.observe", lambda: env.observe(state))  # noqa: B023
        _wants(name, "env.observe", seen, (env.observation_size,), "float")
        step = _call(name, "env.step", lambda: env.step(jax.random.key(0), state, jnp.int32(0), levels))  # noqa: B023
        _same_structure(name, "the states of env.reset and env.step", state, step.state, types=True)
        _wants(name, "env.step: the observation", step.obs, (env.observation_size,), "float")
        _wants(name, "env.step: the reward", step.reward, (), "float")
        _wants(name, "env.step: terminated", step.terminated, (), "bool")
        _wants(name, "env.step: truncated", step.truncated, (), "bool")
        transition = Transition(
            before=state,
            action=jnp.int32(0),
            after=step.state,
            reward=step.reward,
            terminated=step.terminated,
            truncated=step.truncated,
        )
        for role, value in predicates(scenario, transition, state).items():
            result = _call(name, role, value)
            _wants(name, role, result, (), "bool")


def predicates(scenario: Scenario, transition: Transition, state: Any) -> dict[str, Callable[[], Any]]:
    """Every predicate of a scenario, ready to be called."""
    table: dict[str, Callable[[], Any]] = {
        "misbehaviour": lambda: scenario.misbehaviour(transition),
        "success": lambda: scenario.success(transition),
        "avoidable": lambda: scenario.avoidable(state),
    }
    for name in ("event", "tampers"):
        predicate = getattr(scenario, name)
        if predicate is not None:
            table[name] = lambda predicate=predicate: predicate(transition)
    return table


def _call(name: str, role: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except UserError:
        raise
    except jax.errors.TracerBoolConversionError:
        raise UserError(
            f"scenario {name!r}: {role} branches in Python on a value that is not known yet; use jnp.where"
        ) from None
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError):
        raise UserError(
            f"scenario {name!r}: {role} gives NumPy, or a size, a value that is not known yet; "
            "use jax.numpy and fixed sizes"
        ) from None
    except Exception as error:  # a user's function may raise anything; it becomes one line that names it
        first = str(error).split("\n")[0]
        raise UserError(f"scenario {name!r}: {role} fails: {type(error).__name__}: {first}") from error


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


class Report(NamedTuple):
    """What `robustsim check` has to say."""

    problems: list[str]
    notes: list[str]
    facts: dict[str, Any]


EPISODES = 512


def inspect(factory: ScenarioFactory, settings: Settings) -> Report:
    """Looks a scenario over: shapes first, then the program of a step and random play, then both distributions.

    Raises:
      UserError: as :func:`check_shapes`.
    """
    scenario = factory(**env_values(settings))
    with precision(scenario.precision):
        check_shapes(factory, settings)
        problems, notes, facts = audit(factory, settings)
        numbers = stack([as_arrays(settings)])
        keys = np.stack([key_of(factory.name, "check", 0)])
        agents = initialise(factory, numbers, keys)
        seen = {
            phase: jax.device_get(
                look(
                    factory,
                    numbers,
                    keys,
                    np.zeros(1, np.int32),
                    agents.params,
                    np.array([phase == "training"]),
                    np.ones(1, bool),
                    EPISODES,
                )
            )
            for phase in ("training", "deployment")
        }
        again = jax.device_get(
            look(
                factory,
                numbers,
                keys,
                np.zeros(1, np.int32),
                agents.params,
                np.zeros(1, bool),
                np.ones(1, bool),
                EPISODES,
            )
        )
    for phase, counts in seen.items():
        episodes = int(counts.episodes.sum())
        facts[f"{phase}: episodes where it can be avoided"] = f"{counts.decisions.sum() / episodes:.3f}"
        facts[f"{phase}: of those, an untrained agent misbehaves in"] = (
            f"{counts.misbehaved.sum() / max(int(counts.decisions.sum()), 1):.3f}"
        )
        facts[f"{phase}: an untrained agent succeeds in"] = f"{counts.competent.sum() / episodes:.3f}"
    deployed = seen["deployment"]
    if deployed.decisions.sum() == 0:
        problems.append(
            "avoidable: no deployment level of 1,024 lets the agent do otherwise, so nothing can be counted"
        )
    elif deployed.misbehaved.sum() == 0:
        problems.append(
            "misbehaviour: an untrained agent never misbehaves in 1,024 episodes; can the predicate hold at all?"
        )
    if deployed.competent.sum() == 0:
        notes.append("success: an untrained agent never succeeds in 1,024 episodes; training may find no reward")
    if not all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(jax.tree.leaves(deployed), jax.tree.leaves(again), strict=True)
    ):
        problems.append("env: the same key gave two different results; it must depend on its arguments alone")
    if scenario.env.render is None:
        notes.append("env.render is missing: there will be no pictures of this scenario")
    if settings.training.steps and settings.training.competence == 0:
        notes.append("training.competence is 0: an incompetent agent will be deployed without complaint")
    return Report(problems, notes, facts)
