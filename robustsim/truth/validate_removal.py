"""When is a removal declared, beside when it was true? Thirteen paths of the misbehaviour rate, and one that stays.

The rates are known functions of the gradient step, so the true T is the first step at which the rate is at most the
threshold. Episodes are drawn from them, and the deployment's own rules decide when to evaluate, with how many episodes,
and when the misbehaviour counts as removed (theory G.8). `python -m robustsim.truth.validate_removal [draws]` prints
the table of docs/statistics.md.
"""

import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from robustsim.sim import readings
from robustsim.sim.readings import Reading
from robustsim.sim.track import CORRECTED, Track
from robustsim.spec.loading import load
from robustsim.spec.settings import Run, Settings, resolve
from robustsim.truth.validate import Check, four_errors, judged

BUDGET, EPS = 3000, 0.05
DROP = 30  # gradient step at which some paths drop
SETTINGS = {"deployment.budget": BUDGET, "deployment.patience": 0.0, "deployment.relapse_steps": 0}


class Path(NamedTuple):
    """A misbehaviour rate by gradient step.

    Attributes:
      rates: float[BUDGET + 1].
      share: of the levels that leave a choice.
      most: the factor by which the median declaration may be late; None where not declaring is right, or allowed.
    """

    name: str
    rates: np.ndarray
    share: float = 1.0
    most: float | None = None

    @property
    def true(self) -> int | None:
        """The first step at which the rate is at most the threshold."""
        below = np.flatnonzero(self.rates <= EPS)
        return int(below[0]) if len(below) else None


def paths() -> list[Path]:
    """The bandit's own path, tails, and drops that end near the threshold or leave few decision levels."""
    steps = np.arange(BUDGET + 1)
    later = np.maximum(steps, 1)
    made = [
        Path(f"bandit, logit {logit:g}, step {a:g}", _bandit(logit, a), most=most)
        for logit, a, most in ((4.0, 1.0, 1.3), (4.0, 0.1, 1.3), (0.0, 1.0, 1.7))
    ]
    made += [
        Path("0.05 * 300 / t", np.minimum(1, EPS * 300 / later), most=1.6),
        Path("0.05 * (300 / t)^0.3", np.minimum(1, EPS * (300 / later) ** 0.3), most=3.0),
    ]
    made += [
        Path(f"a drop to {x:.3f}", _drop(x), most=m) for x, m in ((0.03, 1.5), (0.035, 1.5), (0.038, 2.0), (0.04, 3.0))
    ]
    made += [Path(f"a drop to {x:.3f}", _drop(x)) for x in (0.045, 0.055)]
    return made + [
        Path(f"a drop to 0.010, {share:.0%} of the levels leave a choice", _drop(0.01), share, 1.5)
        for share in (0.1, 0.06, 0.05)
    ]


def _bandit(logit: float, step: float) -> np.ndarray:
    """The exact gradient of theory A.1: theta falls by step * p (1 - p)."""
    rates = []
    for _ in range(BUDGET + 1):
        p = float(expit(logit))
        rates.append(p)
        logit -= step * p * (1 - p)
    return np.array(rates)


def _drop(low: float) -> np.ndarray:
    return np.where(np.arange(BUDGET + 1) < DROP, 1.0, low)


@cache
def _settings() -> Settings:
    """A scenario's, of which only the deployment and the evaluation are read."""
    return resolve(load("corner_maze"), SETTINGS)


def declared(path: Path, rng: np.random.Generator) -> int | None:
    """The T that one run on this path would report; None where it is censored."""
    track = Track(0, Run(_settings(), 0), CORRECTED)
    while (plan := track.next()).ending is None:
        level = 0 if track.readings else 1
        found = _draw(path, track, plan.step, level, rng)
        again = level == 0 and track.wants_confirmation(found)
        while again:
            found = _draw(path, track, plan.step, found.level + 1, rng)
            again = track.wants_more(found)
        track.readings.append(found)
    index = readings.removal(track.readings, EPS)
    return None if index is None else track.readings[index].step


def _draw(path: Path, track: Track, step: int, level: int, rng: np.random.Generator) -> Reading:
    """An evaluation of this level: watched and unwatched alike."""
    episodes = track.episodes(level)
    decisions = rng.binomial(episodes, path.share, 2)
    bad = rng.binomial(decisions, path.rates[step])
    measures = {
        "decisions": tuple(int(x) for x in decisions),
        "misbehaved": tuple(int(x) for x in bad),
        "rates": tuple(float(x) for x in bad / np.maximum(decisions, 1)),
        "returns": (0.0, 0.0),
        "episodes": (episodes, episodes),
        "competence": 1.0,
        "finite": 1,
    }
    return Reading(step, level, False, measures, {"harm": 0})


class Declared(NamedTuple):
    """What many runs on one path reported."""

    path: Path
    early: float  # share that declared before the true T
    never: float
    middle: float | None  # median of those that declared, with the 5% and 95% quantiles
    low: float | None
    high: float | None


def study(path: Path, draws: int) -> Declared:
    """Runs on one path."""
    rng = np.random.default_rng(draws)
    found = [declared(path, rng) for _ in range(draws)]
    times = np.array([t for t in found if t is not None], float)
    truth = np.inf if path.true is None else path.true
    ends = [float(x) for x in np.quantile(times, (0.5, 0.05, 0.95))] if len(times) else [None] * 3
    return Declared(path, float((times < truth).sum() / draws), 1 - len(times) / draws, *ends)


def checks(runs: int, _: int = 0) -> Iterator[Check]:
    """No removal is declared where there is none, and one that is there is declared, and not much later.

    Args:
      runs: drawn on each path, a tenth of them and at most 400.
    """
    draws = min(max(runs // 10, 40), 400)
    for path in paths():
        found, allowed = study(path, draws), EPS + four_errors(EPS, draws)
        early = "declared removals", {}, f"{path.name}: early"
        yield judged(*early, f"<= {allowed:.2f}", found.early, found.early <= allowed)
        if path.most is not None and path.true is not None:
            late = np.inf if found.middle is None else found.middle / path.true
            yield judged("declared removals", {}, f"{path.name}: late", f"<= {path.most}", late, late <= path.most)


def _table(draws: int, rows: Callable[[], list[Path]] = paths) -> str:
    lines = ["| misbehaviour rate | true T | declared T_c [5%, 95%] | early | never |", "|---|---|---|---|---|"]
    for path in rows():
        found = study(path, draws)
        said = "-" if found.middle is None else f"{found.middle:,.0f} [{found.low:,.0f}, {found.high:,.0f}]"
        true = "-" if path.true is None else f"{path.true:,}"
        lines.append(f"| {path.name} | {true} | {said} | {found.early:.3f} | {found.never:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(_table(next((int(w) for w in sys.argv[1:] if w.isdigit()), 1000)))
