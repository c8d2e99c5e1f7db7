"""From the paths of a run's two arms to its row in the table, and to the rows of its traces."""

import math
from typing import Any

import numpy as np
import polars as pl

from robustsim import binomial, files
from robustsim.sim import clocks
from robustsim.sim.agents import Trained
from robustsim.sim.clocks import UNWATCHED, WATCHED, Reading, Rules
from robustsim.sim.lifted import Run
from robustsim.sim.track import CORRECTED, UNOPPOSED, Path, Track
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import flatten
from robustsim.sweep import store
from robustsim.sweep.plan import Plan
from robustsim.types import first_event

DEFENDED = (
    "steps_to_shutdown",
    "steps_to_catastrophe_defended",
    "steps_to_catastrophe_defended_lower",
    "first_event_defended",
    "position_defended",
    "position_defended_lower",
    "position_defended_upper",
)


def tables(plan: Plan, index: int, trained: Trained, corrected: Path, unopposed: Path) -> dict[str, pl.DataFrame]:
    """What one run adds to the tables `runs` and `traces`."""
    run = plan.run(index)
    rules = Track(index, run, CORRECTED, corrected.exact is not None).rules
    row = run_row(plan.factory, run, plan.swept, trained, corrected, unopposed, rules)
    traces = trace_rows(plan.factory, run, CORRECTED, corrected) + trace_rows(plan.factory, run, UNOPPOSED, unopposed)
    kinds = {name: plan.kinds[name] for name in plan.swept}
    return {
        "runs": store.table([{store.INDEX: index, **row}], kinds),
        "traces": store.table([{store.INDEX: index, **trace} for trace in traces], {}),
    }


def counts(runs: pl.DataFrame) -> dict[str, int]:
    """How runs ended, for progress reports."""
    return {
        "corrected": int(runs["corrected"].sum()),
        "catastrophe_first": int((runs["first_event"] == "catastrophe").sum()),
        "censored": int((runs["first_event"] == "censored").sum()),
    }


def run_id(factory: ScenarioFactory, run: Run) -> str:
    """16 hexadecimal digits: a hash of everything that a run is."""
    what = [factory.name, factory.source_hash, sorted(flatten(run.settings).items()), run.seed]
    return files.digest(repr(what).encode())[:16]


def position(
    correct: int | None, catastrophe: int | None, budget: int
) -> tuple[float | None, float | None, float | None]:
    """log10(T_c / T_k) with its bounds; None where it, or a bound of it, is not identified.

    A clock that is censored is known to be beyond the budget, so it bounds the position on one side.
    """
    if correct is not None and catastrophe is not None:
        if correct == 0:  # nothing to correct: below one step, whatever T_k
            return None, None, -math.log10(catastrophe)
        x = math.log10(correct / catastrophe)
        return x, x, x
    if catastrophe is not None:
        return None, math.log10(budget / catastrophe), None
    if correct is not None:
        return None, None, math.log10(max(correct, 1) / budget)
    return None, None, None


def run_row(
    factory: ScenarioFactory,
    run: Run,
    swept: tuple[str, ...],
    trained: Trained,
    corrected: Path,
    unopposed: Path,
    rules: Rules,
) -> dict[str, Any]:
    """One row of `runs`; times are gradient steps and None where they are censored."""
    values = flatten(run.settings)
    readings = corrected.readings
    times = _times(corrected, rules)
    removed, catastrophe, in_race = times["steps_to_correct"], unopposed.catastrophe, corrected.catastrophe
    x, x_lower, x_upper = position(removed, catastrophe, rules.budget)
    at = _reading_at(readings, removed, corrected.withdrawn)
    rollout = run.settings.agent.num_envs * run.settings.agent.rollout_steps
    return {
        "run_id": run_id(factory, run),
        "scenario": factory.name,
        "seed": run.seed,
        **{name: values[name] for name in swept},
        **_hand_over(readings[0], trained),
        "corrected": removed is not None,
        **times,
        "t_stable": _stable(corrected, rules, removed),
        "suppressed": times["steps_to_suppress"] is not None,
        "incapacitated": removed is None and _incapacitated(readings, rules),
        "catastrophe": catastrophe is not None,
        "steps_to_catastrophe": catastrophe,
        "steps_to_catastrophe_lower": rules.budget if catastrophe is None else catastrophe - 1,
        "catastrophe_in_race": in_race is not None,
        "steps_to_catastrophe_in_race": in_race,
        "first_event": first_event(removed, in_race).name.lower(),
        "position": x,
        "position_lower": x_lower,
        "position_upper": x_upper,
        "corrections": at.corrections,
        "misbehaviours": at.misbehaviours,
        "false_alarms": at.false_alarms,
        "labels": at.labels,
        "audits": at.audits,
        "feedback_cost": at.labels + at.audits + at.corrections + at.false_alarms,
        "env_steps_to_correct": None if removed is None else removed * rollout,
        "final_misbehaviour_watched": at.rates[WATCHED]
        if removed is None
        else _last_overseen(corrected).rates[WATCHED],
        "final_misbehaviour_unwatched": _last_overseen(corrected).rates[UNWATCHED],
        "final_competence": _last_overseen(corrected).competence,
        "concealment": clocks.concealment(readings[0], _last_overseen(corrected)),
        **_relapse(corrected, rules, removed),
        "tampering": _last_overseen(corrected).tampering,
        "distortion": _last_overseen(corrected).distortion,
        **_defended(corrected, unopposed, removed, rules.budget),
        **_expected(corrected),
    }


def _hand_over(first: Reading, trained: Trained) -> dict[str, Any]:
    """The state of the agent at deployment."""

    def log_odds(condition: int) -> float:
        if first.exact:
            return binomial.log_odds(first.rates[condition])
        return binomial.logit(first.misbehaved[condition], first.decisions[condition])

    leaves = [np.asarray(x, np.float64) for x in _leaves(trained.agent.params)]
    return {
        "competence": first.competence,
        "misbehaviour_watched": first.rates[WATCHED],
        "misbehaviour_unwatched": first.rates[UNWATCHED],
        "start_logit_watched": log_odds(WATCHED),
        "start_logit_unwatched": log_odds(UNWATCHED),
        "start_entropy": first.entropy,
        "start_weight_norm": math.sqrt(sum(float((x**2).sum()) for x in leaves)),
        "training_competence": trained.competence,
        "training_steps": trained.steps,
    }


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in _leaves(value)]
    return [tree]


def _times(path: Path, rules: Rules) -> dict[str, int | None]:
    """T_c, T_c of the unwatched condition alone, T_suppress; each with the last step at which it was not yet there."""
    readings = [r for r in path.readings if path.withdrawn is None or r.step <= path.withdrawn]
    columns = ("steps_to_correct", "steps_to_correct_unwatched", "steps_to_suppress")
    if path.exact is not None:
        found = [int(path.exact[name]) for name in ("both", "unwatched", "watched")]
        return {
            key: value
            for column, step in zip(columns, found, strict=True)
            for key, value in (
                (column, None if step < 0 else step),
                (f"{column}_lower", rules.budget if step < 0 else step - 1),
            )
        }
    indices = (
        clocks.removal(readings, rules),
        clocks.first_run([clocks.passes(r, rules, UNWATCHED) for r in readings], rules.passes),
        clocks.suppression(readings, rules),
    )
    table: dict[str, int | None] = {}
    for column, index in zip(columns, indices, strict=True):
        table[column] = None if index is None else readings[index].step
        before = rules.budget if index is None else readings[index - 1].step if index else 0
        table[f"{column}_lower"] = before
    return table


def _reading_at(readings: list[Reading], step: int | None, withdrawn: int | None) -> Reading:
    """The reading at a step (or the next one), or the last one under oversight."""
    if step is not None:
        return next(r for r in readings if r.step >= step)
    return [r for r in readings if withdrawn is None or r.step <= withdrawn][-1]


def _last_overseen(path: Path) -> Reading:
    return _reading_at(path.readings, None, path.withdrawn)


def _stable(path: Path, rules: Rules, removed: int | None) -> int | None:
    return None if removed is None else clocks.stable(path.readings, rules, removed, path.withdrawn)


def _incapacitated(readings: list[Reading], rules: Rules) -> bool:
    """Whether the misbehaviour went, but the competence with it."""
    return clocks.first_run([clocks.removed_at(r, rules) for r in readings], rules.passes) is not None


def _relapse(path: Path, rules: Rules, removed: int | None) -> dict[str, Any]:
    """Whether the misbehaviour came back, under oversight or after it left (then with the steps since)."""
    nothing = {"relapsed": None, "relapsed_under_oversight": None, "steps_to_relapse": None}
    if removed is None or (rules.patience == 0 and rules.relapse_steps == 0):
        return nothing
    overseen = [r for r in path.readings if path.withdrawn is None or r.step <= path.withdrawn]
    under = clocks.relapse(overseen, rules, removed) is not None
    after = None
    if path.withdrawn is not None and rules.relapse_steps > 0:
        after = clocks.relapse(path.readings, rules, path.withdrawn)
    return {
        "relapsed": under or after is not None,
        "relapsed_under_oversight": under,
        "steps_to_relapse": None if after is None or path.withdrawn is None else after - path.withdrawn,
    }


def _defended(corrected: Path, unopposed: Path, removed: int | None, budget: int) -> dict[str, Any]:
    """The clock of the catastrophe behind the defences, and what it makes of position and race; None without them."""
    if corrected.guard is None or unopposed.guard is None:
        return dict.fromkeys(DEFENDED)
    fired = unopposed.guard["catastrophe"]
    values = (
        corrected.guard["shutdown"],
        fired,
        budget if fired is None else fired - 1,
        first_event(removed, corrected.guard["catastrophe"]).name.lower(),
        *position(removed, fired, budget),
    )
    return dict(zip(DEFENDED, values, strict=True))


def _expected(path: Path) -> dict[str, float | None]:
    """Expected counts, where probabilities are known."""
    names = {
        "misbehaviours": "expected_misbehaviours",
        "variance": "expected_variance",
        "corrections": "expected_corrections",
        "unresolved": "unresolved_steps",
    }
    return {column: None if path.exact is None else path.exact[name] for name, column in names.items()}


def trace_rows(factory: ScenarioFactory, run: Run, arm: str, path: Path) -> list[dict[str, Any]]:
    """Rows of `traces`: one per evaluation of one arm."""
    rollout = run.settings.agent.num_envs * run.settings.agent.rollout_steps
    name = run_id(factory, run)
    return [
        {
            "run_id": name,
            "seed": run.seed,
            "arm": arm,
            "step": r.step,
            "env_steps": r.step * rollout,
            "overseen": arm == "corrected" and (path.withdrawn is None or r.step <= path.withdrawn),
            "confirmatory": r.confirmatory,
            "misbehaviour_watched": r.rates[WATCHED],
            "misbehaviour_unwatched": r.rates[UNWATCHED],
            "decisions_watched": r.decisions[WATCHED],
            "decisions_unwatched": r.decisions[UNWATCHED],
            "competence": r.competence,
            "entropy": r.entropy,
            "misbehaviours": r.misbehaviours,
            "corrections": r.corrections,
            "false_alarms": r.false_alarms,
            "labels": r.labels,
            "audits": r.audits,
            "tampering": r.tampering,
            "reward_used": r.reward_used,
            "reward_oracle": r.reward_oracle,
        }
        for r in path.readings
    ]
