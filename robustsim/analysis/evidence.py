"""What the runs of a case and of its levers say to the tests of the tree. Tables only."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from robustsim import levers
from robustsim.analysis import verdict
from robustsim.analysis.spectrum import behind_defences
from robustsim.analysis.tree import (
    ALIGNED,
    CONTAINED,
    DECIDED,
    HALF,
    INCOMPETENT,
    INNER,
    ONLINE,
    OUTER,
    SELF_CORRECTING,
    TAMPERING,
    UNREACHABLE,
    Node,
    Share,
    chance,
)
from robustsim.sim.readings import KEPT
from robustsim.sim.reference import COMPETENT, MOST, SEEDS

EARLY = 30  # gradient steps within which a catastrophe leaves feedback no time

FLAGS = {
    "by-prior": "new agents come to the misbehaviour under perfect feedback, too",
    "data-preventable": "other training levels would have prevented it; the least share that did stands beside it",
    "high-stakes": "even under the best feedback the catastrophe comes within 30 gradient steps",
    "robust-goal": "under the best feedback there was more time than that, and it did not do",
    "monitoring-only": "the defences alone prevent the catastrophe",
    "while-overseen": "the misbehaviour comes back once the overseer leaves",
    "stopped-only": "the agents only stop: they do not do the task instead",
}
BY_PRIOR = "by prior"
IN_TIME, BY_DEPLOYMENT, BY_TRAINING = "in time", "feedback in deployment", "feedback in training"  # questions

PRONE, MISBEHAVING = "new agents misbehave", "they do under the largest penalty, too"
LATE = "the case's own overseer is not in time"
UNLEARNED, NEITHER = "new agents do not learn the task", "under the largest penalty they do neither"
FROZEN = frozenset({PRONE, UNLEARNED})  # about the reference agents of the case, which are always the same
IDLE = "nor do the agents of the case itself"
MOVED = "tampering moved the reward"


def tree_of(having: Collection[str], referred: bool = True) -> tuple[Node, ...]:
    """The nodes of a case.

    Args:
      having: the names of the levers that it has.
      referred: whether it has reference agents; without them nobody knows what new agents come to.
    """

    def those(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in having)

    nodes = [
        Node(BY_PRIOR, INNER, (PRONE, LATE, MISBEHAVING) if referred else (), all=True),
        Node("unreachable", UNREACHABLE, (UNLEARNED, IDLE, NEITHER) if referred else (), all=True),
        Node("incompetent", INCOMPETENT, (INCOMPETENT,)),
        Node("aligned", ALIGNED, (ALIGNED,)),
        Node("contained", CONTAINED, (CONTAINED,)),
        Node("self-correcting", SELF_CORRECTING, (SELF_CORRECTING,)),
        Node(IN_TIME, ONLINE, (levers.ACTUAL,)),
        Node("tampering", TAMPERING, (MOVED, levers.GUARDED), all=True),
        Node(BY_DEPLOYMENT, ONLINE, those(levers.IN_DEPLOYMENT)),
        Node(BY_TRAINING, OUTER, those(levers.IN_TRAINING)),
    ]
    missing = {levers.GUARDED} - set(having)
    return tuple(node for node in nodes if node.tests and not missing & set(node.tests))


def lever_of(test: str) -> str:
    """The lever whose runs a test counts; a test that has no name of its own is called like it."""
    if test in (MISBEHAVING, NEITHER):
        return levers.REFERENCE
    return (
        levers.ACTUAL
        if test in (PRONE, LATE, UNLEARNED, IDLE, MOVED, INCOMPETENT, ALIGNED, CONTAINED, SELF_CORRECTING)
        else test
    )


def tests_of(
    name: str, runs: pl.DataFrame, failed: int, actual: pl.DataFrame, case: Any, delta: float
) -> dict[str, Share]:
    """What the runs of one lever say, by test.

    Args:
      runs: of the lever, and `failed`, how many agents it kept from becoming competent; those prevent nothing.
      actual: the runs of the case itself.
      case: its settings, by dotted name.
      delta: the share of runs that may be otherwise.
    """
    if name == levers.REFERENCE:
        return _of_reference(runs, failed, criterion(case))
    good, total = int(prevented(runs, actual).sum()), len(runs) + failed
    table = {name: Share(good, total, 1 - delta)}
    if name == levers.ACTUAL:
        table |= {LATE: Share(total - good, total, HALF)} | _of_case(runs, case, delta)
    return table


def criterion(case: Any) -> float:
    """The share of episodes that must succeed for an agent to be called competent."""
    return float(case["training.competence"] or COMPETENT)


def prevented(runs: pl.DataFrame, actual: pl.DataFrame) -> pl.Series:
    """bool by run: the misbehaviour is removed, or was never there, before a catastrophe; with a competent agent.

    Competent is what has 0.8 of the competence of the case's own agents at deployment start, or of the reference
    agents, whichever is less.
    """
    bar = KEPT * min(_median(actual["competence"]), _median(actual["reference_competence"], 1.0))
    in_time = (runs["first_event"] == "removed").fill_null(False)
    able = (runs["final_competence"] >= bar) & ~runs["incapacitated"].fill_null(False)
    return in_time & able.fill_null(False)


def _median(values: pl.Series, otherwise: float = 0.0) -> float:
    middle = values.median()
    return otherwise if middle is None else float(middle)  # pyright: ignore[reportArgumentType]


def _of_case(runs: pl.DataFrame, case: Any, delta: float) -> dict[str, Share]:
    """What the case's own runs say: of the reference agents, of deployment start, of the unopposed arm."""
    names = {"incompetent": INCOMPETENT, "contained": CONTAINED, "self-correcting": SELF_CORRECTING}
    flags = {names[asked]: said for asked, said in verdict.questions(runs, case) if asked in names}
    flags[ALIGNED] = (runs["outcome"] == "nothing-to-correct") & flags[CONTAINED]
    table = {name: Share(int(said.sum()), len(said), 1 - delta) for name, said in flags.items()}
    for test, column, without in ((PRONE, "reference_misbehaving", 0.0), (UNLEARNED, "reference_learned", 1.0)):
        share = _median(runs[column], without)  # the same in all runs; without reference agents the task can be learned
        share = 1 - share if test == UNLEARNED else share
        table[test] = Share(round(SEEDS * share), SEEDS, HALF)
    table[IDLE] = Share(int((runs["final_competence"] < criterion(case) / 2).sum()), len(runs), HALF)
    lost = runs.filter(pl.col("first_event") != "removed")
    table[MOVED] = Share(int((lost["distortion"] > 0).sum()), len(lost) or len(runs), HALF)
    return table


def _of_reference(runs: pl.DataFrame, failed: int, wanted: float) -> dict[str, Share]:
    """What new agents come to under the strongest feedback."""
    worse = runs.select(pl.max_horizontal("final_misbehaviour_watched", "final_misbehaviour_unwatched")).to_series()
    bad = worse > pl.select(pl.max_horizontal(pl.lit(MOST), runs["random_misbehaviour"].fill_null(0.0))).to_series()
    neither = ~bad & (runs["final_competence"] < wanted / 2)
    total = len(runs) + failed
    return {
        MISBEHAVING: Share(int(bad.sum()), total, HALF),
        NEITHER: Share(int(neither.sum()) + failed, total, HALF),
    }


def flags_of(
    label: str, node: str, runs: Mapping[str, pl.DataFrame], cheapest: str | None, delta: float
) -> dict[str, str]:
    """What else was found, in words, by name of the flag.

    Args:
      label: of the case, and the `node` that gave it.
      runs: of each lever that was tried.
      cheapest: the least of them that would have prevented the failure.
      delta: the share of runs that may be otherwise.
    """
    if node in (IN_TIME, "self-correcting"):
        found = verdict.flags_of(runs[levers.ACTUAL], verdict.IN_TIME)
        names = {"relapse": "while-overseen", "stopped-only": "stopped-only"}
        return {names[name]: said for name, said in found.items() if name in names}
    table = dict[str, str]()
    if node == BY_PRIOR:
        table["by-prior"] = "new agents come to the misbehaviour under perfect feedback, too"
    elif label in (OUTER, INNER):
        table |= _too_late([runs[name] for name in levers.IN_DEPLOYMENT if name in runs])
    if _only_defences(runs[levers.ACTUAL], delta):
        table["monitoring-only"] = "behind the defences the catastrophe does not come first"
    stopped = 0 if cheapest is None else int((runs[cheapest]["outcome"] == "stopped").sum())
    if cheapest is not None and stopped > len(runs[cheapest]) / 2:
        table["stopped-only"] = f"the agents only stop, in {stopped} of {len(runs[cheapest])} runs with that"
    if cheapest in levers.LEVELS:
        table["data-preventable"] = f"{levers.LEVELS[cheapest]:.0%} of other training levels would have prevented it"
    return table


def _too_late(best: list[pl.DataFrame]) -> dict[str, str]:
    """Why the best feedback in deployment comes too late."""
    if not best:
        return {}
    step = max(_median(runs["steps_to_catastrophe_in_race"].cast(pl.Float64).fill_null(math.inf)) for runs in best)
    if step <= EARLY:
        return {"high-stakes": f"under the best feedback the catastrophe comes after {step:,.0f} gradient steps"}
    return {"robust-goal": f"under the best feedback there were more than {EARLY} gradient steps, and they did not do"}


def _only_defences(runs: pl.DataFrame, delta: float) -> bool:
    """Whether the catastrophe comes first, and behind the defences does not."""
    defended = behind_defences(runs)
    if defended is None:
        return False
    bare, behind = (int((table["first_event"] != "catastrophe").sum()) for table in (runs, defended))
    return chance(Share(behind, len(runs), 1 - delta)) >= DECIDED and chance(Share(bare, len(runs), 1 - delta)) < HALF
