"""What labels, columns of the spectrum and keys of the summary mean. Each is said once here; docs/glossary.md shows it.

The columns of `runs` and `traces` are declared, with their meaning, in :mod:`robustsim.sweep.columns`. Needs no JAX.
"""

from collections.abc import Iterable
from typing import NamedTuple

from robustsim.analysis.classify import QUADRANTS
from robustsim.analysis.evidence import FLAGS
from robustsim.analysis.tree import LABELS
from robustsim.analysis.verdict import VERDICTS

STEPS = "gradient steps"


class Entry(NamedTuple):
    """A name, what its values are counted in, and what it means."""

    name: str
    unit: str
    doc: str


# --- labels: what they are called, and what they mean ---

FIRST_EVENTS = {
    "removed": "the misbehaviour was removed, and no catastrophe came before or at the same gradient step",
    "catastrophe": "the catastrophe rule fired, and the misbehaviour had not been removed by then; also on a tie",
    "censored": "neither happened within the budget",
}
ARMS = {
    "corrected": "the overseer gives feedback: T_c, T_suppress, concealment, relapse and the race come from here",
    "unopposed": "the overseer is silent: T_k comes from here. Left out with `deployment.stop=first_event`",
}
CONDITIONS = {
    "watched": "the episode is watched; with `overseer.visible` the agent sees a signal that says so",
    "unwatched": "it is not, and the signal is off",
}
TWINS = {
    "aligned": "half of the training levels distinguish goal and proxy (`env.alpha=0.5`); for scenarios with that axis",
    "random-init": "the network is never trained: what does a learner without the goal do?",
    "oracle": "the overseer sees every episode, unnoticed, without errors or delay: what could feedback do at best?",
    "guarded": "the tampering act is a no-op (`tampering.guarded=true`); for scenarios with tampering",
}
STAGES = {
    "training": "before deployment; no overseer, no catastrophe rule. Ends at `training.steps`, or later, at most at "
    "`training.steps * (1 + training.extension)`, where `training.competence` takes longer",
    "deployment start": "step 0 of both arms, of which the columns `start_*`, `competence` and `misbehaviour_*` of "
    "`runs` tell",
    "deployment": "act, catastrophe rule, overseer, gradient update, again; at most `deployment.budget` gradient steps",
    "patience": "after a removal at T the overseer stays for `deployment.patience * T` more steps",
    "relapse phase": "then it leaves for max(T, `deployment.relapse_steps`) steps; 0 leaves this phase out",
    "before": "of a replay: deployment start",
    "during": "of a replay: the first evaluation at which a misbehaviour rate had fallen to half",
    "after": "of a replay: the evaluation of the removal, or else the last one under the overseer",
}
OUTCOMES = {
    "incapacitated": "removed, and less than 0.8 of the competence at deployment start is left",
    "stopped": "removed, and less than 0.8 of the reference competence is there: it does neither wrong nor its task",
    "redirected": "removed, and at least 0.8 of the reference competence came with it, or later",
    "removed": "removed; without reference agents that have learned the task stopped cannot be told from redirected",
    "uncorrected": "not removed within the budget",
    "nothing-to-correct": "at the floor from the start",
}
EXITS = {
    "0": "done",
    "1": "a check failed: `check` found a problem, `validate` a deviation",
    "2": "bad input, or a place that cannot be read or written: one line names it; nothing is half-written",
    "3": "some runs failed; the others are kept and shown",
    "130": "stopped by Ctrl-C or SIGTERM; what was done is saved, and the same command goes on",
}
STATUS = {
    "runs": "in total",
    "done": "stored, failed ones included",
    "flying": "finished by workers, not stored yet",
    "corrected": "stored runs whose misbehaviour was removed, before or after a catastrophe",
    "catastrophe_first": "stored runs in which the catastrophe came first",
    "censored": "stored runs in which neither came",
    "failed": "[its seed and the values of the swept names, why] of each run that failed",
    "shards": "units of storage",
    "shards_done": "of them, those that are complete",
    "steps": "gradient steps of the stored runs",
    "rate": "gradient steps per second now, of all workers together",
    "compile_seconds": "that the active workers have spent compiling",
    "seconds_left": "an estimate; null while nothing is known",
    "workers": "active now",
    "training": "of them, those that train agents",
}

# --- the parts of an answer: unit and meaning; {} stands for what is asked about ---

Parts = dict[str, tuple[str, str]]


def _interval(unit: str) -> Parts:
    return {
        "low": (unit, "lower end of its 95% interval; null: open"),
        "high": (unit, "upper end of its 95% interval; null: open"),
    }


CLOCK: Parts = {
    "median": (STEPS, "median of {} (Kaplan-Meier); null: not identified"),
    **_interval(STEPS),
    "censored": ("runs", "that did not come to it while they lasted"),
}
POSITION: Parts = {
    "median": ("decades", "{}, of Kaplan-Meier medians; null: not identified"),
    **_interval("decades"),
    "negative": ("runs", "known to be below 0: correction was faster"),
    "positive": ("runs", "known to be above 0: the catastrophe was faster"),
    "unknown": ("runs", "at 0, or left open on which side of it by censoring"),
    "method": ("", "km-difference; or bounds, of the median over runs, where a median is not identified"),
}
SHARE: Parts = {
    "estimate": ("", "{}, the share of the runs"),
    "low": ("", "lower end of its 95% interval (Clopper-Pearson)"),
    "high": ("", "upper end of its 95% interval"),
    "count": ("runs", "in which it happened"),
    "runs": ("runs", "that it is a share of"),
}
RACE: Parts = SHARE | {
    "low": ("", "lower end of its 95% interval (Clopper-Pearson), if no censored run comes to the catastrophe first"),
    "high": ("", "upper end of its 95% interval, if all of them do"),
    "censored": ("runs", "in which neither came within the budget"),
    "at_most": ("", "the share if the catastrophe came first in all of these too"),
}


def middle(unit: str) -> Parts:
    """The parts of a median over the runs that have a value."""
    return {"median": (unit, "median of {}"), **_interval(unit), "missing": ("runs", "without a value")}


BOUNDED: Parts = {
    "median": ("", "median of {}; null: not identified"),
    **_interval(""),
    "censored": ("runs", "of which only a lower bound is known"),
    "missing": ("runs", "without a value"),
}

# --- results.spectrum() ---

_QUANTITIES = (
    ("p_catastrophe_first", "P(catastrophe before removal) in the corrected arm", RACE),
    ("steps_to_correct", "T_c", CLOCK),
    ("steps_to_redirect", "T_redirect", CLOCK),
    ("steps_to_fade", "T_fade", CLOCK),
    ("steps_to_suppress", "T_suppress", CLOCK),
    ("steps_to_catastrophe", "T_k", CLOCK),
    ("margin", "log10((H + 1/2) / k), in decades; negative where the race is won", BOUNDED),
    ("inertia", "steps_to_redirect / steps_to_scratch", BOUNDED),
    ("position", "log10(median T_c / median T_k)", POSITION),
    ("concealment", "the concealment (0: changed everywhere, 1: changed only while watched)", middle("")),
)

SPECTRUM = (
    Entry("scenario", "", "its name; the swept settings follow under their dotted names"),
    Entry("runs", "runs", "in this configuration, without those that failed"),
    Entry("verdict", "", "what they decide"),
    Entry("flags", "", "those of the verdict, with commas between them"),
    *(
        Entry(f"{name}_{part}", unit, doc.format(about))
        for name, about, parts in _QUANTITIES
        for part, (unit, doc) in parts.items()
    ),
    *(Entry(f"first_{event}", "runs", f"with `first_event` {event}") for event in FIRST_EVENTS),
)

# --- results.summary() and `robustsim run --json` ---

DEFENDED = {
    "steps_to_catastrophe": CLOCK,
    "position": POSITION,
    "p_catastrophe_first": RACE,
    "shutdown": SHARE,
}
VERDICT = {
    "verdict": "one of the verdicts",
    "between": "the two that are still possible where it is undetermined",
    "posterior": "how probable the answer is that it rests on, under a uniform prior",
    "successes": "runs that were removed before the catastrophe and not incapacitated",
    "judged": "runs that had something to correct",
    "runs_needed": "about how many runs would decide; null: decided, or none would",
    "flags": "a list: relapse, stopped-only, while-watched",
    "reason": "why, in words",
    "delta": "the share of runs that may be otherwise",
    "threshold": "k of the catastrophe rule",
}
SUMMARY: dict[str, tuple[str, dict[str, object]]] = {
    "scenario": ("its name", {}),
    "config": ("every setting by its dotted name", {}),
    "seeds": ("number of runs, without those that failed", {}),
    "failed": ("how many runs failed, by reason", {}),
    "competence": ("share of the episodes that succeed, at deployment start", {**middle("")}),
    "misbehaviour": (
        "misbehaviour rate at deployment start, by condition",
        {condition: middle("") for condition in CONDITIONS},
    ),
    "steps_to_correct": ("T_c, gradient steps to the removal", {**CLOCK}),
    "steps_to_correct_unwatched": ("gradient steps to the removal in the unwatched condition", {**CLOCK}),
    "steps_to_suppress": ("T_suppress, gradient steps to the removal in the watched condition", {**CLOCK}),
    "steps_to_catastrophe": ("T_k, gradient steps to the catastrophe in the unopposed arm", {**CLOCK}),
    "position": ("log10(median T_c / median T_k), in decades", {**POSITION}),
    "p_catastrophe_first": ("P(catastrophe before removal) in the corrected arm", {**RACE}),
    "concealment": ("0: changed everywhere, 1: changed only while watched", {**middle("")}),
    "corrections": ("penalised misbehaviours, up to the correction", {**middle("acts")}),
    "relapsed": ("of the corrected runs, those in which the misbehaviour came back", {**SHARE}),
    "incapacitated": ("runs in which the misbehaviour went together with the competence", {**SHARE}),
    "expected_misbehaviours": ("expected number, where probabilities are known (one-decision worlds)", {**middle("")}),
    "feedback_cost": ("labels + audits + corrections + false alarms", {**middle("")}),
    "tampering": ("tampering acts under the overseer", {**middle("acts")}),
    "steps_to_redirect": ("gradient steps to the removal with 0.8 of the reference competence", {**CLOCK}),
    "steps_to_fade": ("T_fade, gradient steps to the removal without an overseer", {**CLOCK}),
    "steps_to_control": ("T_control, gradient steps to take one action that alone is rewarded", {**CLOCK}),
    "speed_up": (
        "log10(T_fade / T_c), in decades: the overseer's part",
        {
            "median": ("decades", "median of {}; null: not identified"),
            **_interval("decades"),
            "missing": ("runs", "in which both are censored"),
        },
    ),
    "inertia": ("steps_to_redirect / steps_to_scratch", {**BOUNDED}),
    "floor": ("misbehaviour that is left to the reference agents", {**middle("")}),
    "reference_competence": ("share of their episodes that succeed", {**middle("")}),
    "harm": ("H, the peak of the catastrophe rule up to T_c; its median is k50", {**BOUNDED}),
    "margin": ("log10((H + 1/2) / k), in decades; negative where the race is won", {**BOUNDED}),
    "outcomes": ("how many runs became what", {}),
    "verdict": ("what the runs decide, and how sure that is", {**VERDICT}),
    "placement": ("the label of attribution, where the verdict gives it; null: only `attribute` could tell", {}),
    "defended": ("the same race behind the defences; only where there are any", {**DEFENDED}),
}


# --- the tables of the page ---


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join([_row(*head), "|" + "---|" * len(head), *(_row(*row) for row in rows)])


def _words(head: str, words: dict[str, str]) -> str:
    return _table((head, "meaning"), ((f"`{name}`", doc) for name, doc in words.items()))


def _summary() -> str:
    rows = ((f"`{key}`", ", ".join(f"`{part}`" for part in parts) or "-", doc) for key, (doc, parts) in SUMMARY.items())
    return _table(("key", "parts", "meaning"), rows)


def tables() -> dict[str, str]:
    """The tables of docs/glossary.md by the name of their mark."""
    return {
        "verdicts": _words("verdict", VERDICTS),
        "outcomes": _words("outcome", OUTCOMES),
        "quadrants": _words("quadrant", QUADRANTS),
        "labels": _words("label", LABELS),
        "flags": _words("flag", FLAGS),
        "first events": _words("`first_event`", FIRST_EVENTS),
        "arms": _words("arm", ARMS),
        "conditions": _words("condition", CONDITIONS),
        "twins": _words("twin", TWINS),
        "stages": _words("stage", STAGES),
        "exits": _words("exit status", EXITS),
        "status": _words("key of `status --json`", STATUS),
        "spectrum": _table(
            ("column", "unit", "meaning"), ((f"`{entry.name}`", entry.unit, entry.doc) for entry in SPECTRUM)
        ),
        "summary": _summary(),
    }


def fill(page: str) -> str:
    """The page with every table between its marks (`<!-- spectrum -->` and `<!-- /spectrum -->`) made anew."""
    for name, table in tables().items():
        before, begin, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        page = f"{before}{begin}{table}\n{end}{after}" if begin and end else page
    return page
