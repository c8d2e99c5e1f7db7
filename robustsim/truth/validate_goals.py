"""Goals and sharing against theory D and A.2: the closed form, both traps, the coverage of the limits, and rho."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from robustsim import relations
from robustsim.sim import batched
from robustsim.sim.sharing import sharing
from robustsim.sim.world import make_world
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve
from robustsim.truth.validate import Check, close, four_errors, judged

Row = dict[str, Any]
LARGE = 200_000  # states of a sample that stands for the law
ROUNDS, EPISODES, STATES = 1000, 300, 4  # of the coverage
TOLERANCE = 0.01  # four standard errors of a correlation in so many states
BLURS = (0.1, 0.3, 0.5)  # of the reading
ORACLES = ((0.3, 0.9), (1.0, 0.5), (0.1, -0.7))  # noise of the values, correlation of the features


def checks(runs: int = 2000, race_runs: int = 20_000) -> Iterator[Check]:
    """Every check."""
    del race_runs
    for noise, shared in ORACLES:
        yield from final_goal(noise, shared)
    yield from noiseless()
    for blur in BLURS:
        yield from blurred(blur)
    yield from coverage(min(ROUNDS, runs))
    yield from tangents()


def final_goal(noise: float, shared: float) -> Iterator[Check]:
    """V = f1 + noise, corr(f1, f2) = shared: f1 is final, f2 goes with it."""
    covariance = np.array([[1 + noise**2, 1, shared], [1, 1, shared], [shared, shared, 1.0]])
    found, total = relations.relations(covariance), 1 + noise**2
    expected = {
        "correlation": (total**-0.5, shared * total**-0.5),
        "partial": (((1 - shared**2) / (1 - shared**2 + noise**2)) ** 0.5, 0.0),
        "unique": ((1 - shared**2) / total, 0.0),
        "weight": (total**-0.5, 0.0),
    }
    for name, pair in expected.items():
        for j, value in enumerate(pair):
            measured, row = float(getattr(found, name)[j]), {"noise": noise, "shared": shared}
            yield judged("goals", row, f"{name} of f{j + 1}", value, measured, abs(measured - value) < 1e-7)


def noiseless() -> Iterator[Check]:
    """The first trap: any weight in values without noise has a partial correlation of 1, and no unique share."""
    features = np.random.default_rng(0).normal(size=(4000, 2))
    found = relations.measured(features @ [1.0, 0.001], features, np.arange(4000))
    yield close("goals", {}, "partial of a weight of .001", 1.0, float(found["partial"].estimate[1]), 1e-3)
    kinds = relations.kinds(found)
    expected = [relations.FINAL, relations.NO_GOAL]
    yield judged("goals", {}, "kinds without noise", expected, kinds, kinds == expected)


def blurred(blur: float) -> Iterator[Check]:
    """The second trap: what is read with an error leaks into what goes with it, and not where nothing does."""
    noise = 0.3
    for shared in (0.9, 0.0):
        values, features = _sampled(np.random.default_rng(0), noise, shared, blur)
        found = relations.relations(np.cov(np.column_stack([values, features]).T)).partial
        first = ((1 + noise**2) * (1 + blur**2)) ** -0.5  # correlations of the law
        second, between = shared * (1 + noise**2) ** -0.5, shared * (1 + blur**2) ** -0.5
        expected = _partial(first, second, between), _partial(second, first, between)
        for j, value in enumerate(expected):
            row, measured = {"blur": blur, "shared": shared}, float(found[j])
            yield judged("goals", row, f"partial of f{j + 1}", value, measured, abs(measured - value) <= TOLERANCE)


def _partial(mine: float, other: float, between: float) -> float:
    """A partial correlation from three correlations (Yule 1907)."""
    return (mine - other * between) / ((1 - other**2) * (1 - between**2)) ** 0.5


def _sampled(random: np.random.Generator, noise: float, shared: float, blur: float) -> tuple[np.ndarray, np.ndarray]:
    """(values float[n], features float[n, 2], the first read with an error)."""
    first, second, rest, error = random.normal(size=(4, LARGE))
    second = shared * first + (1 - shared**2) ** 0.5 * second
    return first + noise * rest, np.column_stack([first + blur * error, second])


def coverage(rounds: int) -> Iterator[Check]:
    """Limits of 95% over episodes of four states, half of whose variance the episode makes."""
    noise, shared = 1.0, 0.5
    truth = relations.relations(np.array([[1 + noise**2, 1, shared], [1, 1, shared], [shared, shared, 1.0]]))
    hits = {"correlation": 0.0, "partial": 0.0, "weight": 0.0}
    for seed in range(rounds):
        random = np.random.default_rng(seed)
        common, own = random.normal(size=(EPISODES, 1, 3)), random.normal(size=(EPISODES, STATES, 3))
        first, second, rest = (0.5**0.5 * (common + own)).reshape(-1, 3).T
        features = np.column_stack([first, shared * first + (1 - shared**2) ** 0.5 * second])
        episodes = np.arange(EPISODES * STATES) // STATES
        found = relations.measured(first + noise * rest, features, episodes, draws=600)
        for name in hits:
            inside = (found[name].low <= getattr(truth, name)) & (getattr(truth, name) <= found[name].high)
            hits[name] += inside.mean() / rounds
    allowed = 0.02 + four_errors(0.95, rounds) * (rounds < ROUNDS)
    for name, share in hits.items():
        yield judged("goals", {}, f"coverage, {name}", 0.95, round(share, 4), abs(share - 0.95) <= allowed)


def tangents() -> Iterator[Check]:
    """In the bandit contexts are unit features of inner product rho, which is what is shared (theory A.2)."""
    factory = load("bandit")
    for rho in (0.0, 0.3, 0.8, 1.0):
        with batched.precision("float64"):
            settings = batched.as_arrays(resolve(factory, {"env.sharing": rho, "overseer.visible": True}))
            params = make_world(factory, settings).learner.init(jax.random.key(0)).params
            found = sharing(factory, settings, batched.key_of("sharing", rho), params)
        measured = float(found.rho)
        yield judged("sharing", {"rho": rho}, "rho", rho, measured, abs(measured - rho) < 1e-9)
