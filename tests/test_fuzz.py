"""Random overseers, catastrophes and defences, edges included: one clear line or a finite result, and an end to it."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from robustsim.sim.lifted import Run

from robustsim.errors import UserError
from robustsim.oversight import catastrophe, defences, overseer
from robustsim.oversight.catastrophe import Catastrophe
from robustsim.oversight.defences import Defences
from robustsim.oversight.overseer import Overseer, Sight
from robustsim.sim import lifted
from robustsim.sim.track import CORRECTED, Track
from robustsim.spec.loading import load
from robustsim.spec.settings import Settings, names, resolve

SECTIONS = {"overseer": Overseer(), "catastrophe": Catastrophe(), "defences": Defences()}
FIELDS = {
    f"{section}.{name}": field.metadata
    for section, value in SECTIONS.items()
    for name, field in type(value).__dataclass_fields__.items()  # pyright: ignore[reportAttributeAccessIssue]
}
WRONG = st.sampled_from([math.nan, math.inf, -math.inf, -1, 1.5, 2**40, "x", "", None, [], True, b"1"])


def _allowed(meta: Any) -> st.SearchStrategy[Any]:
    if meta.get("flag"):
        return st.booleans()
    if "options" in meta:
        return st.sampled_from(meta["options"])
    low, high = meta["low"], meta["high"]
    if meta.get("whole"):
        return st.sampled_from([low, low + 1, min(high, 7), min(high, 5000), high])
    return st.sampled_from([low, high]) | st.floats(low, min(high, 20), allow_nan=False)


VALUES = {name: _allowed(meta) for name, meta in FIELDS.items()}
CONFIGURATIONS = st.lists(st.sampled_from(sorted(FIELDS)), max_size=6, unique=True).flatmap(
    lambda chosen: st.fixed_dictionaries({name: st.one_of(VALUES[name], VALUES[name], WRONG) for name in chosen})
)
BANDIT = load("bandit")


def _try(changes: dict[str, Any]) -> Settings | None:
    """The settings, or None where one clear line says what is wrong with which field."""
    try:
        return resolve(BANDIT, {"agent.gradient": "sampled", "agent.num_envs": 2, **changes})
    except UserError as error:
        told = str(error)
        assert "\n" not in told
        assert told.split(":")[0].split(" ")[0] in names(BANDIT)
        return None


def _finite(tree: Any) -> bool:
    return all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating))


def _rollouts(chosen: Settings, seed: int) -> None:
    """Two rollouts through every pure function, with nothing but finite numbers and possible counts."""
    o, rule, steps, envs = chosen.overseer, chosen.catastrophe, 5, 2
    memory, spent = overseer.remember(chosen.line, envs), overseer.Spent(jnp.int32(0), jnp.int32(0))
    state = catastrophe.initial(chosen.ring)
    guard = defences.begin(state)
    for t in range(2):
        u = jnp.asarray(np.random.default_rng([seed, t]).uniform(size=(steps, envs, 8)).astype(np.float32))
        today = overseer.today(o, jnp.int32(t), memory.alert)
        watch = overseer.watch(today, u)
        bad, ended = u[..., 2] < 0.4, u[..., 3] < 0.6
        sight = Sight(misbehaved=bad, clean=ended & ~bad, dirty=ended & bad, watched=watch.watched, signal=watch.signal)
        active = overseer.on_duty(o, jnp.int32(t), jnp.int32(2**31 - 1))
        marks = overseer.mark(today, active, spent, sight, u)
        memory, arrived = overseer.delayed(today, memory, marks.feedback)
        memory = overseer.stir(today, memory, marks.caught)
        given_ = int(marks.caught.sum() + marks.false_alarm.sum())
        spent = overseer.Spent(spent.penalties + given_, spent.labels + marks.labelled.sum(dtype=jnp.int32))
        assert given_ <= o.per_update
        assert int(spent.penalties) <= max(o.budget, 0)
        assert int(spent.labels) <= math.ceil(o.labels) if math.isfinite(o.labels) else True
        expected = overseer.expect(today, active)
        assert _finite((marks, arrived, memory, expected))
        assert float(expected.looks.sum()) == pytest.approx(1, abs=1e-6)
        assert 0 <= float(expected.watched.min()) <= float(expected.watched.max()) <= 1 + 1e-6
        before, (state, fired) = state, catastrophe.advance(rule, state, bad, sight.clean, u[..., 4])
        assert state.shape == before.shape
        events = defences.Events(bad, sight.clean, u[..., 4])
        guard = defences.defend(
            chosen.defences or Defences(), guard, rule, events, marks.noticed, u[..., 5:7], jnp.int32(t)
        )
        assert int(guard.alarms) >= 0
        assert bool(fired) or int(guard.catastrophe) != t + 1  # no defence makes a catastrophe


@given(changes=CONFIGURATIONS, seed=st.integers(0, 2**31))
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_configuration_is_refused_in_one_line_or_runs(changes: dict[str, Any], seed: int) -> None:
    chosen = _try(changes)
    if chosen is not None:
        _rollouts(chosen, seed)


STRUCTURES: list[dict[str, Any]] = [
    {},
    {"overseer.granularity": "trajectory", "catastrophe.kind": "consecutive", "overseer.latency": 3},
    {"overseer.detection": "event", "catastrophe.kind": "windowed", "catastrophe.window": 8, "overseer.delay": 3},
    {"overseer.feedback": "comparison", "catastrophe.kind": "hazard", "defences.block_rate": 0.5},
    {"overseer.feedback": "demonstration", "catastrophe.kind": "chain"},
    {"overseer.latency": 4, "overseer.staleness": "gradient", "catastrophe.kind": "hazard", "defences.rate_limit": 2.0},
]
WIDTH, STEPS = 100, 20


def _dynamic(rng: np.random.Generator) -> dict[str, Any]:
    """Random numbers, edges among them, for the fields that vary inside a compiled program."""

    def share() -> float:
        return float(rng.choice([0.0, 1.0, rng.uniform()]))

    visible = bool(rng.integers(2))
    return {
        "overseer.penalty": float(rng.choice([0.0, 1.0, 1e6])),
        "overseer.coverage": share(),
        "overseer.visible": visible,
        "overseer.signal_noise": share() / 2 if visible else 0.0,
        "overseer.audit_rate": share() if visible else 0.0,
        "overseer.miss_rate": share(),
        "overseer.false_positive_rate": share(),
        "overseer.vigilance": share(),
        "overseer.decay": share(),
        "overseer.onset": int(rng.integers(4)),
        "overseer.ramp": int(rng.integers(4)),
        "overseer.period": int(rng.integers(4)),
        "overseer.duty": share(),
        "overseer.budget": float(rng.choice([0, 3, np.inf])),
        "overseer.per_update": float(rng.choice([0, 1, np.inf])),
        "overseer.labels": float(rng.choice([0, 3, np.inf])),
        "catastrophe.threshold": int(rng.choice([1, 5, 2**31 - 1])),
        "catastrophe.hazard": share(),
        "catastrophe.step_back": share(),
        "catastrophe.loss_of_control": bool(rng.integers(2)),
    }


def _simulate(structure: dict[str, Any], seed: int) -> None:
    """So many random configurations through the compiled deployment, all in one call."""
    rng = np.random.default_rng(seed)
    fixed = {"agent.gradient": "sampled", "agent.num_envs": 2, "deployment.budget": STEPS, **structure}
    with lifted.precision("float64"):
        runs = [Run(resolve(BANDIT, {**fixed, **_dynamic(rng)}), i) for i in range(WIDTH)]
        stacked = lifted.stack([lifted.as_arrays(run.settings) for run in runs])
        tracks = [Track(i, run, CORRECTED) for i, run in enumerate(runs)]
        lanes = lifted.lanes([t.lane("bandit") | {"stop_removed": False, "limit": STEPS} for t in tracks])
        agents = lifted.initialise(BANDIT, stacked, np.zeros((WIDTH, 2), np.uint32))
        states = lifted.begin_phase(BANDIT, stacked, lanes, lifted.hand_over(BANDIT, stacked, agents))
        states, _ = lifted.advance(BANDIT, stacked, lanes, states, np.int32(2**31 - 1))
        assert (np.asarray(states.step) == STEPS).all()
        assert _finite((states.agent.params, states.clocks, states.desk, states.exact))
        assert (np.asarray(states.clocks.corrections) <= np.asarray(states.clocks.misbehaviours)).all()


@pytest.mark.parametrize("structure", STRUCTURES[:2], ids=["plain", "trajectories"])
def test_random_configurations_through_the_simulator(structure: dict[str, Any]) -> None:
    _simulate(structure, 0)


@pytest.mark.slow
@given(changes=CONFIGURATIONS, seed=st.integers(0, 2**31))
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_configurations(changes: dict[str, Any], seed: int) -> None:
    chosen = _try(changes)
    if chosen is not None:
        _rollouts(chosen, seed)


@pytest.mark.slow
@given(structure=st.sampled_from(STRUCTURES), seed=st.integers(0, 2**31))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_configurations_through_the_simulator(structure: dict[str, Any], seed: int) -> None:
    _simulate(structure, seed)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"overseer.coverage": 1.5}, "overseer.coverage: 1.5 is not allowed; use a number in [0, 1]"),
        ({"overseer.miss_rate": -0.1}, "overseer.miss_rate: -0.1 is not allowed; use a number in [0, 1]"),
        ({"overseer.latency": -1}, "overseer.latency: -1 is not allowed; use a whole number in [0, 10000]"),
        ({"overseer.delay": -2}, "overseer.delay: -2 is not allowed; use a whole number in [0, 4096]"),
        ({"overseer.budget": math.nan}, "overseer.budget: nan is not allowed; use a number in [0, inf]"),
        ({"overseer.labels": "many"}, "overseer.labels: 'many' is not allowed; use a number in [0, inf]"),
        (
            {"overseer.audit_rate": 0.1, "overseer.visible": False},
            "overseer.audit_rate: 0.1 is not allowed without a visible signal; "
            "set overseer.visible=true or overseer.audit_rate=0",
        ),
        (
            {"catastrophe.kind": "chain", "catastrophe.threshold": 0},
            "catastrophe.threshold: 0 is not allowed; use a whole number in [1, 2.14748e+09]",
        ),
        ({"catastrophe.window": 0}, "catastrophe.window: 0 is not allowed; use a whole number in [1, 4096]"),
        (
            {"catastrophe.kind": "event"},
            "catastrophe.kind: 'event' is not allowed: this scenario does not define an event",
        ),
        (
            {"tampering.kind": "reward"},
            "tampering.kind: 'reward' is not allowed: this scenario has no act that tampers",
        ),
        (
            {"overseer.vigilance": 0.5, "agent.gradient": "exact"},
            "overseer.vigilance: 0.5 is not allowed with the exact gradient; set agent.gradient=sampled",
        ),
        (
            {"overseer.plan_penalty": 1.0},
            "overseer.plan_penalty: 1.0 is not allowed: the agent has no hidden layer",
        ),
        (
            {"overseer.feedback": "comparison", "agent.num_envs": 1},
            "overseer.feedback: 'comparison' is not allowed with agent.num_envs=1; it compares two of them",
        ),
        (
            {"overseer.bonus": 1.0, "overseer.feedback": "comparison"},
            "overseer.bonus: 1.0 is not allowed with overseer.feedback=comparison",
        ),
        ({"defences.block_rate": 2}, "defences.block_rate: 2 is not allowed; use a number in [0, 1]"),
        (
            {"defences.shutdown": 1},
            "defences.shutdown: is unknown; did you mean 'defences.shutdown_after'?",
        ),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else "",
)
def test_bad_input_gets_one_clear_line(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(BANDIT, {"agent.gradient": "sampled", "agent.num_envs": 2, **changes})
    assert str(caught.value) == told
