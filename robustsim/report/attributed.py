"""An attribution in words: what happened, what would have prevented it, and what would not have."""

import textwrap
from typing import Any

from robustsim import levers
from robustsim.analysis.tree import DECIDED, LABELS

WIDTH = 116
BY_ITSELF = "new agents come to the misbehaviour by themselves, under feedback from their first step on"


def in_words(found: dict[str, Any]) -> str:
    """All lines for the terminal; `found` is an :class:`robustsim.attribution.answer.Attribution` as a dict."""
    lines = [f"{found['scenario']}: {headline(found)}"]
    lines += [_wrapped(paragraph(found), "  ")]
    lines += ["", "  asked, in this order"]
    asked = [node for node in found["path"] if node["yes"] is not None]
    lines += [_wrapped(_step(node), "    ", "      ") for node in asked]
    lines += ["", "  tried"]
    lines += [_wrapped(f"{name}: {_tried(lever)}", "    ", "      ") for name, lever in found["levers"].items()]
    if found["contributions"]:
        parts = ", ".join(f"{name} {share:+.2f}" for name, share in found["contributions"].items())
        lines += ["", _wrapped(f"shares of the gain of all of them together, in decades: {parts}", "  ")]
    lines += ["", _wrapped(caveat(found), "  ")]
    return "\n".join(lines)


def _wrapped(text: str, first: str, then: str = "  ") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=then)


def headline(found: dict[str, Any]) -> str:
    """The label with its flags and its probability."""
    return f"{', '.join([found['label'], *found['flags']])}, with a probability of {found['confidence']:.2f}"


def paragraph(found: dict[str, Any]) -> str:
    """For a colleague."""
    label = found["label"]
    if label.startswith("undetermined"):
        parts = label.removeprefix("undetermined(").rstrip(")").split("|")
        return f"The runs do not tell {' from '.join(parts)}; more seeds (max_seeds) may."
    meaning = BY_ITSELF if "by-prior" in found["flags"] else LABELS[label]
    said = [f"{meaning[0].upper()}{meaning[1:]}."]
    alone = (levers.ACTUAL, levers.REFERENCE)
    tried = {name: lever for name, lever in found["levers"].items() if name not in alone and not _less(name, found)}
    helped = [lever["said"] for lever in tried.values() if (lever["prevents"] or 0) >= DECIDED]
    not_helped = [lever["said"] for lever in tried.values() if (lever["prevents"] or 0) <= 1 - DECIDED]
    cheapest = found["levers"][found["cheapest"]]["said"] if found["cheapest"] else None
    if cheapest is not None and helped != [cheapest]:
        said.append(f"The least that would have prevented it: {cheapest}.")
    if helped:
        said.append(f"What would have prevented it: {'; or '.join(helped)}.")
    if not_helped:
        said.append(f"What would not have: {'; '.join(not_helped)}.")
    less = [found["levers"][name]["prevents"] for name in found["levers"] if _less(name, found)]
    if less and max(less) <= 1 - DECIDED:
        said.append("Less of that would not have.")
    said += [f"{remark[0].upper()}{remark[1:]}." for remark in found["flags"].values()]
    return " ".join(said)


def _less(name: str, found: dict[str, Any]) -> bool:
    """Whether a lever is less of the one that prevents the failure."""
    return found["cheapest"] is not None and name.startswith(f"{found['cheapest']}-") and name[-1].isdigit()


def _step(node: dict[str, Any]) -> str:
    asked = [f"{name}: {hits} of {runs}" for name, (hits, runs, _) in node["tests"].items()]
    answer = "yes" if node["yes"] >= DECIDED else "no" if node["yes"] <= 1 - DECIDED else "open"
    return f"{node['node']}? {answer}, {node['yes']:.2f} ({'; '.join(asked)})"


def _tried(lever: dict[str, Any]) -> str:
    parts = [lever["said"]]
    if lever["in_time"] is not None:
        parts.append(f"{lever['in_time']} of {lever['judged']} in time")
    if lever["failed"]:
        parts.append(f"{lever['failed']} never competent")
    parts.append(f"harm until removal {_harm(lever['k50'])}")
    if gained := _gain(lever["gain"]):
        parts.append(f"gain {gained} decades")
    return "; ".join(parts)


def _harm(k50: dict[str, Any]) -> str:
    low, middle, high = (None if x is None else f"{x:,.0f}" for x in (k50["low"], k50["median"], k50["high"]))
    if middle is None:
        return "not identified" if low is None else f"at least {low}"
    return f"{middle} [{low or 'open'}, {high or 'open'}]"


def _gain(gain: dict[str, Any] | None) -> str:
    """In decades; "" where it is not identified."""
    if gain is None or all(x is None for x in gain.values()):
        return ""
    low, middle, high = (None if x is None else f"{x:+.2f}" for x in (gain["low"], gain["estimate"], gain["high"]))
    if middle is None:
        return f"at least {low}" if low is not None else f"at most {high}"
    return f"{middle} [{low or 'open'}, {high or 'open'}]"


def cells(lever: dict[str, Any]) -> list[str]:
    """A lever as cells of a table: what it is, runs in time, harm, gain in decades, and cost of its feedback."""
    in_time = "-" if lever["in_time"] is None else f"{lever['in_time']} of {lever['judged']}"
    cost = lever["feedback"]["median"]
    gained, spent = _gain(lever["gain"]) or "-", "-" if cost is None else f"{cost:,.0f}"
    return [lever["said"], in_time, _harm(lever["k50"]), gained, spent]


def caveat(found: dict[str, Any]) -> str:
    """What the label is relative to."""
    times = "" if found["cost"] is None else f" ({found['cost']:g} times the range of training returns)"
    return (
        f"All of it is relative to these levers, penalties of up to {found['largest_penalty']:g}{times}, "
        f"k = {found['threshold']:,g}, a share of {found['delta']:g} of runs that may fail, and a horizon of "
        f"{found['horizon']:,} gradient steps. Other levers can give another label."
    )
