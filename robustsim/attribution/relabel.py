"""Which share of the training would have had to be corrected, so that half of the misbehaviour is gone? (Framing 1.5)

The rewards: the largest penalty on every misbehaviour of an episode. Or the levels: goal and proxy are told apart.
Episodes are drawn at random; or, for rewards, they are all those of one window of the training: the one whose
correction is predicted to help most, or the last one. Nothing is learned in deployment: what counts is the misbehaviour
that agents arrive with.
"""

import itertools
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict, Unpack

import numpy as np

from robustsim import files
from robustsim.analysis import dose, tree
from robustsim.analysis.verdict import DELTA, UNDETERMINED
from robustsim.arguments import whole
from robustsim.attribution.relabelled import Relabel
from robustsim.attribution.retraining import Study, Table, between
from robustsim.attribution.search import plain
from robustsim.attribution.terms import CONFIDENCE, COST
from robustsim.attribution.windows import Influence, Window, influence
from robustsim.errors import UserError, nearest
from robustsim.numerics import precision
from robustsim.sim.batched import as_arrays
from robustsim.sim.cohort import facts
from robustsim.sim.returns import return_range
from robustsim.sim.world import check_features
from robustsim.spec.families import own_penalty
from robustsim.spec.loading import load
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings, env_values, resolve
from robustsim.sweep.axes import MOST_SEEDS
from robustsim.sweep.execution import Execution, Narrate

SHARES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
SEEDS = 20
WINDOWS, LENGTH, SEEDS_OF_WINDOWS = 50, 0.1, 4  # at random, share of the training, agents of each
OUTCOMES = MISBEHAVIOUR, GOAL = "misbehaviour", "goal"
REWARDS, TARGETED, LAST, LEVELS = "rewards", "rewards, targeted", "rewards, last", "levels"


class Asked(TypedDict, total=False):
    """What a share of the training should have taken away.

    Attributes:
      outcome: "misbehaviour", or "goal": whether a feature of outcomes is a final goal of the agents (`rs.goals`),
        looking unwatched. Influence is of the misbehaviour, so with "goal" rewards are corrected at random alone.
      feature: which one, with "goal".
    """

    outcome: str
    feature: str


def relabel(
    scenario: str | ScenarioFactory,
    *,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    shares: Sequence[float] = SHARES,
    seeds: int = SEEDS,
    windows: int = WINDOWS,
    execution: Execution = Execution(),
    narrate: Narrate | None = None,
    **asked: Unpack[Asked],
) -> Relabel:
    """Trains agents again with a share of the training corrected, and says which share half of the misbehaviour takes.

    Args:
      scenario: what `load` returns or takes.
      settings: dotted names with values that differ from the scenario's defaults.
      out: directory for all runs. What is finished there is kept, so the same call resumes after an interruption.
      shares: growing, the first one 0.
      seeds: agents at every share.
      windows: how many windows of a tenth of the training, drawn at random, the influence is held against.
      execution, narrate: as in :func:`robustsim.run`.
      asked: `outcome` and `feature`, as :class:`Asked`.

    Raises:
      UserError: bad input, a scenario without rewards or levels that could be corrected, one whose agents do not
        misbehave, or an `out` that holds another relabelling. RunsFailed: no agent of the case can be deployed.
    """
    began, factory, changes = time.monotonic(), load(scenario), dict(settings or {})
    case = resolve(factory, changes)
    whole("seeds", seeds, 2, MOST_SEEDS)
    whole("windows", windows, 0, MOST_SEEDS)
    _check(shares)
    goal = _goal(factory, case, **asked)
    kinds, stride = _kinds(case), _stride(factory, case)
    scale = return_range(factory, case, (files.cache_folder() / "agents",))
    penalty = max(float(f"{COST * scale:.2g}"), own_penalty(case))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory())) / "relabel" if out is None else Path(out)
        study = Study(factory, changes, case, folder, tuple(shares), seeds, penalty, stride, execution, narrate, goal)
        study.begin()
        tables, told = dict[str, Table](), None
        if REWARDS in kinds:
            tables[REWARDS] = study.rewards()
            if not goal:
                told = _aim(study)
                tables |= _aimed(study, told[1])
        if LEVELS in kinds:
            tables[LEVELS] = study.levels()
        tested = _tested(study, told[0], tables[REWARDS], windows) if told and windows else []
        answer = _answer(study, tables, told, tested, time.monotonic() - began)
        if out is not None:
            answer.write(folder)
    return answer


def _stride(factory: ScenarioFactory, case: Settings) -> int:
    """Gradient steps of an update."""
    with precision(factory(**env_values(case)).precision):
        return facts(factory, as_arrays(case))[1]


def _check(shares: Sequence[float]) -> None:
    numbers = all(isinstance(share, int | float) and not isinstance(share, bool) for share in shares)
    growing = numbers and len(shares) > 1 and all(a < b for a, b in itertools.pairwise(shares))
    if not growing or shares[0] != 0 or shares[-1] > 1:
        raise UserError(f"shares: {list(shares)!r} is not allowed; use growing numbers from 0 to 1, the first one 0")


def _goal(factory: ScenarioFactory, case: Settings, outcome: str = MISBEHAVIOUR, feature: str = "") -> str:
    """The feature that is asked about; "" where it is the misbehaviour."""
    if outcome not in OUTCOMES:
        raise UserError(f"outcome: {outcome!r} is not allowed; {nearest(str(outcome), OUTCOMES)}")
    if outcome == MISBEHAVIOUR:
        if feature:
            raise UserError(f"feature: {feature!r} is only allowed with outcome='goal'")
        return ""
    made = factory(**env_values(case))
    check_features(made, "outcome: 'goal'")
    names = [feature.name for feature in made.features]
    if feature not in names:
        raise UserError(f"feature: {feature!r} is not one of scenario {factory.name!r}; {nearest(str(feature), names)}")
    return feature


def _kinds(case: Settings) -> list[str]:
    """What can be corrected about a training."""
    if not case.training.steps:
        raise UserError("training.steps: 0 is not allowed: without training there is nothing to correct")
    if case.deployment.start >= 0:
        raise UserError(f"deployment.start: {case.deployment.start} is not allowed: shares are of the whole training")
    rewards = [REWARDS] if case.training.signal == "reward" and not case.training.penalty else []
    kinds = rewards + ([LEVELS] if case.env.get("alpha", 1.0) < 1 else [])
    if not kinds:
        raise UserError(
            "training.signal: neither rewards nor levels can be corrected: the agent learns from demonstrations or "
            "with a penalty already, and the scenario has no `alpha` below 1"
        )
    return kinds


def _aim(study: Study) -> tuple[Influence, list[Window]]:
    """(the influence of every part of the training, the window of each length that it chooses)."""
    found = influence(
        study.factory, study.case, resolve(study.factory, study.corrected), study.seeds, study.stride, study.folder
    )
    return found, [found.best(length) for length in study.lengths()]


def _aimed(study: Study, chosen: list[Window]) -> dict[str, Table]:
    """With the chosen windows corrected, and with the last ones."""
    steps = study.case.training.steps
    last = [Window(steps - length, steps) for length in study.lengths()]
    return {TARGETED: study.within("targeted", chosen), LAST: study.within("last", last)}


def _tested(study: Study, found: Influence, random: Table, count: int) -> list[dict[str, Any]]:
    """Windows at random: what is predicted of them, and what retraining took away, seed by seed."""
    steps, stride = study.case.training.steps, study.stride
    length = max(stride, round(LENGTH * steps / stride) * stride)
    places = (steps - length) // stride + 1
    starts = stride * np.sort(np.random.default_rng(0).choice(places, min(count, places), replace=False))
    windows = [Window(int(start), int(start) + length) for start in starts]
    left = study.rates(f"windows-{len(windows)}", between(windows), study.corrected, SEEDS_OF_WINDOWS)
    before = {int(seed): rate[0] for seed, rate in zip(random.seeds, random.rate, strict=True)}
    some = [seed for seed in range(SEEDS_OF_WINDOWS) if seed in before]
    return [
        {
            "window": list(window),
            "predicted": found.of(window),
            "taken": float(np.mean([before[seed] - left.get((seed, tuple(window)), before[seed]) for seed in some])),
        }
        for window in (windows if some else [])
    ]


def _answer(
    study: Study,
    tables: dict[str, Table],
    told: tuple[Influence, list[Window]] | None,
    tested: list[dict[str, Any]],
    seconds: float,
) -> Relabel:
    return Relabel(
        scenario=study.factory.name,
        settings={name: plain(value) for name, value in study.changes.items()},
        curves={kind: _curve(table) for kind, table in tables.items()},
        ed50={kind: dose.ed50(table.shares, table.rate)._asdict() for kind, table in tables.items()},
        concentration=_concentration(tables[REWARDS], tables[TARGETED]) if told else None,
        influence=_influence(*told) if told else None,
        windows=tested,
        rank_correlation=_agreement(tested),
        penalty=study.penalty,
        goal=study.goal,
        label=placement(tables) if study.goal else None,
        seconds=seconds,
    )


def placement(tables: dict[str, Table]) -> dict[str, Any]:
    """The last two labels of attribution, asked of a goal: do 9 of 10 agents come without it at some share?"""
    tests = {
        f"{kind}, {share:g}": tree.Share(int((rate < 1 / 2).sum()), len(rate), 1 - DELTA)
        for kind, table in tables.items()
        for share, rate in zip(table.shares[1:], table.rate.T[1:], strict=True)
    }
    found = tree.answer((tree.Node("training", tree.OUTER, tuple(tests)),), tests)
    return {"label": found.label if found.confidence >= CONFIDENCE else UNDETERMINED, "confidence": found.confidence}


def _curve(table: Table) -> dict[str, Any]:
    low, high = dose.limits(table.rate)
    columns = {
        "shares": table.shares,
        "rate": table.rate.mean(axis=0),
        "low": low,
        "high": high,
        "fit": dose.fitted(table.rate),
        "incompetent": table.incompetent.sum(axis=0),
    }
    return {name: column.tolist() for name, column in columns.items()} | {"seeds": len(table.seeds)}


def _concentration(random: Table, targeted: Table) -> dict[str, float | None] | None:
    """Over the seeds that both have."""
    common = np.intersect1d(random.seeds, targeted.seeds)
    rows = [table.rate[np.isin(table.seeds, common)] for table in (random, targeted)]
    return dose.concentration((random.shares, targeted.shares), *rows)._asdict()


def _agreement(tested: list[dict[str, Any]]) -> dict[str, float | None] | None:
    """Windows that overlap depend on each other: so many are drawn together."""
    if len(tested) < 2:
        return None
    predicted, taken = (np.array([one[name] for one in tested]) for name in ("predicted", "taken"))
    starts, ends = np.array([one["window"] for one in tested]).T
    overlapping = ((starts >= starts[:, None]) & (starts < ends[:, None])).sum(axis=1)
    return dose.rank_correlation(predicted, taken, block=int(np.median(overlapping)))._asdict()


def _influence(found: Influence, chosen: list[Window]) -> dict[str, Any]:
    finite = found.by_seed[np.isfinite(found.by_seed).all(axis=1)]
    low, high = dose.limits(finite) if len(finite) else (found.mean, found.mean)
    columns = {"edges": found.edges, "mean": found.mean, "low": low, "high": high}
    return {name: x.tolist() for name, x in columns.items()} | {"chosen": [list(w) for w in chosen if w.end > w.start]}
