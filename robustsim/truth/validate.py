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
from robustsim.sim.follow import demand_of
from robustsim.sim.harm import last_catastrophe
from robustsim.sim.track import CORRECTED, Track
from robustsim.spec.loading import load
from robustsim.spec.settings import Run, Settings, for_training, resolve
from robustsim.truth import theory

Row = dict[str, Any]
RELATIVE = 1e-9
SAMPLED = {"agent.gradient": "sampled"}
NAMES = {  # symbols of the tables, in the order in which the name of a row lists them: the setting, if there is one
    "theta0": "agent.initial_logit",
    "p": "overseer.penalty",
    "eta": "agent.learning_rate",
    "d": "overseer.coverage",
    "eps": "evaluation.threshold",
    "a": "overseer.penalty",
    "a_p": "overseer.penalty",
    "c": "agent.logits",
    "c_eta": "",
    "Delta": "overseer.penalty",
    "beta": "",
    "alpha": "agent.learning_rate",
    "alpha_c": "agent.critic_rate",
    "logits": "agent.logits",
    "f": "overseer.false_positive_rate",
    "b": "env.bonus",
    "rho": "env.sharing",
    "chi": "overseer.audit_rate",
    "nu": "overseer.signal_noise",
    "L": "overseer.latency",
    "n": "training.steps",
    "k": "catastrophe.threshold",
    "C": "overseer.budget",
    "q": "defences.block_rate",
    "window": "catastrophe.window",
    "step_back": "catastrophe.step_back",
    "hazard": "catastrophe.hazard",
    "kind": "catastrophe.kind",
}


class Check(NamedTuple):
    """One comparison of one row."""

    table: str
    row: str
    quantity: str
    expected: Any
    measured: Any
    passed: bool


def oracles(name: str = "oracles") -> dict[str, Any]:
    """The reference values of a file, by table."""
    return json.loads(resources.files("robustsim.truth").joinpath(f"{name}.json").read_text())


def judged(table: str, row: Row, quantity: str, expected: Any, measured: Any, passed: Any) -> Check:
    name = " ".join(f"{k}={row[k]:g}" for k in NAMES if isinstance(row.get(k), int | float))
    return Check(table, name, quantity, expected, measured, bool(passed))


def close(table: str, row: Row, quantity: str, expected: float, measured: float, tolerance: float = RELATIVE) -> Check:
    error = abs(measured - expected) / max(abs(expected), 1e-12)
    return judged(table, row, quantity, expected, measured, error <= tolerance)


def equal(table: str, row: Row, quantity: str, expected: Any, measured: Any) -> Check:
    return judged(table, row, quantity, expected, measured, expected == measured)


def settings_of(row: Row, **changes: Any) -> Row:
    """The bandit of a row: two logits and learning rate 1/2, so that the penalty is the step a, if it says no more."""
    budget = {"deployment.budget": row["budget"]} if "budget" in row else {}
    return {"agent.learning_rate": 0.5} | {NAMES[k]: v for k, v in row.items() if NAMES.get(k)} | budget | changes


def four_errors(share: float, runs: int) -> float:
    """Four standard errors of the share of `runs` in which something of this probability happens."""
    return 4 * np.sqrt(share * (1 - share) / runs)


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
            demands = {i: demand_of(runs[i].settings) for i in members}
            training = [training_track(i, runs[i], (demands[i],)) for i in members]
            ended = run_through(factory, training, lambda _: None, len(members))
            agents = {track.index: handed_out(track, demands[track.index]).agent for track in ended}
            tracks = [Track(i, runs[i], CORRECTED) for i in members]
            for arm in run_through(factory, tracks, lambda t: agents[t.index], len(members)):  # noqa: B023
                assert arm.known is not None
                start = {"theta": arm.readings[0].log_odds(0), "last": arm.readings[-1]}
                results[arm.index] = arm.known | start
    return results


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
            "unknowing": np.asarray(states.tally["unknowing"]),
            "catastrophe": np.asarray(states.harm.catastrophe),
            "defended": np.asarray(last_catastrophe(states.harm)),
            "theta": weights[:, -1] - weights[:, 0],
        }


# --- the tables ---


def exact(table: str, rows: list[Row], clocks: Mapping[str, str], changes: Row | None = None) -> Iterator[Check]:
    """Times of the exact gradient, in whole gradient steps; null if there is no removal within the budget.

    Args:
      clocks: by quantity, the clock that measures it; rows may leave quantities out.
      changes: settings that the rows have no symbols for.
    """
    settings = [settings_of(r, **changes or {}) for r in rows]
    for r, got in zip(rows, exact_times(settings), strict=True):
        for quantity, clock in clocks.items():
            if quantity in r:
                yield equal(table, r, quantity, r[quantity], step(got[clock]))


def _bandit(rows: list[Row]) -> Iterator[Check]:
    settings = [settings_of({k: v for k, v in r.items() if k != "a"}) for r in rows]  # a follows from p, eta and d
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


def _watched_ode(rows: list[Row]) -> Iterator[Check]:
    settings = [settings_of(r | {"a": 1}, **{"deployment.budget": 1_000_000}) for r in rows]
    for r, got in zip(rows, exact_times(settings), strict=True):
        theta0, rho = r["theta0"], r["rho"]
        yield close("watched_ode", r, "T_W", r["T_W"], theory.steps_ode(theta0, 0.05, 1))
        yield close("watched_ode", r, "T_U", r["T_U"], theory.unwatched_steps_ode(theta0, 0.05, 1, rho))
        rate = theory.unwatched_rate_at_watched_removal(theta0, 0.05, rho)
        yield close("watched_ode", r, "piU_at_TW", r["piU_at_TW"], rate)
        # Discrete and continuous dynamics differ by the log term, at most 2 steps here, plus rounding up.
        for quantity, clock in (("T_W", "watched"), ("T_U", "unwatched")):
            ok = abs(got[clock] - r[quantity]) <= 3 + 1e-4 * r[quantity]
            yield judged("watched_ode", r, f"{quantity} simulated", r[quantity], step(got[clock]), ok)


def _watched_disc(rows: list[Row]) -> Iterator[Check]:
    yield from exact("watched_disc", rows, {"T_W": "watched", "T_U": "unwatched"})
    # The unwatched rate at the time of watched removal: the same runs, stopped at that step.
    stops = [settings_of(r, **{"deployment.budget": r["T_W"], "evaluation.threshold": 1e-9}) for r in rows]
    for r, got in zip(rows, exact_times(stops), strict=True):
        yield close("watched_disc", r, "piU_at_TW", r["piU_at_TW"], got["last"].rates[0])


def _latency(rows: list[Row]) -> Iterator[Check]:
    for late in ("grad", "action"):
        stale = {"overseer.staleness": "gradient" if late == "grad" else late}
        yield from exact("latency", rows, {f"T_stale_{late}": "both"}, stale)


def _pretrain(rows: list[Row]) -> Iterator[Check]:
    for quantity, theta, signal, feedback in (
        ("T_pg", "theta_pg", "reward", "penalty"),
        ("T_ce_pg", "theta_ce", "demonstration", "penalty"),
        ("T_ce_ce", "", "demonstration", "demonstration"),
    ):
        kind = {"training.signal": signal, "overseer.feedback": feedback}
        settings = [settings_of(r | {"theta0": 0, "a": 1}, **kind) for r in rows]
        for r, got in zip(rows, exact_times(settings), strict=True):
            yield equal("pretrain", r, quantity, r[quantity], step(got["both"]))
            if theta:
                # After n steps theta has accumulated n float64 rounding errors, hence the wider tolerance.
                yield close("pretrain", r, theta, r[theta], got["theta"], 1e-8)


def _anchored(table: str, setting: str, rows: list[Row]) -> Iterator[Check]:
    settings = [settings_of(r, **{setting: r["beta"], "deployment.budget": 50_000}) for r in rows]
    for r, got in zip(rows, exact_times(settings), strict=True):
        yield equal(table, r, "T", r["T"], step(got["both"]))


def _critic_lag(rows: list[Row]) -> Iterator[Check]:
    for r, got in zip(rows, exact_times([settings_of(r) for r in rows]), strict=True):
        yield close("critic_lag", r, "T", r["T"], theory.slow_critic_steps(r["theta0"], r["eps"], r["a"], r["alpha_c"]))
        quantity = "T simulated (continuous value, within 1)"
        yield judged("critic_lag", r, quantity, r["T"], step(got["both"]), abs(got["both"] - r["T"]) <= 1)


def _reinforce(table: str, rows: list[Row], runs: int) -> Iterator[Check]:
    by_bonus = table == "reinforce_praise"
    for r in rows:
        chances = theory.reinforce_chances(r["theta0"], r["eps"], r["a_p"], r["d"], by_bonus)
        yield equal(table, r, "N", r["N"], len(chances))
        yield close(table, r, "E[T]", r["ET"], float((1 / chances).sum()))
        yield close(table, r, "SD[T]", r["SDT"], float(np.sqrt(((1 - chances) / chances**2).sum())))
        yield from _law(table, r, by_bonus, chances, runs)


def _law(table: str, row: Row, by_bonus: bool, chances: np.ndarray, runs: int) -> Iterator[Check]:
    """Tests simulated removal times against their exact distribution, and the number of corrections for equality."""
    bonus = {"overseer.penalty": 0.0, "overseer.bonus": row["a_p"]} if by_bonus else {}
    longest = int((1 / chances).sum() + 12 * np.sqrt(((1 - chances) / chances**2).sum())) + 10
    mass = theory.geometric_sum_distribution(chances, longest)
    below = np.concatenate([[0.0], np.cumsum(mass)])
    tries: list[float] = []
    for attempt in range(2):
        got = sampled(settings_of(row, **SAMPLED, **bonus), runs, attempt * runs, longest)
        steps = np.where(got["steps"] < 0, longest, got["steps"])
        spread = np.random.default_rng(attempt).uniform(size=runs)
        tries.append(float(kstest(below[steps] + spread * mass[steps], "uniform").pvalue))
        if attempt == 0 and not by_bonus:
            yield equal(table, row, "N simulated", [row["N"]], np.unique(got["corrections"]).tolist())
        if tries[-1] > 1e-4:
            break
    yield judged(table, row, f"PIT p over {runs} runs", "> 1e-4", tries, tries[-1] > 1e-4)


def _race_reinforce(rows: list[Row], runs: int) -> Iterator[Check]:
    for r in rows:
        yield close("race_reinforce", r, "P_cat", r["P_cat"], theory.race_reinforce(r["N"], r["k"], r["d"]))
        chances = theory.reinforce_chances(r["theta0"], r["eps"], r["a_p"], r["d"])
        settings = settings_of(r, **SAMPLED)
        yield race("race_reinforce", r, r["P_cat"], settings, int((1 / chances).sum() * 4), runs)


def race(
    table: str, row: Row, expected: float, settings: Row, budget: int, runs: int, clock: str = "catastrophe"
) -> Check:
    """The share of simulated runs in which the catastrophe comes first, within 4 standard errors."""
    tries: list[float] = []
    error = four_errors(expected, runs) + 1 / runs
    for attempt in range(2):
        got = sampled(settings, runs, attempt * runs, budget)
        removed = np.where(got["steps"] < 0, np.iinfo(np.int32).max, got["steps"])
        tries.append(float(((got[clock] >= 0) & (got[clock] <= removed)).mean()))
        if abs(tries[-1] - expected) <= error:
            break
    return judged(table, row, f"P_cat over {runs} runs", expected, tries, abs(tries[-1] - expected) <= error)


def _race_expected(tables: dict[str, dict[str, float]], runs: int) -> Iterator[Check]:
    rates = theory.trajectory(4, 0.05, 1)
    laws: dict[str, Callable[[str], float]] = {
        "cumulative": lambda k: theory.race_cumulative(rates, int(k)),
        "consecutive": lambda k: theory.race_consecutive(rates, int(k)),
        "hazard": lambda h: theory.race_hazard(rates, float(h)),
    }
    for kind, values in tables.items():
        table = f"race_expected_gradient.{kind}"
        for value, expected in values.items():
            row = {"theta0": 4, "hazard" if kind == "hazard" else "k": float(value)}
            # The recursion computes 1 - P, so the tolerance of 1e-9 applies to that.
            found = laws[kind](value)
            yield judged(table, row, "P_cat", expected, found, abs(found - expected) <= RELATIVE)
            yield race(table, row, expected, settings_of(row | {"a": 1, "kind": kind}), 200, runs)


TABLES: dict[str, Callable[[Any, int, int], Iterator[Check]]] = {
    "bandit": lambda rows, *_: _bandit(rows),
    "watched_ode": lambda rows, *_: _watched_ode(rows),
    "watched_disc": lambda rows, *_: _watched_disc(rows),
    "latency": lambda rows, *_: _latency(rows),
    "pretrain": lambda rows, *_: _pretrain(rows),
    "entropy_T": lambda rows, *_: _anchored("entropy_T", "agent.entropy", rows),
    "kl_anchor_T": lambda rows, *_: _anchored("kl_anchor_T", "treatment.kl_anchor", rows),
    "adam_T": lambda rows, *_: exact("adam_T", rows, {"T": "both"}, {"agent.optimizer": "adam"}),
    "critic_lag": lambda rows, *_: _critic_lag(rows),
    "reinforce_penalty": lambda rows, runs, _: _reinforce("reinforce_penalty", rows, runs),
    "reinforce_praise": lambda rows, runs, _: _reinforce("reinforce_praise", rows, runs),
    "race_reinforce": lambda rows, _, race_runs: _race_reinforce(rows, race_runs),
    "race_expected_gradient_theta4_a1_eps05": lambda rows, _, race_runs: _race_expected(rows, race_runs),
}
"""By table, its checks: `f(rows, runs behind a sampled law, runs behind a race probability)`."""


def checks(runs: int, race_runs: int) -> Iterator[Check]:
    """Every check of every table of `oracles.json`.

    Args:
      runs: behind the check of a sampled law.
      race_runs: behind the check of a race probability.
    """
    rows = oracles()
    for name, table in TABLES.items():
        yield from table(rows[name], runs, race_runs)
