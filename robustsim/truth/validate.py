"""The analytic ground truths, measured against the simulator: every row of `oracles.json`.

Closed forms agree to 1e-9, whole numbers exactly, sampled laws by the probability integral transform, and race
probabilities within 4 standard errors. A sampled check that fails is rerun once on fresh seeds; both are recorded.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.stats import kstest

from robustsim.sim import batched
from robustsim.sim.agents import handed_out, training_track
from robustsim.sim.cohort import run_through
from robustsim.sim.harm import last_catastrophe
from robustsim.sim.outcome import demand_of
from robustsim.sim.track import CORRECTED, Track
from robustsim.spec.loading import load
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run, Settings, for_training, resolve
from robustsim.truth import theory

Row = dict[str, Any]
RELATIVE = 1e-9


class Check(NamedTuple):
    """One comparison of one row."""

    table: str
    row: str
    quantity: str
    expected: Any
    measured: Any
    passed: bool


def oracles() -> dict[str, Any]:
    """The reference values, by table."""
    return json.loads(resources.files("robustsim.truth").joinpath("oracles.json").read_text())


def close(table: str, row: Row, quantity: str, expected: float, measured: float, tolerance: float = RELATIVE) -> Check:
    error = abs(measured - expected) / max(abs(expected), 1e-12)
    return Check(table, row_name(row), quantity, expected, measured, bool(error <= tolerance))


def equal(table: str, row: Row, quantity: str, expected: int | None, measured: int | None) -> Check:
    return Check(table, row_name(row), quantity, expected, measured, expected == measured)


def row_name(row: Row) -> str:
    keys = (
        "theta0",
        "p",
        "eta",
        "d",
        "eps",
        "a",
        "a_p",
        "c",
        "c_eta",
        "Delta",
        "beta",
        "alpha",
        "alpha_c",
        "logits",
        "f",
        "b",
    )
    return " ".join(
        f"{k}={row[k]:g}"
        for k in (*keys, "rho", "chi", "nu", "L", "n", "k", "C", "q", "window", "step_back", "hazard")
        if isinstance(row.get(k), int | float)
    )


# --- exact times from the simulator ---


def exact_times(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Runs the exact bandit once per configuration and returns its exact clocks and log odds at deployment start."""
    factory = load("bandit")
    with batched.precision("float64"):
        runs = [Run(resolve(factory, changes), 0) for changes in settings]
        results: list[dict[str, Any]] = [{} for _ in runs]
        groups: dict[Any, list[int]] = {}
        for i, run in enumerate(runs):
            groups.setdefault(jax.tree.structure(batched.as_arrays(run.settings)), []).append(i)
        for members in groups.values():
            agents = _trained(factory, runs, members)
            tracks = [Track(i, runs[i], CORRECTED) for i in members]
            for arm in run_through(factory, tracks, lambda t: agents[t.index], len(members)):  # noqa: B023
                assert arm.known is not None
                start = {"theta": arm.readings[0].log_odds(0), "last": arm.readings[-1]}
                results[arm.index] = arm.known | start
    return results


def _trained(factory: ScenarioFactory, runs: Sequence[Run], members: Sequence[int]) -> dict[int, Any]:
    """The agents that some runs are deployed with."""
    demands = {i: demand_of(runs[i].settings) for i in members}
    tracks = [training_track(i, runs[i], (demands[i],)) for i in members]
    ended = run_through(factory, tracks, lambda _: None, len(members))
    return {track.index: handed_out(track, demands[track.index]).agent for track in ended}


def step(value: float) -> int | None:
    return None if value < 0 else int(value)


def sampled(
    settings: Mapping[str, Any], runs: int, first_seed: int, budget: int, on: bool = False
) -> dict[str, np.ndarray]:
    """Many runs of one configuration through the corrected arm, without evaluations: each clock as an array.

    Args:
      on: continue after removal, up to the budget.
    """
    factory = load("bandit")
    with batched.precision("float64"):
        chosen = resolve(factory, {**settings, "deployment.budget": budget})

        def stacked(settings: Settings) -> Settings:
            one = batched.as_arrays(settings)
            return jax.tree.map(lambda x: np.broadcast_to(x, (runs, *x.shape)), one)

        tracks = [Track(i, Run(chosen, first_seed + i), CORRECTED) for i in range(runs)]
        tables = [t.control(factory.name, True) | {"stop_removed": not on, "limit": budget} for t in tracks]
        controls, many, keys = batched.controls(tables), stacked(chosen), np.zeros((runs, 2), np.uint32)
        agents = batched.initialise(factory, stacked(for_training(chosen)), keys)
        states = batched.begin_phase(factory, many, controls, batched.deploy(factory, many, keys, agents))
        states, _ = batched.advance(factory, many, controls, states, np.int32(2**31 - 1))
        assert states.known is not None
        weights = np.asarray(states.agent.params)[:, 0]  # of the watched context, whose features are (1, 0)
        return {
            "steps": np.asarray(states.known.both),
            "corrections": np.asarray(states.tally["corrections"]),
            "catastrophe": np.asarray(states.harm.catastrophe),
            "defended": np.asarray(last_catastrophe(states.harm)),
            "theta": weights[:, -1] - weights[:, 0],
        }


# --- the tables ---


def _bandit(rows: list[Row]) -> Iterator[Check]:
    settings = [
        {
            "agent.initial_logit": r["theta0"],
            "overseer.penalty": r["p"],
            "agent.learning_rate": r["eta"],
            "overseer.coverage": r["d"],
            "evaluation.threshold": r["eps"],
            "agent.logits": r["c"],
        }
        for r in rows
    ]
    forms: dict[str, Callable[[float, float, float], float]] = {
        "T_ode": theory.steps_ode,
        "T_2nd": theory.steps_second_order,
        "T_3rd": theory.steps_third_order,
        "M_ode": theory.misbehaviours_ode,
        "V_ode": theory.variance_ode,
    }
    for r, got in zip(rows, exact_times(settings), strict=True):
        yield equal("bandit", r, "T_disc", r["T_disc"], step(got["both"]))
        yield close("bandit", r, "M_disc", r["M_disc"], got["misbehaviours"])
        yield close("bandit", r, "V_disc", r["V_disc"], got["variance"])
        for name, form in forms.items():
            yield close("bandit", r, name, r[name], form(r["theta0"], r["eps"], r["a"]))


def unit(theta0: float, a: float, **changes: Any) -> Row:
    """The exact bandit with step `a`: two logits, learning rate 1/2, penalty a."""
    return {"agent.initial_logit": theta0, "overseer.penalty": a, "agent.learning_rate": 0.5, **changes}


def _watched_ode(rows: list[Row]) -> Iterator[Check]:
    settings = [unit(r["theta0"], 1, **{"env.sharing": r["rho"], "deployment.budget": 1_000_000}) for r in rows]
    for r, got in zip(rows, exact_times(settings), strict=True):
        theta0, rho = r["theta0"], r["rho"]
        yield close("watched_ode", r, "T_W", r["T_W"], theory.steps_ode(theta0, 0.05, 1))
        yield close("watched_ode", r, "T_U", r["T_U"], theory.unwatched_steps_ode(theta0, 0.05, 1, rho))
        rate = theory.unwatched_rate_at_watched_removal(theta0, 0.05, rho)
        yield close("watched_ode", r, "piU_at_TW", r["piU_at_TW"], rate)
        # Discrete and continuous dynamics differ by the log term, at most 2 steps here, plus rounding up.
        for quantity, clock in (("T_W", "watched"), ("T_U", "unwatched")):
            gap = abs(got[clock] - r[quantity])
            ok = gap <= 3 + 1e-4 * r[quantity]
            yield Check("watched_ode", row_name(r), f"{quantity} simulated", r[quantity], step(got[clock]), bool(ok))


def _watched_disc(rows: list[Row]) -> Iterator[Check]:
    settings = [
        unit(
            r["theta0"],
            r["a"],
            **{"env.sharing": r["rho"], "overseer.audit_rate": r["chi"], "evaluation.threshold": r["eps"]},
        )
        for r in rows
    ]
    for r, got in zip(rows, exact_times(settings), strict=True):
        yield equal("watched_disc", r, "T_W", r["T_W"], step(got["watched"]))
        yield equal("watched_disc", r, "T_U", r["T_U"], step(got["unwatched"]))
    # The unwatched rate at the time of watched removal: the same runs, stopped at that step.
    stops = [
        {**s, "deployment.budget": r["T_W"], "evaluation.threshold": 1e-9} for s, r in zip(settings, rows, strict=True)
    ]
    for r, got in zip(rows, exact_times(stops), strict=True):
        yield close("watched_disc", r, "piU_at_TW", r["piU_at_TW"], got["last"].rates[0])


def _latency(rows: list[Row]) -> Iterator[Check]:
    for late, name in (("gradient", "T_stale_grad"), ("action", "T_stale_action")):
        settings = [unit(r["theta0"], r["a"], **{"overseer.latency": r["L"], "overseer.staleness": late}) for r in rows]
        for r, got in zip(rows, exact_times(settings), strict=True):
            yield equal("latency", r, name, r[name], step(got["both"]))


def _pretrain(rows: list[Row]) -> Iterator[Check]:
    kinds = {"T_pg": ("reward", "penalty"), "T_ce_pg": ("demonstration", "penalty"), "T_ce_ce": ("demonstration",) * 2}
    for quantity, (signal, feedback) in kinds.items():
        settings = [
            unit(0, 1, **{"training.steps": r["n"], "training.signal": signal, "overseer.feedback": feedback})
            for r in rows
        ]
        for r, got in zip(rows, exact_times(settings), strict=True):
            yield equal("pretrain", r, quantity, r[quantity], step(got["both"]))
            if quantity != "T_ce_ce":
                name = {"T_pg": "theta_pg", "T_ce_pg": "theta_ce"}[quantity]
                # After n steps theta has accumulated n float64 rounding errors, hence the wider tolerance.
                yield close("pretrain", r, name, r[name], got["theta"], 1e-8)


def _anchored(table: str, setting: str, rows: list[Row]) -> Iterator[Check]:
    settings = [
        unit(
            r["theta0"],
            r["Delta"],
            **{setting: r["beta"], "evaluation.threshold": r["eps"], "deployment.budget": 50_000},
        )
        for r in rows
    ]
    for r, got in zip(rows, exact_times(settings), strict=True):
        yield equal(table, r, "T", r["T"], step(got["both"]))


def _adam(rows: list[Row]) -> Iterator[Check]:
    settings = [
        {
            "agent.initial_logit": r["theta0"],
            "agent.learning_rate": r["alpha"],
            "overseer.penalty": r["Delta"],
            "agent.logits": r["logits"],
            "agent.optimizer": "adam",
        }
        for r in rows
    ]
    for r, got in zip(rows, exact_times(settings), strict=True):
        yield equal("adam_T", r, "T", r["T"], step(got["both"]))


def _critic_lag(rows: list[Row]) -> Iterator[Check]:
    settings = [
        unit(r["theta0"], r["a"], **{"agent.critic_rate": r["alpha_c"], "evaluation.threshold": r["eps"]}) for r in rows
    ]
    for r, got in zip(rows, exact_times(settings), strict=True):
        yield close("critic_lag", r, "T", r["T"], theory.slow_critic_steps(r["theta0"], r["eps"], r["a"], r["alpha_c"]))
        ok = abs(got["both"] - r["T"]) <= 1
        yield Check(
            "critic_lag", row_name(r), "T simulated (continuous value, within 1)", r["T"], step(got["both"]), bool(ok)
        )


def _reinforce(table: str, praise: bool, rows: list[Row], runs: int) -> Iterator[Check]:
    for r in rows:
        chances = theory.reinforce_chances(r["theta0"], r["eps"], r["a_p"], r["d"], praise)
        yield equal(table, r, "N", r["N"], len(chances))
        yield close(table, r, "E[T]", r["ET"], float((1 / chances).sum()))
        yield close(table, r, "SD[T]", r["SDT"], float(np.sqrt(((1 - chances) / chances**2).sum())))
        yield from _law(table, r, praise, chances, runs)


def _law(table: str, row: Row, praise: bool, chances: np.ndarray, runs: int) -> Iterator[Check]:
    """Tests simulated removal times against their exact distribution, and the number of corrections for equality."""
    settings = {
        "agent.gradient": "sampled",
        "agent.initial_logit": row["theta0"],
        "agent.learning_rate": 0.5,
        "overseer.coverage": row["d"],
        "overseer.penalty": 0.0 if praise else row["a_p"],
        "overseer.bonus": row["a_p"] if praise else 0.0,
        "evaluation.threshold": row["eps"],
    }
    longest = int((1 / chances).sum() + 12 * np.sqrt(((1 - chances) / chances**2).sum())) + 10
    mass = theory.geometric_sum_distribution(chances, longest)
    below = np.concatenate([[0.0], np.cumsum(mass)])
    tries: list[float] = []
    for attempt in range(2):
        got = sampled(settings, runs, attempt * runs, longest)
        steps = np.where(got["steps"] < 0, longest, got["steps"])
        spread = np.random.default_rng(attempt).uniform(size=runs)
        tries.append(float(kstest(below[steps] + spread * mass[steps], "uniform").pvalue))
        if attempt == 0 and not praise:
            penalised = np.unique(got["corrections"])
            yield Check(
                table, row_name(row), "N simulated", [row["N"]], penalised.tolist(), penalised.tolist() == [row["N"]]
            )
        if tries[-1] > 1e-4:
            break
    yield Check(table, row_name(row), f"PIT p over {runs} runs", "> 1e-4", tries, tries[-1] > 1e-4)


def _race_reinforce(rows: list[Row], runs: int) -> Iterator[Check]:
    for r in rows:
        yield close("race_reinforce", r, "P_cat", r["P_cat"], theory.race_reinforce(r["N"], r["k"], r["d"]))
        chances = theory.reinforce_chances(r["theta0"], r["eps"], r["a_p"], r["d"])
        settings = {
            "agent.gradient": "sampled",
            "agent.initial_logit": r["theta0"],
            "overseer.coverage": r["d"],
            "overseer.penalty": r["a_p"],
            "evaluation.threshold": r["eps"],
            "catastrophe.threshold": r["k"],
        }
        yield race("race_reinforce", r, r["P_cat"], settings, int((1 / chances).sum() * 4), runs)


def race(
    table: str, row: Row, expected: float, settings: Row, budget: int, runs: int, clock: str = "catastrophe"
) -> Check:
    """The share of simulated runs in which the catastrophe comes first, within 4 standard errors."""
    tries: list[float] = []
    error = 4 * np.sqrt(expected * (1 - expected) / runs) + 1 / runs
    for attempt in range(2):
        got = sampled(settings, runs, attempt * runs, budget)
        removed = np.where(got["steps"] < 0, np.iinfo(np.int32).max, got["steps"])
        tries.append(float(((got[clock] >= 0) & (got[clock] <= removed)).mean()))
        if abs(tries[-1] - expected) <= error:
            break
    return Check(
        table, row_name(row), f"P_cat over {runs} runs", expected, tries, bool(abs(tries[-1] - expected) <= error)
    )


def _race_expected(tables: dict[str, dict[str, float]], runs: int) -> Iterator[Check]:
    rates = theory.trajectory(4, 0.05, 1)
    exact: dict[str, Callable[[str], float]] = {
        "cumulative": lambda k: theory.race_cumulative(rates, int(k)),
        "consecutive": lambda k: theory.race_consecutive(rates, int(k)),
        "hazard": lambda h: theory.race_hazard(rates, float(h)),
    }
    for kind, values in tables.items():
        setting = "catastrophe.hazard" if kind == "hazard" else "catastrophe.threshold"
        for value, expected in values.items():
            row = {"theta0": 4, "hazard" if kind == "hazard" else "k": float(value)}
            table = f"race_expected_gradient.{kind}"
            # The recursion computes 1 - P, so the tolerance of 1e-9 applies to that.
            yield Check(
                table,
                row_name(row),
                "P_cat",
                expected,
                exact[kind](value),
                abs(exact[kind](value) - expected) <= RELATIVE,
            )
            settings = unit(4, 1, **{"catastrophe.kind": kind, setting: float(value)})
            yield race(table, row, expected, settings, 200, runs)


def checks(runs: int, race_runs: int) -> Iterator[Check]:
    """Every check of every table of `oracles.json`.

    Args:
      runs: behind the check of a sampled law.
      race_runs: behind the check of a race probability.
    """
    o = oracles()
    yield from _bandit(o["bandit"])
    yield from _watched_ode(o["watched_ode"])
    yield from _watched_disc(o["watched_disc"])
    yield from _latency(o["latency"])
    yield from _pretrain(o["pretrain"])
    yield from _anchored("entropy_T", "agent.entropy", o["entropy_T"])
    yield from _anchored("kl_anchor_T", "treatment.kl_anchor", o["kl_anchor_T"])
    yield from _adam(o["adam_T"])
    yield from _critic_lag(o["critic_lag"])
    yield from _reinforce("reinforce_penalty", False, o["reinforce_penalty"], runs)
    yield from _reinforce("reinforce_praise", True, o["reinforce_praise"], runs)
    yield from _race_reinforce(o["race_reinforce"], race_runs)
    yield from _race_expected(o["race_expected_gradient_theta4_a1_eps05"], race_runs)
