"""The time to know, and the race of three clocks, in the bandit with the expected gradient: dynamic programming.

Until the overseer knows, nothing moves the policy: each step is a draw of (misbehaved, alarm) with fixed probabilities.
From then on it is corrected along the trajectory of theory A.1.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.oversight.evidence import log_e_value
from robustsim.sim import batched
from robustsim.truth import theory
from robustsim.truth.validate import Check, close, four_errors, judged, sampled, settings_of

Row = dict[str, Any]
BUDGET = 1500
ROWS: tuple[Row, ...] = tuple(
    {"theta0": theta0, "k": k, "f": f, "miss": miss, "alpha": alpha}
    for theta0, k, f, miss, alpha in (
        (4, 135, 0.01, 0.5, 0.01),
        (0, 24, 0.01, 0.7, 0.01),
        (-2, 12, 0.01, 0.5, 0.01),
        (-2, 10, 0.05, 0.2, 0.05),
        (2, 132, 0.0, 0.9, 0.01),
    )
)


def checks(runs: int = 2000, race_runs: int = 20_000) -> Iterator[Check]:
    """Every check."""
    del runs
    yield from e_values()
    for row in ROWS:
        yield from three_clocks(row, race_runs)


def e_values() -> Iterator[Check]:
    """The closed form of the e-value against its integral, and Ville's inequality by dynamic programming."""
    with batched.precision("float64"):
        for hits, total, f in ((0, 5, 0.01), (3, 40, 0.01), (20, 300, 0.05), (7, 7, 0.1)):
            p = np.linspace(f, 1, 2_000_001)[1:-1]
            logs = hits * np.log(p / f) + (total - hits) * np.log((1 - p) / (1 - f))
            row = {"f": f, "n": total, "N": hits}
            found = float(log_e_value(jnp.asarray(hits), jnp.asarray(total), jnp.asarray(f)))
            yield close("e_value", row, "log e-value", float(np.log(np.mean(np.exp(logs)))), found, 1e-4)
        for f, alpha in ((0.01, 0.01), (0.05, 0.05), (0.2, 0.1)):
            chance = float(_times(f, f, alpha, BUDGET).sum())
            yield judged(
                "e_value", {"f": f, "alpha": alpha}, "P(ever proven, all false)", alpha, chance, chance <= alpha
            )


def three_clocks(row: Row, runs: int) -> Iterator[Check]:
    """T_d by its mean, and P(T_d + T_c < T_k), each within 4 standard errors; twice at most."""
    with batched.precision("float64"):
        law, safe = exact(row)
    mean, square = (float(np.sum(law * np.arange(len(law)) ** power)) for power in (1, 2))
    settings = settings_of(
        {"theta0": row["theta0"], "k": row["k"], "f": row["f"]},
        **{
            "overseer.miss_rate": row["miss"],
            "overseer.visible": False,
            "overseer.proof": row["alpha"],
            "training.watched": 0.0,
        },
    )
    tries: list[tuple[float, float]] = []
    errors = 4 * np.sqrt((square - mean**2) / runs) + 1e-9, four_errors(safe, runs) + 1 / runs
    fine = [False, False]
    while not all(fine) and len(tries) < 2:
        got = sampled(settings, runs, len(tries) * runs, BUDGET)
        removed = np.where(got["steps"] < 0, np.iinfo(np.int32).max, got["steps"])
        lost = (got["catastrophe"] >= 0) & (got["catastrophe"] <= removed)
        tries.append((float(got["unknowing"].mean()), 1 - float(lost.mean())))
        fine = [bool(abs(x - y) <= e) for x, y, e in zip(tries[-1], (mean, safe), errors, strict=True)]
    yield judged("time_to_know", row, "mean T_d", mean, [t for t, _ in tries], fine[0])
    yield judged("three_clocks", row, "P(T_d + T_c < T_k)", safe, [p for _, p in tries], fine[1])


def exact(row: Row) -> tuple[np.ndarray, float]:
    """(the law of T_d float[BUDGET + 1], P(T_d + T_c < T_k))."""
    pi, recall, f, k = 1 / (1 + np.exp(-row["theta0"])), 1 - row["miss"], row["f"], row["k"]
    rates = np.asarray(list(_corrected(row["theta0"], recall, f)))
    left = np.array([1 - theory.race_cumulative(rates, k - m) for m in range(k)])  # safe, with m misbehaviours before
    alive = np.zeros((BUDGET + 2, k))  # by alarms, misbehaviours
    alive[0, 0] = 1.0
    safe = 0.0
    for n in range(1, BUDGET + 1):
        now, after = alive[:n], np.zeros((n + 1, k))
        after[1:, 1:] += pi * recall * now[:, :-1]
        after[:-1, 1:] += pi * (1 - recall) * now[:, :-1]
        after[1:] += (1 - pi) * f * now
        after[:-1] += (1 - pi) * (1 - f) * now
        proven = _proven(n, f, row["alpha"])
        safe += float((after[proven].sum(0) * left).sum())
        after[proven] = 0
        alive[: n + 1] = after
        if after.sum() < 1e-12:
            break
    return _times(pi * recall + (1 - pi) * f, f, row["alpha"], BUDGET), safe


def _corrected(theta: float, recall: float, f: float) -> Iterator[float]:
    """Rates of misbehaviour from the proof to the removal: the penalty is 1, and a step of the rate 1."""
    while (pi := 1 / (1 + np.exp(-theta))) > 0.05:
        yield pi
        theta -= (recall - f) * pi * (1 - pi)


def _times(chance: float, f: float, alpha: float, longest: int) -> np.ndarray:
    """float[longest + 1], P(T_d = n), where each judgement is an alarm with this probability."""
    alive, law = np.zeros(longest + 2), np.zeros(longest + 1)
    alive[0] = 1.0
    for n in range(1, longest + 1):
        alive[1 : n + 1] = alive[1 : n + 1] * (1 - chance) + alive[:n] * chance
        alive[0] *= 1 - chance
        proven = _proven(n, f, alpha)
        law[n] = alive[: n + 1][proven].sum()
        alive[: n + 1][proven] = 0
        if alive.sum() < 1e-12:
            break
    return law


_log_e_values = jax.jit(log_e_value)


def _proven(judged_so_far: int, f: float, alpha: float) -> np.ndarray:
    """bool[n + 1], by number of alarms."""
    alarms = np.minimum(np.arange(BUDGET + 1), judged_so_far)  # of one shape, to be compiled once
    values = _log_e_values(jnp.asarray(alarms), jnp.full(BUDGET + 1, judged_so_far), jnp.asarray(f))
    return np.asarray(values)[: judged_so_far + 1] >= -np.log(alpha)
