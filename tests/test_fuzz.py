"""Random overseers, catastrophes and defences, edges included: one clear line or a finite result, and an end to it."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complains
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustsim.errors import UserError
from robustsim.fields import declared
from robustsim.oversight import defences, overseer
from robustsim.oversight.catastrophe import Catastrophe, Harm
from robustsim.oversight.defences import Defences
from robustsim.oversight.overseer import Overseer
from robustsim.oversight.protocol import Shift, Sight, Site
from robustsim.parts import bundled
from robustsim.sim import batched
from robustsim.sim.track import CORRECTED, Track
from robustsim.spec.loading import load
from robustsim.spec.settings import Run, Settings, for_training, names, resolve

RULES = {f.name: f.metadata for kind in bundled("catastrophe") for f in declared(Catastrophe(kind))}
RULE_OF = {"catastrophe.hazard": "hazard", "catastrophe.step_back": "chain", "catastrophe.window": "windowed"}
FIELDS: dict[str, Any] = {f"overseer.{f.name}": f.metadata for f in declared(Overseer())}
FIELDS |= {f"defences.{f.name}": f.metadata for f in declared(Defences())}
FIELDS |= {f"catastrophe.{name}": meta for name, meta in RULES.items()}
FIELDS["catastrophe.kind"] = {"options": bundled("catastrophe")}
WRONG = st.sampled_from([math.nan, math.inf, -math.inf, -1, 1.5, 2**40, "x", "", None, [], True, b"1"])


def _allowed(meta: Any) -> st.SearchStrategy[Any]:
    if "options" in meta:
        return st.sampled_from(meta["options"])
    if meta["type"] is bool:
        return st.booleans()
    low, high = meta["low"], meta["high"]
    if meta["type"] is int:
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
        kind = {"catastrophe.kind": next((RULE_OF[name] for name in changes if name in RULE_OF), "cumulative")}
        return resolve(BANDIT, {"agent.gradient": "sampled", "agent.num_envs": 2, **kind, **changes})
    except UserError as error:
        told = str(error)
        assert "\n" not in told
        assert told.split(":")[0].split(" ")[0] in {*names(BANDIT), *FIELDS}
        return None


NAN = ("policy_moved", "belief_", "caught_")  # no training is recorded, and there is no head


def _finite(tree: Any) -> bool:
    leaves = [jnp.asarray(x) for x in jax.tree.leaves(tree)]
    return all(bool(jnp.isfinite(x).all()) for x in leaves if jnp.issubdtype(x.dtype, jnp.floating))


def _sight(u: jax.Array, watched: jax.Array, signal: jax.Array) -> Sight:
    bad, ended = u[..., 2] < 0.4, u[..., 3] < 0.6
    return Sight(
        misbehaved=bad,
        clean=ended & ~bad,
        dirty=ended & bad,
        watched=watched,
        signal=signal,
        ended=ended,
        obs=u[..., :1],
        action=(u[..., 0] < 0.5).astype(jnp.int32),
        demonstrated=None,
        hidden=None,
    )


def _rollouts(chosen: Settings, seed: int) -> None:
    """Two rollouts through every pure function, with nothing but finite numbers and possible counts."""
    o, rule, steps, envs = chosen.overseer.canonical(), chosen.catastrophe.canonical(), 5, 2
    watcher = o.init(jax.random.key(seed), Site(envs, 1, 2, 0))
    spent = {name: jnp.int32(0) for name in ("corrections", "false_alarms", "labels")}
    state, guard = rule.init(), defences.begin(rule.init())
    for t in range(2):
        u = jnp.asarray(np.random.default_rng([seed, t]).uniform(size=(steps, envs, 8)).astype(np.float32))
        today = o.today(watcher, jnp.int32(t))
        watch = today.watch(u)
        sight = _sight(u, watch.watched, watch.signal)
        active = o.on_duty(jnp.int32(t))
        watcher, given_ = today.respond(watcher, Shift(active, spent, u, jax.random.key(t)), sight)
        penalties = int(given_.caught.sum() + given_.false_alarm.sum())
        spent = {
            "corrections": spent["corrections"] + given_.caught.sum(dtype=jnp.int32),
            "false_alarms": spent["false_alarms"] + given_.false_alarm.sum(dtype=jnp.int32),
            "labels": spent["labels"] + given_.labels,
        }
        assert penalties <= o.per_update
        budget = np.float32(max(o.budget, 0))  # as a run counts
        assert int(spent["corrections"] + spent["false_alarms"]) <= budget
        if math.isfinite(o.labels) and o.feedback != "comparison":  # comparisons are bought by the rollout
            assert int(spent["labels"]) <= math.ceil(o.labels)
        expected = overseer.expect(today, active)
        assert _finite((given_.arrives, given_.opinion, watcher, expected))
        assert float(expected.looks.sum()) == pytest.approx(1, abs=1e-6)
        assert 0 <= float(expected.watched.min()) <= float(expected.watched.max()) <= 1 + 1e-6
        harm = Harm(sight.misbehaved, sight.clean, u[..., 4])
        before, (state, fired, _) = state, rule.advance(state, harm)
        assert state.shape == before.shape
        guard = defences.defend(
            chosen.defences or Defences(), guard, rule, harm, given_.noticed, u[..., 5:7], jnp.int32(t)
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
        "catastrophe.loss_of_control": bool(rng.integers(2)),
    }


def _simulate(structure: dict[str, Any], seed: int) -> None:
    """So many random configurations through the compiled deployment, all in one call."""
    rng = np.random.default_rng(seed)
    fixed = {"agent.gradient": "sampled", "agent.num_envs": 2, "deployment.budget": STEPS, **structure}
    with batched.precision("float64"):
        chance = {"hazard": "catastrophe.hazard", "chain": "catastrophe.step_back"}.get(fixed.get("catastrophe.kind"))
        extra = {chance: float(rng.uniform())} if chance else {}
        runs = [Run(resolve(BANDIT, {**fixed, **extra, **_dynamic(rng)}), i) for i in range(WIDTH)]
        stacked, training = (
            batched.stack([batched.as_arrays(of(run.settings)) for run in runs]) for of in (lambda s: s, for_training)
        )
        tracks = [Track(i, run, CORRECTED) for i, run in enumerate(runs)]
        told = [t.control("bandit", True) | {"stop_removed": False, "limit": STEPS} for t in tracks]
        controls, keys = batched.controls(told), np.zeros((WIDTH, 2), np.uint32)
        agents = batched.deploy(BANDIT, stacked, keys, batched.initialise(BANDIT, training, keys))
        states = batched.begin_phase(BANDIT, stacked, controls, agents)
        states, _ = batched.advance(BANDIT, stacked, controls, states, np.int32(2**31 - 1))
        assert (np.asarray(states.step) == STEPS).all()
        tally = {name: x for name, x in states.tally.items() if not name.startswith(NAN)}
        assert _finite((states.agent.params, tally, states.overseer, states.known))
        assert (np.asarray(states.tally["corrections"]) <= np.asarray(states.tally["misbehaviours"])).all()


@pytest.mark.parametrize("structure", STRUCTURES[:2], ids=["plain", "trajectories"])
def test_random_configurations_through_the_simulator(structure: dict[str, Any]) -> None:
    _simulate(structure, 0)


@pytest.mark.slow
@pytest.mark.same_keys  # JAX's check of keys takes more than half of the time; the fast test above has it
@pytest.mark.timeout(1800)
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
    ("changes", "parts"),
    [
        ({"overseer.coverage": 1.5}, ("overseer.coverage", 1.5, "[0, 1]")),
        ({"overseer.miss_rate": -0.1}, ("overseer.miss_rate", -0.1, "[0, 1]")),
        ({"overseer.latency": -1}, ("overseer.latency", -1, "[0, 10000]")),
        ({"overseer.delay": -2}, ("overseer.delay", -2, "[0, 4096]")),
        ({"overseer.budget": math.nan}, ("overseer.budget", "nan", "[0, inf]")),
        ({"overseer.labels": "many"}, ("overseer.labels", "'many'", "[0, inf]")),
        ({"overseer.audit_rate": 0.1, "overseer.visible": False}, ("overseer.audit_rate", 0.1, "overseer.visible")),
        ({"catastrophe.kind": "chain", "catastrophe.threshold": 0}, ("catastrophe.threshold", 0)),
        ({"catastrophe.kind": "windowed", "catastrophe.window": 0}, ("catastrophe.window", 0, "[1, 4096]")),
        ({"catastrophe.window": 3}, ("catastrophe.window",)),  # the cumulative rule has none
        ({"catastrophe.kind": "chian"}, ("catastrophe.kind", "'chian'", "'chain'")),
        ({"catastrophe.kind": "event"}, ("catastrophe.kind", "'event'")),
        ({"tampering.kind": "reward"}, ("tampering.kind", "'reward'")),
        ({"overseer.vigilance": 0.5, "agent.gradient": "exact"}, ("overseer.vigilance", 0.5, "agent.gradient")),
        ({"overseer.plan_penalty": 1.0}, ("overseer.plan_penalty", 1.0)),
        ({"overseer.feedback": "comparison", "agent.num_envs": 1}, ("overseer.feedback", "agent.num_envs=1")),
        ({"overseer.bonus": 1.0, "overseer.feedback": "comparison"}, ("overseer.bonus", 1.0, "overseer.feedback")),
        ({"defences.block_rate": 2}, ("defences.block_rate", 2, "[0, 1]")),
        ({"defences.shutdown": 1}, ("defences.shutdown", "'defences.shutdown_after'")),
        ({"agent.kind": "ppoo"}, ("agent.kind", "'ppoo'", "'ppo'")),
        ({"agent.clip": 0.1}, ("agent.clip",)),  # the tabular agent has none
        ({"treatment.kl_anchor": -1}, ("treatment.kl_anchor", -1)),
        ({"treatment.kl_ancor": 1}, ("treatment.kl_ancor", "'treatment.kl_anchor'")),
        ({"online.learning_rate": 0}, ("online.learning_rate", 0)),
        ({"online.optimizer": "adma"}, ("online.optimizer", "'adma'")),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else "",
)
def test_bad_input_gets_one_clear_line(changes: dict[str, Any], parts: tuple[Any, ...]) -> None:
    with complains(*parts):
        resolve(BANDIT, {"agent.gradient": "sampled", "agent.num_envs": 2, **changes})
