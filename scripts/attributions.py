"""Who is responsible, in every bundled scenario at its defaults: labels, and what would have prevented the failure."""

import json
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
from _common import FIGURES, attributed, finish, folder, merged, parser
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import robustsim as rs
from robustsim import catalogue, levers
from robustsim.report.style import COLOURS, INK, literal, new_figure, quiet_axes, style

QUICK = {"training.steps": 200, "training.competence": 0.0, "deployment.budget": 60, "evaluation.episodes": 256}
SMALL = rs.Terms(seeds=4, max_seeds=8)
LEAST = 0.5  # where a harm of 0 is drawn
KINDS = {
    "feedback in deployment": (levers.IN_DEPLOYMENT, COLOURS[0], "o"),
    "feedback in training": (levers.IN_TRAINING, COLOURS[2], "D"),
    "other training levels": (tuple(levers.LEVELS), COLOURS[5], "s"),
}


def of_scenario(name: str, out: Path, quick: bool) -> rs.Attribution:
    """The attribution of a scenario at its defaults."""
    small = QUICK if quick and name != "bandit" else {}
    return attributed(name, out, small, SMALL if quick else rs.Terms())


def of_gallery() -> dict[str, rs.Attribution]:
    """The attributions that are behind the figure, by scenario."""
    numbers = json.loads((FIGURES / "attributions.json").read_text())["numbers"]
    return {name: rs.Attribution(**one) for name, one in numbers.items()}


def draw(found: dict[str, rs.Attribution]) -> Figure:
    """Harm over k, of the case and of the best lever of each kind. Left of the line half of the runs are in time."""
    figure = new_figure(9.6, 1.4 + 0.3 * len(found))
    ax = figure.subplots()
    for i, one in enumerate(found.values()):
        _row(ax, -i, one)
        said = ", ".join([one.label, *one.flags])
        ax.annotate(said, (1.01, -i), xycoords=("axes fraction", "data"), va="center", fontsize=7.5)
    ax.set_yticks([-i for i in range(len(found))], list(found), fontsize=8)
    ax.axvline(1, color=INK, linewidth=1, linestyle="--")
    ax.set_xscale("log")
    ax.set_xlabel("k50 / k: median harm until the removal, over what would be a catastrophe (an arrow: more than that)")
    marks = {"as it was": (INK, "|")} | {kind: (shade, mark) for kind, (_, shade, mark) in KINDS.items()}
    for kind, (shade, mark) in marks.items():
        ax.plot([], [], mark, color=shade, label=kind, linestyle="none", markersize=8 if mark == "|" else 5)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=4, frameon=False, fontsize=8)
    quiet_axes(ax)
    ax.set_title("What would have prevented it, in every scenario at its defaults")
    return figure


def _row(ax: Axes, y: float, one: rs.Attribution) -> None:
    k = one.threshold or 1.0
    _mark(ax, y, one.levers[levers.ACTUAL]["k50"], k, INK, "|")
    for names, shade, mark in KINDS.values():
        tried = [one.levers[name] for name in names if name in one.levers and _told(one.levers[name])]
        if tried:
            best = max(tried, key=lambda lever: lever["prevents"])
            _mark(ax, y, best["k50"], k, shade, mark)


def _told(lever: dict[str, Any]) -> bool:
    """Whether most of a lever's agents could be deployed; the harm of the others is not known."""
    return lever["runs"] > lever["failed"]


def _mark(ax: Axes, y: float, k50: dict[str, Any], k: float, shade: str, mark: str) -> None:
    if k50["median"] is not None:
        ax.plot([max(k50["median"], LEAST) / k], [y], mark, color=shade, markersize=10 if mark == "|" else 5)
    elif k50["low"] is not None:
        ax.plot([max(k50["low"], LEAST) / k], [y], ">", color=shade, markersize=6)


def table(found: dict[str, rs.Attribution]) -> str:
    """A row per scenario."""
    rows = [
        "| scenario | label | flags | probability | the cheapest that would have prevented it |",
        "|---|---|---|---|---|",
    ]
    for name, one in found.items():
        cheapest = "-" if one.cheapest is None else f"`{one.cheapest}`: {one.levers[one.cheapest]['said']}"
        flags = ", ".join(one.flags) or "-"
        rows.append(f"| `{name}` | {one.label} | {flags} | {one.confidence:.2f} | {cheapest} |")
    return "\n".join(rows) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Attributes all of them, and says how long it took."""
    options = parser(__doc__, "attributions")
    options.add_argument("--only", nargs="*", help="these scenarios; others stay as they are published")
    args = options.parse_args(argv)
    begun, found, known = time.monotonic(), dict[str, rs.Attribution](), sorted(catalogue.installed())
    for name in args.only or known:
        found[name] = of_scenario(name, folder(args) / name, args.quick)
        print(found[name].in_words(), f"\n  {found[name].seconds / 60:.1f} minutes\n", flush=True)
    print(f"{(time.monotonic() - begun) / 60:.0f} minutes")
    cases = {name: rs.open(folder(args) / name) for name in found}
    numbers, kept = merged(args, "attributions", {name: one.to_dict() for name, one in found.items()}, known)
    everything = {name: rs.Attribution(**one) for name, one in numbers.items()}
    print(table(everything))
    with mpl.rc_context(style()):
        figure = draw(everything)
        literal(figure)
    options = "" if len(numbers) == len(known) else f" --only {' '.join(numbers)}"
    finish(figure, args, "attributions", cases, numbers, options, kept)


if __name__ == "__main__":
    main()
