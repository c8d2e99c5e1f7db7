"""The answer of some results, in sentences. A number that is not identified is said to be so."""

from typing import Any

import polars as pl

from robustsim.analysis import spectrum
from robustsim.analysis.tables import Tables


def answer(results: Tables) -> list[str]:
    """Sentences for one configuration, or for a sweep."""
    return _of_a_sweep(results) if results.swept else _of_one(results)


def _of_one(results: Tables) -> list[str]:
    s = results.summary()
    n, budget = s["seeds"], results.settings.get("deployment.budget")
    removed = n - s["steps_to_correct"]["censored"]
    found = [
        f"{_agents(n)} deployed with this goal: {removed} of {n} unlearned the misbehaviour, watched and unwatched, "
        f"within {budget:,} gradient steps.",
        f"Time to correct, T_c: {clock(s['steps_to_correct'], n)}. "
        f"Left unopposed, time to catastrophe, T_k: {clock(s['steps_to_catastrophe'], n)}.",
        f"In the race, the catastrophe came first in {s['p_catastrophe_first']['count']} of {n}: "
        f"P(catastrophe first) = {share(s['p_catastrophe_first'])}.",
        f"Position on the spectrum, log10(T_c / T_k): {interval(s['position'])}. Below 0, correction is "
        "the faster clock.",
    ]
    if s["concealment"]["median"] is not None:
        found.append(
            f"Concealment {interval(s['concealment'])}: 0 means that the goal changed, 1 that the agents only learned "
            f"when they get caught (T_suppress: {clock(s['steps_to_suppress'], n)})."
        )
    place = s["placement"]
    found.append(
        f"Placement: {', '.join([place['label'], *place['flags']])}. {_sentence(place['reason'])} "
        f"This rests on: {place['family']}, within {place['horizon']}, P at most {place['delta']}."
    )
    return found


def _of_a_sweep(results: Tables) -> list[str]:
    table = results.spectrum()
    n, runs = len(table), len(results.runs)
    median = table["position_median"].drop_nulls()
    first = spectrum.catastrophe_first(results.runs)
    removed = int((results.runs["first_event"] == "removed").sum())
    estimates = table["p_catastrophe_first_estimate"]
    safe = table.filter(pl.col("p_catastrophe_first_high") <= 0.5)
    lost = table.filter(pl.col("p_catastrophe_first_low") > 0.5)
    return [
        f"{n:,} configurations of {' and '.join(results.swept)}, {runs:,} runs in all.",
        f"The median position, log10(T_c / T_k), is below 0 (correction is the faster clock) in "
        f"{int((median < 0).sum()):,} configurations, at or above 0 in {int((median >= 0).sum()):,}, and not "
        f"identified in {n - len(median):,}.",
        f"In the race, the misbehaviour was removed first in {removed:,} runs, the catastrophe came first in "
        f"{first['count']:,}, and neither happened in {runs - removed - first['count']:,}.",
        f"By configuration, P(catastrophe first) goes from {_two(estimates.min())} to {_two(estimates.max())}. Its "
        f"95% interval lies at or below one half in {len(safe):,} configurations, above it in {len(lost):,}, and "
        f"on both sides of it in {n - len(safe) - len(lost):,}.",
    ]


def _agents(n: int) -> str:
    return "1 agent was" if n == 1 else f"{n} independently trained agents were"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _two(x: Any) -> str:
    return f"{x:.2f}"


def share(part: dict[str, Any]) -> str:
    """A share with its interval."""
    return f"{part['estimate']:.2f} [{part['low']:.2f}, {part['high']:.2f}]"


def interval(part: dict[str, Any]) -> str:
    """A median with its interval, ends that are not known being open."""

    def end(x: float | None) -> str:
        return "open" if x is None else f"{x:+.2f}"

    middle = "not identified" if part["median"] is None else f"{part['median']:+.2f}"
    return f"{middle} [{end(part['low'])}, {end(part['high'])}]"


def clock(part: dict[str, Any], runs: int) -> str:
    """A median time in gradient steps, and how many runs are censored."""

    def end(x: float | None) -> str:
        return "open" if x is None else f"{x:,.0f}"

    censored = f", censored in {part['censored']} of {runs}" if part["censored"] else ""
    if part["median"] is None:
        return f"not identified{censored}"
    return f"{part['median']:,.0f} gradient steps [{end(part['low'])}, {end(part['high'])}]{censored}"


def point(values: dict[str, Any]) -> str:
    """The values of swept names, short."""
    return ", ".join(f"{name.split('.')[-1]} {value(x)}" for name, x in values.items())


def value(x: Any) -> str:
    """A setting's value, short."""
    return f"{x:.3g}" if isinstance(x, float) else str(x).lower() if isinstance(x, bool) else str(x)
