"""A relabelling in words: which share of the training would have had to be corrected."""

from typing import Any

from robustsim.analysis.tree import OUTER
from robustsim.analysis.verdict import UNDETERMINED

Found = dict[str, Any]


def in_words(found: Found) -> str:
    """All lines for the terminal; `found` is a :class:`robustsim.attribution.relabelled.Relabel` as a dict."""
    before = next(iter(found["curves"].values()))["rate"][0]
    lines = [f"{found['scenario']}: {what(found)} in {before:.2f} of the {_of(found)} at deployment start"]
    lines += [f"  half of it is gone with {_dose(found, kind)}" for kind in found["curves"]]
    if found.get("label") is not None:
        lines += [f"  the goal is {found['label']['label']} ({found['label']['confidence']:.2f}): {_placed(found)}"]
    if found["concentration"] is not None:
        lines += [f"  concentration (at random over targeted): {_ratio(found['concentration'])}"]
    if found["windows"]:
        lines += [f"  influence against retraining, {len(found['windows'])} windows: {_correlation(found)}"]
    for kind, curve in found["curves"].items():
        lines += ["", *_table(kind, curve, what(found))]
    lines += ["", f"  A corrected misbehaviour costs {found['penalty']:g}. {found['seconds'] / 60:.1f} minutes"]
    return "\n".join(lines)


def what(found: Found) -> str:
    """What was asked for."""
    return f"a final goal {found['goal']}" if found["goal"] else "misbehaviour"


def _placed(found: Found) -> str:
    """What the label of a goal says."""
    largest = max(curve["shares"][-1] for curve in found["curves"].values())
    if found["label"]["label"] == OUTER:
        return "some of these corrections in training keep it from 9 of 10 agents"
    if found["label"]["label"] == UNDETERMINED:
        return "more agents could tell whether any of these corrections keeps it from 9 of 10"
    return f"no correction of up to {largest:.0%} of the training keeps it from 9 of 10 agents"


def _of(found: Found) -> str:
    return "agents" if found["goal"] else "episodes"


def _dose(found: Found, kind: str) -> str:
    ed50, what = found["ed50"][kind], kind.replace(", last", ", the last ones")
    largest = found["curves"][kind]["shares"][-1]
    if ed50["at_most"] is None and ed50["high"] is None and ed50["low"] >= largest:
        return f"more than {largest:.1%} of the {what}"
    most = "more" if ed50["at_most"] is None else f"{ed50['at_most']:.1%}"
    high = "open" if ed50["high"] is None else f"{ed50['high']:.1%}"
    limits = f" (95%: {ed50['low']:.1%} to {high})"
    same = (ed50["low"], ed50["high"]) == (ed50["above"], ed50["at_most"])
    return f"{ed50['above']:.1%} to {most} of the {what}{'' if same else limits}"


def _ratio(ratio: Found) -> str:
    low, high = ratio["low"], ratio["high"]
    if low is None and high is None:
        return "not identified"
    if high is None:
        return f"at least {low:.2g} (97.5%)"
    return f"at most {high:.2g} (97.5%)" if low is None else f"{low:.2g} to {high:.2g} (95%)"


def _correlation(found: Found) -> str:
    rank = found["rank_correlation"]
    if rank is None or rank["estimate"] is None:
        return "all windows leave the same misbehaviour"
    return f"rank correlation {rank['estimate']:+.2f} [{rank['low']:+.2f}, {rank['high']:+.2f}]"


def _table(kind: str, curve: Found, asked: str) -> list[str]:
    """What was asked for at each share."""
    name = f"{kind} ({curve['seeds']} agents)"
    rows = [f"  {name:<34}" + "".join(f"{share:>8.1%}" for share in curve["shares"])]
    rows.append(f"  {'  ' + asked:<34}" + "".join(f"{rate:>8.2f}" for rate in curve["rate"]))
    if any(curve["incompetent"]):
        rows.append(f"  {'  agents that are not competent':<34}" + "".join(f"{n:>8}" for n in curve["incompetent"]))
    return rows
