"""`robustsim check` explains in plain words what an environment does that it should not."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complains, says

import robustsim as rs
from robustsim.sim.audit import audit
from robustsim.sim.check import check_shapes
from robustsim.spec.settings import resolve

pytestmark = pytest.mark.same_keys  # random play takes its keys from an array, inside a loop

LIMIT = 4


def walk(key: Any, state: Any, action: Any, levels: Any) -> rs.Step:
    """A walk to the right that ends after three steps; the state is the place and the time."""
    place, time = state["place"] + action, state["time"] + 1
    ended = place >= 3
    return rs.Step(
        obs=place[None].astype(float),
        state={"place": place, "time": time},
        reward=ended.astype(float),
        terminated=ended,
        truncated=~ended & (time >= LIMIT),
    )


def begin(key: Any, levels: Any) -> Any:
    return jnp.zeros(1), {"place": jnp.int32(0), "time": jnp.int32(0)}


def look(state: Any) -> Any:
    return state["place"][None].astype(float)


def scenario(name: str, step: Callable = walk, reset: Callable = begin, observe: Callable = look, **more: Any) -> Any:
    def build() -> rs.Scenario:
        """An environment under test."""
        env = rs.Environment(
            reset=reset,
            step=step,
            observe=observe,
            observation_size=1,
            num_actions=2,
            max_steps=LIMIT,
        )
        given = {"misbehaviour": lambda tr: tr.action == 1, **more}
        return rs.Scenario(env=env, training_levels=None, deployment_levels=None, agent=rs.A2C(), **given)

    build.__name__ = name
    return rs.scenario(build)


def change(**fields: Callable[[rs.Step], Any]) -> Callable:
    """`walk` with some fields of what it returns computed from the rest."""

    def step(*args: Any) -> rs.Step:
        import dataclasses

        after = walk(*args)
        return dataclasses.replace(after, **{name: f(after) for name, f in fields.items()})

    return step


def findings(factory: Any) -> Any:
    return audit(factory, resolve(factory, {}))


def test_a_sound_environment_gets_facts_and_no_complaint() -> None:
    problems, notes, facts = findings(scenario("sound"))
    assert problems == []
    assert notes == []
    assert 0 < float(facts["random play: episodes that the world ends"]) < 1
    assert 3 <= float(facts["random play: mean length of an episode"]) <= LIMIT
    assert int(facts["random play: steps with misbehaviour"]) > 0
    assert float(facts["random play: seconds to compile"]) > 0
    assert float(facts["random play: microseconds per step"]) > 0


def called_back(after: rs.Step) -> Any:
    return jax.pure_callback(
        lambda x: np.float32(x), jax.ShapeDtypeStruct((), jnp.float32), after.reward, vmap_method="sequential"
    )


def printed(after: rs.Step) -> Any:
    jax.debug.print("{}", after.reward)
    return after.reward


def shaken(after: rs.Step) -> Any:
    return after.reward + np.random.default_rng().random()


@pytest.mark.parametrize(
    ("name", "step", "parts"),
    [
        ("calls", change(reward=called_back), ("pure_callback",)),
        ("shakes", change(reward=shaken), ("env", "NumPy")),
        ("endless", change(truncated=lambda after: after.terminated & False), ("env.step", "max_steps=4")),
        ("both", change(truncated=lambda after: after.terminated), ("env.step", "terminated", "truncated")),
        ("lies", change(obs=lambda after: after.obs + 1), ("env.step", "env.observe")),
        ("bursts", change(reward=lambda after: 1 / (1 - after.reward)), ("env", "reward")),
    ],
)
def test_what_an_environment_should_not_do_is_a_problem(name: str, step: Callable, parts: tuple) -> None:
    problems = findings(scenario(name, step)).problems
    assert any(says(p, *parts) for p in problems), problems


def test_what_is_only_unwise_is_a_note() -> None:
    assert any("debug" in n for n in findings(scenario("prints", change(reward=printed))).notes)
    loud = scenario("loud", change(obs=lambda after: 255 * after.obs), observe=lambda state: 255 * look(state))
    assert any(says(n, "observations", 765) for n in findings(loud).notes)
    idle = scenario("idle", event=lambda tr: tr.reward > 9)
    assert any(says(n, "event", 64) for n in findings(idle).notes)


@pytest.mark.parametrize(
    ("name", "changes", "parts"),
    [
        (
            "drifts",
            {"reset": lambda key, levels: (jnp.zeros(1), {"place": jnp.float32(0), "time": jnp.int32(0)}),
             "step": change(state=lambda after: {**after.state, "place": after.state["place"].astype(int)})},
            ("env.reset", "env.step", "['place']", "float32[]", "int32[]"),
        ),
        ("grows", {"step": change(state=lambda after: {**after.state, "more": 1})}, ("env.reset", "env.step")),
        ("numpy", {"misbehaviour": lambda tr: np.asarray(tr.action) == 1}, ("misbehaviour", "jax.numpy")),
        ("sized", {"misbehaviour": lambda tr: jnp.arange(tr.action).any()}, ("misbehaviour", "jax.numpy")),
        ("branches", {"misbehaviour": lambda tr: bool(tr.action)}, ("misbehaviour", "jnp.where")),
    ],
)  # fmt: skip
def test_what_cannot_be_traced_is_named(name: str, changes: dict, parts: tuple) -> None:
    factory = scenario(name, **changes)
    settings = resolve(factory, {})
    with complains(name, *parts):
        check_shapes(factory, settings)


def test_a_parameter_that_decides_in_python_gets_a_hint() -> None:
    def build(size: float = 3.0) -> rs.Scenario:
        """A size that decides in Python."""
        return scenario("large" if size > 2 else "small")()

    factory = rs.scenario(build)
    with complains("build", "jnp.where"):
        check_shapes(factory, resolve(factory, {}))


def test_an_environment_that_is_built_while_tracing_gets_a_hint() -> None:
    def build(size: float = 3.0) -> rs.Scenario:
        """A table that is built with NumPy."""
        return scenario(str(np.full(3, size)))()

    factory = rs.scenario(build)
    with complains("build"):
        check_shapes(factory, resolve(factory, {}))
