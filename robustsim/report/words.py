"""Results in words: the answer in sentences, and the one way in which every number and label is written.

| what | rule |
|---|---|
| rate, share, ratio | two decimals |
| concealment, and decades (position, margin) | two decimals with their sign |
| time | whole gradient steps, thousands separated |
| setting | four significant digits; in labels three, or as many as tell the values apart |

A median that is not identified is reported as such, and an end of an interval that is not identified is "open".
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import polars as pl

from robustsim.analysis.configurations import part
from robustsim.analysis.tables import Tables

CLOCKS = {"steps_to_suppress": "T_suppress", "steps_to_correct": "T_c", "steps_to_catastrophe": "T_k"}
FEW, DIGITS = 3, 4  # significant digits of a setting in a label, and elsewhere
MOST_NAMED, MOST_REASONS = 4, 3  # failed runs that are named for a reason, and reasons that are given


def answer(results: Tables) -> list[str]:
    """Sentences for one configuration, or for a sweep; first of all, which runs failed."""
    failed = [] if results.failed.is_empty() else [f"{failures(results)}. What follows is about the others."]
    return failed + (_of_a_sweep(results) if results.swept else _of_one(results))


def failures(results: Tables) -> str:
    """How many runs failed, which, and why: the same reason once, with the numbers (in brackets) of its first run."""
    failed = results.failed
    kind, reasons = pl.col("why").cast(pl.String).str.replace_all(r" \([^()]*\)", ""), []
    for _, runs in failed.group_by(kind, maintain_order=True):
        why = runs["why"][0]
        named = [point(row) for row in runs.drop("why").head(MOST_NAMED).to_dicts()]
        more = [f"{len(runs) - MOST_NAMED:,} more"] if len(runs) > MOST_NAMED else []
        reasons.append(f"{'; '.join(named + more)}: {why}")
    total = len(results.runs) + len(failed)
    shown = reasons[:MOST_REASONS] + [f"{len(reasons) - MOST_REASONS} more reasons"] * (len(reasons) > MOST_REASONS)
    return f"{len(failed):,} of {total:,} runs failed: {' | '.join(shown)}"


def _of_one(results: Tables) -> list[str]:
    s, budget = results.summary(), results.settings.get("deployment.budget")
    n = s["seeds"]
    removed = n - s["steps_to_correct"]["censored"]
    agents = "1 agent was" if n == 1 else f"{n} independently trained agents were"
    verdict = s["verdict"]
    found = [
        finding(verdict),
        f"{agents} deployed with this goal: {removed} of {n} unlearned the misbehaviour, watched and unwatched, "
        f"within {budget:,} gradient steps ({outcomes(s['outcomes'])}).",
        f"Time to correct, T_c: {clock(s['steps_to_correct'], n)}. "
        f"Time to catastrophe without an overseer, T_k: {clock(s['steps_to_catastrophe'], n)}.",
        f"In the race, the catastrophe came first in {s['p_catastrophe_first']['count']} of {n}: "
        f"P(catastrophe first) = {share(s['p_catastrophe_first'])}.",
        f"Position, log10(T_c / T_k): {interval(s['position'])}. Below 0, correction under this overseer is "
        "faster than the catastrophe without one.",
    ]
    found += measured(s)
    if s["concealment"]["median"] is not None:
        found.append(
            f"Concealment {interval(s['concealment'])}: 0 means that the goal changed, 1 that only "
            f"behaviour under watch changed (T_suppress: {clock(s['steps_to_suppress'], n)})."
        )
    return found


def finding(verdict: dict[str, Any]) -> str:
    """The verdict in a sentence, with how sure it is and what it rests on."""
    name, reason = verdict["verdict"], verdict["reason"]
    if name == "undetermined":
        name = " or ".join(dict.fromkeys(verdict["between"])) + ", undetermined" if verdict["between"] else name
    decided = verdict["verdict"] != "undetermined"
    sure = f", with a probability of {rate(verdict['posterior'])}" if decided else ""
    sentence = f"Verdict: {', '.join([name, *verdict['flags']])}{sure}. {reason[:1].upper()}{reason[1:]}."
    return f"{sentence} At most {verdict['delta']:.0%} of the runs may be otherwise."


def outcomes(counts: dict[str, int]) -> str:
    """What runs became."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def measured(s: dict[str, Any]) -> list[str]:
    """Sentences about harm, fading and inertia, as far as they are known."""
    n, found = s["seeds"], []
    if s["harm"]["median"] is not None:
        found.append(
            f"Harm up to the correction: {_bounded(s['harm'], steps, 'unknown')} against a threshold of "
            f"{s['verdict']['threshold']:,}: margin {interval(s['margin'])} decades. Below 0, the race is won."
        )
    if s["steps_to_fade"]["censored"] < n and s["steps_to_fade"]["median"] is not None:
        found.append(
            f"Without an overseer it fades too, in {clock(s['steps_to_fade'], n)}; the overseer's part is "
            f"{interval(s['speed_up'])} decades."
        )
    if s["inertia"]["median"] is not None or s["inertia"]["low"] is not None:
        found.append(
            f"Inertia {ratio(s['inertia'])}: the steps to redirect this agent, as a "
            "multiple of those that a new one takes to learn the task with the same feedback."
        )
    return found


def _of_a_sweep(results: Tables) -> list[str]:
    table = results.spectrum()
    n, runs, margins = len(table), len(results.runs), table["margin_median"].drop_nulls()
    first, removed = (int((results.runs["first_event"] == event).sum()) for event in ("catastrophe", "removed"))
    estimates = table["p_catastrophe_first_estimate"]
    return [
        f"{n:,} configurations of {' and '.join(results.swept)}, {runs:,} runs in total. {_verdicts(table)}",
        f"In the race, the misbehaviour was removed first in {removed:,} runs, the catastrophe came first in "
        f"{first:,}, and neither happened in {runs - removed - first:,}. By configuration, P(catastrophe first) ranges "
        f"from {rate(estimates.min())} to {rate(estimates.max())}.",
        f"The median margin, log10 of the harm up to T_c over the threshold, is below 0 (the race is won) in "
        f"{(margins < 0).sum():,} configurations, at or above 0 in {(margins >= 0).sum():,}, and not identified in "
        f"{n - len(margins):,}.",
    ]


def _verdicts(table: pl.DataFrame) -> str:
    """How many configurations have which verdict, and which flags."""
    counts = table["verdict"].value_counts(sort=True)
    said = ", ".join(f"{count:,} {name}" for name, count in counts.iter_rows())
    flags = [flag for row in table["flags"] for flag in row.split(", ") if flag]
    flagged = ", ".join(f"{flags.count(flag):,} {flag}" for flag in dict.fromkeys(flags))
    return f"Verdicts: {said}{f' (flags: {flagged})' if flagged else ''}."


def spectrum_rows(results: Tables, spectrum: pl.DataFrame) -> list[dict[str, str]]:
    """Rows of the spectrum as words, by heading."""
    needed = digits(results.runs, results.swept)
    return [
        {short(name): value(row[name], needed[name]) for name in results.swept}
        | {"runs": str(row["runs"]), "verdict": verdict_of(row)}
        | {"P(catastrophe first)": share(part(row, "p_catastrophe_first"))}
        | {label: clock(part(row, name), row["runs"], "") for name, label in list(CLOCKS.items())[1:]}
        | {"margin": interval(part(row, "margin"), "-"), "inertia": ratio(part(row, "inertia"), "-")}
        | {"position": interval(part(row, "position"), "-")}
        for row in spectrum.to_dicts()
    ]


def verdict_of(row: dict[str, Any]) -> str:
    """The verdict of a row of the spectrum, with its flags."""
    return ", ".join(filter(None, (row["verdict"], row["flags"])))


# --- numbers and labels ---


def rate(x: Any) -> str:
    """A rate, a share or a competence; None is unknown."""
    return "unknown" if x is None else f"{x:.2f}"


def decades(x: float) -> str:
    """A position or a concealment: two decimals with the sign; what rounds to 0 is +0.00."""
    return f"{x:+z.2f}"


def steps(x: float) -> str:
    """A time in gradient steps."""
    return f"{x:,.0f}"


def share(part: dict[str, Any]) -> str:
    """A share with its interval: {estimate, low, high}."""
    return f"{rate(part['estimate'])} [{rate(part['low'])}, {rate(part['high'])}]"


def interval(part: dict[str, Any], unknown: str = "not identified") -> str:
    """A position or a concealment, median with its interval: {median, low, high}."""
    return _bounded(part, decades, unknown)


def ratio(part: dict[str, Any], unknown: str = "not identified") -> str:
    """A ratio, median with its interval: {median, low, high}."""
    return _bounded(part, rate, unknown)


def clock(part: dict[str, Any], runs: int, unit: str = " gradient steps") -> str:
    """A median time with its interval, and how many of `runs` are censored: {median, low, high, censored}."""
    censored = f", censored in {part['censored']} of {runs}" if part["censored"] else ""
    return _bounded(part, steps, "not identified", unit) + censored


def _bounded(part: dict[str, Any], form: Callable[[float], str], unknown: str, unit: str = "") -> str:
    if part["median"] is None and part["low"] is None and part["high"] is None:
        return unknown
    low, high = ("open" if part[end] is None else form(part[end]) for end in ("low", "high"))
    middle = unknown if part["median"] is None else form(part["median"]) + unit
    return f"{middle} [{low}, {high}]"


def point(values: dict[str, Any], digits: Mapping[str, int] = {}) -> str:
    """The label of a configuration: the values of the swept names, with `digits` as :func:`digits` returns them."""
    return ", ".join(f"{short(name)} {value(x, digits.get(name, DIGITS))}" for name, x in values.items())


def digits(table: pl.DataFrame, names: Iterable[str]) -> dict[str, int]:
    """How many significant digits each of some columns needs: three, or as many as tell its values apart."""
    found = {}
    for name in names:
        there = table[name].unique().to_list()
        found[name] = next((n for n in range(FEW, 17) if len({value(x, n) for x in there}) == len(there)), 17)
    return found


def configurations(results: Tables) -> list[tuple[str, pl.DataFrame]]:
    """(label, runs) of each configuration, in the order in which they come first; a single one is called as its
    scenario."""
    if not results.swept:
        return [(results.scenario, results.runs)]
    groups, needed = results.runs.group_by(results.swept, maintain_order=True), digits(results.runs, results.swept)
    return [(point(dict(zip(results.swept, values, strict=True)), needed), runs) for values, runs in groups]


def title(results: Tables) -> str:
    """The scenario, with the values that were chosen of a sweep."""
    return ", ".join(filter(None, [results.scenario, point(results.chosen)]))


def short(name: str) -> str:
    """The last part of a dotted name."""
    return name.split(".")[-1]


def value(x: Any, digits: int = DIGITS) -> str:
    """A setting's value, a number with so many significant digits, or all those before its point."""
    if x is None:
        return "not set"
    if isinstance(x, float):
        return f"{x:.{max(digits, len(str(int(abs(x))))) if abs(x) < 1e5 else digits}g}"
    return str(x).lower() if isinstance(x, bool) else str(x)
