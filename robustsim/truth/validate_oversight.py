"""Ground truths for oversight: audits, noisy signals, false positives, profitable misbehaviour, budgets, all races,
defences, loss of control, rebound and relapse. Rows are in `oversight.json`.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import expit
from scipy.stats import binom, norm

from robustsim.truth import theory, validate
from robustsim.truth.validate import (
    SAMPLED,
    Check,
    Row,
    close,
    equal,
    exact,
    exact_times,
    four_errors,
    judged,
    race,
    sampled,
    settings_of,
)

PUBLISHED = 1e-6  # tables of probabilities have six digits


def oracles() -> dict[str, list[Row]]:
    """The reference values, by table."""
    return validate.oracles("oversight")


def checks(runs: int, race_runs: int) -> Iterator[Check]:
    """Every check of every table of `oversight.json`.

    Args:
      runs: behind the check of a mean.
      race_runs: behind the check of a probability.
    """
    for name, rows in oracles().items():
        yield from table(name, rows, runs, race_runs)


def table(name: str, rows: list[Row], runs: int, race_runs: int) -> Iterator[Check]:
    """The checks of some rows of one table."""
    if name in EXACT:
        return exact(name, rows, {"T": "both", "T_U": "unwatched", "T_W": "watched"})
    if name in RACES:
        return _races(name, rows, race_runs)
    others = {
        "false_positives_sampled": lambda: _sampled_false_positives(rows, runs),
        "budget": lambda: _budget(rows),
        "rebound": lambda: _rebound(rows),
        "relapse": lambda: _relapse(rows),
        "race_normal_form": lambda: _normal_form(rows),
        "half_race": lambda: _half(rows),
        "no_overseer": lambda: _alone(rows, runs),
        "latency_floor": lambda: _floor(rows, race_runs),
        "loss_of_control": lambda: _loss_of_control(rows, runs),
    }
    return others[name]()


EXACT = ("audits", "signal_noise", "false_positives", "bonus")


def _sampled_false_positives(rows: list[Row], runs: int) -> Iterator[Check]:
    """The law of large numbers for T under sampled false positives; the reference is itself rounded to a step."""
    for r in rows:
        settings = settings_of(r, **SAMPLED)
        got = sampled(settings, runs, 0, int(r["mean"] + 15 * r["sd"]))["steps"]
        mean, sd = float(got.mean()), float(got.std(ddof=1))
        allowed = 4 * r["sd"] / np.sqrt(runs) + r["reference_error"]
        yield judged("false_positives_sampled", r, "mean T", r["mean"], mean, abs(mean - r["mean"]) <= allowed)
        ratio = 4 * np.sqrt(3 / (2 * runs)) + 0.03  # for a distribution with a heavier tail than the normal
        yield judged("false_positives_sampled", r, "SD of T", r["sd"], sd, abs(sd / r["sd"] - 1) <= ratio)


def _budget(rows: list[Row]) -> Iterator[Check]:
    """The agent after C penalties, whatever the order of acts: pi_C of the recursion."""
    for r in rows:
        rate = float(theory.reinforce_rates(r["theta0"], 1e-12, r["a_p"])[r["C"]])
        yield close("budget", r, "pi_C", r["pi"], rate, 1e-5)
        got = sampled(settings_of(r, **SAMPLED), 32, 0, 4000, on=True)
        left = expit(got["theta"])
        yield judged("budget", r, "pi_C simulated", rate, left[:3].tolist(), np.allclose(left, rate, rtol=1e-9))
        yield equal("budget", r, "penalties given", r["C"], int(np.unique(got["corrections"]).item()))


def _rebound(rows: list[Row]) -> Iterator[Check]:
    """The rebound theorem: profitable unwatched misbehaviour returns while the overseer is still active."""
    for r in rows:
        theta0, rho, up = r["theta0"], r["rho"], r["b"]
        when, least, back = theory.rebound_ode(theta0, 1.0, up, rho, r["horizon"])
        yield judged("rebound", r, "least pi_U (continuous)", r["min"], least, abs(least - r["min"]) <= 5e-4)
        if r["t_back"] is None:
            yield judged("rebound", r, "never removed", True, bool(least > 0.05), bool(least > 0.05))
        else:
            yield close("rebound", r, "t_min (continuous)", r["t_min"], when, 2e-3)
            yield close("rebound", r, "t_back (continuous)", r["t_back"], back or 0.0, 2e-3)
        path = theory.rebound(theta0, 1.0, up, rho, r["horizon"])[:, 1]
        bottom = int(path.argmin())
        stops = [bottom] if r["t_back"] is None else [bottom, bottom + int(np.argmax(path[bottom:] >= 0)) - 1]
        # Half of the episodes are watched, so rewards and penalties are twice the rates of the theorem.
        settings = settings_of({"theta0": theta0, "rho": rho, "b": 2 * up, "d": 0.5, "a_p": 2 + 2 * up})
        runs = [{**settings, "deployment.budget": t, "evaluation.threshold": 1e-9} for t in (*stops, stops[-1] + 1)]
        for t, got in zip((*stops, stops[-1] + 1), exact_times(runs), strict=True):
            yield close("rebound", r, f"pi_U at step {t}", float(expit(path[t])), got["last"].rates[0])


def _relapse(rows: list[Row]) -> Iterator[Check]:
    """Relapse after the overseer has left: with a bonus and no penalty, T steps until the rate returns to pi_r."""
    for r in rows:
        settings = settings_of({"theta0": theory.log_odds(r["eps"]), "b": r["b"], "a_p": 0.0})
        runs = [{**settings, "deployment.budget": r["T"] - 1 + i, "evaluation.threshold": 1e-9} for i in (0, 1)]
        before, after = (got["last"].rates[0] for got in exact_times(runs))
        yield judged("relapse", r, "pi at T - 1 and T", r["pi_r"], [before, after], before < r["pi_r"] <= after)


def _normal_form(rows: list[Row]) -> Iterator[Check]:
    """The cumulative race, exactly and by the normal form Phi((M - k + 1/2) / sqrt(V))."""
    for r in rows:
        rates = theory.trajectory(r["theta0"], r["eps"], r["a"])
        mean = theory.misbehaviours_second_order(r["theta0"], r["eps"], r["a"])
        spread = np.sqrt(theory.variance_ode(r["theta0"], r["eps"], r["a"]))
        normal, exact = float(norm.cdf((mean - r["k"] + 0.5) / spread)), theory.race_cumulative(rates, r["k"])
        for quantity, key, found in (("P_cat, normal form", "normal", normal), ("P_cat", "exact", exact)):
            yield judged("race_normal_form", r, quantity, r[key], found, abs(found - r[key]) <= PUBLISHED)


def _half(rows: list[Row]) -> Iterator[Check]:
    """The boundary of the phase diagram: no detection rate helps for k <= N; beyond, d = (N - 1/3) / (k - 2/3)."""
    for r in rows:
        if r["k"] <= r["N"]:
            certain = [theory.race_reinforce(r["N"], r["k"], d) for d in (0.1, 0.5, 1.0)]
            yield judged("half_race", r, "P_cat for every d", 1.0, certain, all(p == 1.0 for p in certain))
            continue
        half = theory.half_race_detection(r["N"], r["k"])
        yield close("half_race", r, "d_1/2", r["d_half"], half, 1e-4)
        yield close("half_race", r, "d_1/2 by its short form", (r["N"] - 1 / 3) / (r["k"] - 2 / 3), half, 1e-4)


def _unit_rates(row: Row) -> np.ndarray:
    return theory.trajectory(row["theta0"], 0.05, 1)


def _rates(row: Row) -> np.ndarray:
    return theory.reinforce_rates(row["theta0"], 0.05, row["a_p"])


RACES: dict[str, Callable[[Row], float]] = {
    "race_chain": lambda r: theory.race_chain(_unit_rates(r), r["k"], r["step_back"]),
    "race_windowed": lambda r: theory.race_windowed(_unit_rates(r), r["k"], r["window"]),
    "race_consecutive_reinforce": lambda r: theory.race_consecutive_reinforce(_rates(r), r["k"], r["d"]),
    "race_blocked": lambda r: theory.race_blocked(len(_rates(r)), r["k"], r["d"], r["q"]),
}


def _races(table: str, rows: list[Row], runs: int) -> Iterator[Check]:
    """Races under the expected gradient, or, in rows with a_p, under REINFORCE with penalties only; with `q`, the race
    behind a blocking defence."""
    for r in rows:
        expected = RACES[table](r)
        if "P_cat" in r:
            yield judged(table, r, "P_cat", r["P_cat"], expected, abs(expected - r["P_cat"]) <= PUBLISHED)
        settings, longest = settings_of(r | {"a": 1}), 200
        if "a_p" in r:
            settings = settings_of(r, **SAMPLED)
            longest = int((1 / theory.reinforce_chances(r["theta0"], 0.05, r["a_p"], r["d"])).sum() * 4)
        yield race(table, r, expected, settings, longest, runs, "defended")


def _alone(rows: list[Row], runs: int) -> Iterator[Check]:
    """Without an overseer the policy is constant, and mean and spread of the time to catastrophe are closed forms."""
    for r in rows:
        rate, k = float(expit(r["theta0"])), r.get("k", 1)
        mean = {
            "cumulative": k / rate,
            "consecutive": (rate**-k - 1) / (1 - rate),
            "hazard": 1 / (r.get("hazard", 1) * rate),
        }[r["kind"]]
        spread = np.sqrt(k * (1 - rate)) / rate if r["kind"] == "cumulative" else mean  # at most
        settings = settings_of(r, **SAMPLED, **{"overseer.penalty": 0.0})
        got = sampled(settings, runs, 0, int(mean + 25 * spread) + 10)["catastrophe"]
        found = float(np.where(got < 0, np.inf, got).mean())
        quantity, error = f"E[T_k] over {runs} runs", 4 * spread / np.sqrt(runs)
        yield judged("no_overseer", r, quantity, mean, found, abs(found - mean) <= error)


def _floor(rows: list[Row], runs: int) -> Iterator[Check]:
    """With latency L, L + 1 acts precede any update under any overseer: a lower bound on P(catastrophe first)."""
    for r in rows:
        rate, acts = float(expit(r["theta0"])), r["L"] + 1
        floor = rate ** r["k"] if r["kind"] == "consecutive" else float(binom.sf(r["k"] - 1, acts, rate))
        got = sampled(settings_of(r, **{"overseer.penalty": r["penalty"]}), runs, 0, 500)["catastrophe"]
        early = float(((got >= 0) & (got <= acts)).mean())
        error = four_errors(floor, runs)
        exact = r["kind"] == "cumulative" or r["k"] == acts
        ok = abs(early - floor) <= error if exact else early >= floor - error
        yield judged("latency_floor", r, "P(fires before any update)", floor, early, ok)
        total = float((got >= 0).mean())
        yield judged("latency_floor", r, "P_cat >= floor", floor, total, total >= floor - error)


def _loss_of_control(rows: list[Row], runs: int) -> Iterator[Check]:
    """No penalty is given after the catastrophe, so a run reaches removal exactly if removal came first."""
    for r in rows:
        settings = settings_of(r, **SAMPLED, **{"catastrophe.loss_of_control": True})
        got = sampled(settings, runs, 0, r["budget"])
        fired, removed = got["catastrophe"] >= 0, got["steps"] >= 0
        one = bool((fired ^ removed).all())
        yield judged("loss_of_control", r, "removed, or lost, never both", True, one, one)
        expected = theory.race_reinforce(len(_rates(r)), r["k"], r["d"])
        error, share = four_errors(expected, runs) + 1 / runs, float(fired.mean())
        yield judged("loss_of_control", r, "P(lost)", expected, share, abs(share - expected) <= error)
