"""Figures of an attribution: the tree with the path taken, harm under each lever, and what feedback has to cost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import betaincinv

from robustsim import levers
from robustsim.analysis.tree import DECIDED
from robustsim.errors import UserError, nearest
from robustsim.report import figures
from robustsim.report.style import GRID, INK, LOST, NEITHER, QUIET, WON, literal, new_figure, note, quiet_axes, style

Found = dict[str, Any]
LEAST = 0.5  # where a harm of 0 is drawn, and a cost of 0
ROW, LINE = 0.34, 0.42  # inches of a lever; rows of a test


def draw(found: Found, name: str, out: str | Path | None = None) -> Figure:
    """A figure of an attribution, as a dict; with `out`, also written there.

    Raises:
      UserError: the figure or the format is unknown, or the file cannot be written.
    """
    if name not in FIGURES:
        raise UserError(f"figure: {name!r} is unknown; {nearest(name, sorted(FIGURES))}")
    figures.check_ending(out)
    with mpl.rc_context(style()):
        figure = FIGURES[name](found)
        literal(figure)
        if out is not None:
            figures.save(figure, Path(out))
    return figure


def colour(probability: float | None) -> str:
    """Of a yes, a no, and what is open."""
    if probability is None or 1 - DECIDED < probability < DECIDED:
        return NEITHER
    return WON if probability >= DECIDED else LOST


def tree(found: Found) -> Figure:
    """The questions from above, with their tests: white is no, blue yes, grey open. What was not asked is pale."""
    path = found["path"]
    heights = [max(1.0, LINE * len(node["tests"])) for node in path]
    rows = [-sum(heights[:i]) - heights[i] / 2 for i in range(len(path))]
    end = -sum(heights) - 0.5
    figure = new_figure(8.6, 0.9 + 0.42 * (sum(heights) + 1))
    ax = figure.subplots()
    ax.set_axis_off()
    ax.set_xlim(0, 10)
    ax.set_ylim(end - 0.5, 0.3)
    for node, y, below in zip(path, rows, [*rows[1:], end], strict=True):
        _question(ax, node, y, below, node["node"] == found["node"])
    if found["node"] not in [node["node"] for node in path]:
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": INK}
        ax.text(0.3, end, found["label"], va="center", weight="bold", bbox=box)
    ax.set_title(f"{found['scenario']}: {found['label']}, with a probability of {found['confidence']:.2f}")
    return figure


def _question(ax: Axes, node: Found, y: float, below: float, taken: bool) -> None:
    """A question with its tests, and the label that a yes gives."""
    asked = node["yes"] is not None
    if not taken:
        ax.plot([0.3, 0.3], [y, below], color=INK if asked else GRID, linewidth=1.6, zorder=1)
    fill = WON if taken else "white" if asked and node["yes"] <= 1 - DECIDED else GRID
    ax.plot([0.3], [y], "o", color=INK if asked else GRID, markerfacecolor=fill, markersize=11, zorder=2)
    ax.text(0.65, y, f"{node['node']}?", va="center", color=INK if asked else QUIET)
    ax.text(3.0, y, _tests(node), va="center", fontsize=7.5, color=QUIET)
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": WON if taken else GRID}
    weight = "bold" if taken else "normal"
    ax.text(8.0, y, node["label"], va="center", color=INK if taken else QUIET, weight=weight, bbox=box)
    if taken:
        ax.annotate("", (7.9, y), (7.1, y), arrowprops={"arrowstyle": "->", "color": WON})


def _tests(node: Found) -> str:
    return "\n".join(f"{name}: {hits} of {runs}" for name, (hits, runs, _) in node["tests"].items())


def ladder(found: Found) -> Figure:
    """The harm until the removal under each lever: median and 95% interval. An arrow: more than that is not known."""
    tried = list(found["levers"].items())
    figure = new_figure(8.4, 1.3 + ROW * len(tried))
    ax = figure.subplots()
    for i, (name, lever) in enumerate(tried):
        _rung(ax, -i, lever["k50"], INK if name == levers.ACTUAL else colour(lever["prevents"]))
        said = "" if lever["in_time"] is None else f"{lever['in_time']} of {lever['judged']} in time"
        ax.annotate(said, (1.01, -i), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=QUIET)
    ax.set_yticks([-i for i in range(len(tried))], [name for name, _ in tried], fontsize=8)
    ax.set_ylim(0.6 - len(tried), 0.6)
    ax.set_xscale("log")
    ax.set_xlabel("harm until the removal, H")
    if found["threshold"]:
        ax.axvline(found["threshold"], color=INK, linewidth=1, linestyle="--")
        ax.annotate("k", (found["threshold"], 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom")
    quiet_axes(ax)
    ax.set_title(f"{found['scenario']}: harm under each lever; blue prevents it, orange does not", pad=14)
    return figure


def _rung(ax: Axes, y: float, k50: Found, shade: str) -> None:
    low, middle, high = (None if k50[end] is None else max(k50[end], LEAST) for end in ("low", "median", "high"))
    if low is None:
        return
    end = high if high is not None else 3 * max(low, middle or 0.0)
    ax.plot([low, end], [y, y], color=shade, linewidth=2.5, solid_capstyle="butt")
    if high is None:
        ax.plot([end], [y], ">", color=shade, markersize=7)
    if middle is not None:
        ax.plot([middle], [y], "o", color=shade, markersize=6)


def cost(found: Found) -> Figure:
    """The share of runs that fail over what the feedback of a lever cost, and the least that can be had for so much."""
    points = sorted(
        (max(lever["feedback"]["median"], LEAST), *_failed(lever), name, colour(lever["prevents"]))
        for name, lever in found["levers"].items()
        if lever["in_time"] is not None and lever["feedback"]["median"] is not None
    )
    figure = new_figure(7.6, 4.4)
    ax = figure.subplots()
    costs, least = [p[0] for p in points], np.minimum.accumulate([p[1] for p in points])
    if points:
        ax.step([*costs, costs[-1] * 3], [*least, least[-1]], where="post", color=INK, linewidth=1.2, zorder=1)
    for x, share, low, high, name, shade in points:
        ax.plot([x, x], [low, high], color=shade, linewidth=1.5)
        ax.plot([x], [share], "o", color=shade)
        note(ax, name, (x, share), (4, 4), rotation=30)
    ax.axhline(found["delta"], color=QUIET, linewidth=1, linestyle="--")
    enough = [x for x, *_, shade in points if shade == WON]
    if enough:
        ax.axvline(min(enough), color=WON, linewidth=1, linestyle=":")
        ax.annotate("C*", (min(enough), 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", color=WON)
    ax.set_xscale("log")
    ax.set_xlabel("cost of feedback: labels, audits, corrections and false alarms (median)")
    ax.set_ylabel("share of runs that fail")
    ax.set_ylim(-0.04, 1.2)
    quiet_axes(ax)
    ax.set_title(f"{found['scenario']}: what feedback has to cost", pad=14)
    return figure


def _failed(lever: Found) -> tuple[float, float, float]:
    """The share of runs that fail, with a 95% interval."""
    hits, runs = lever["in_time"], lever["judged"]
    low, high = (float(betaincinv(runs - hits + 1, hits + 1, q)) for q in (0.025, 0.975))
    return 1 - hits / max(runs, 1), low, high


def critical(found: Found) -> Figure:
    """What correction in training gains, over the step at which it begins; after the last blue one it is too late."""
    points = []
    for lever in (found["levers"][name] for name in _series(found)):
        gain, begins = lever["gain"], lever["settings"].get("training.penalty_from")
        if begins is not None and gain is not None and gain["low"] is not None:
            points.append((begins, gain["estimate"], gain["low"], gain["high"], lever["prevents"]))
    figure = new_figure(7.0, 4.0)
    ax = figure.subplots()
    for begins, middle, low, high, prevents in sorted(points, key=lambda point: point[0]):
        shade, top = colour(prevents), low + 0.5 if high is None else high
        ax.plot([begins, begins], [low, top], color=shade, linewidth=1.5)
        ax.plot([begins], [low if middle is None else middle], "^" if middle is None else "o", color=shade)
    enough = [begins for begins, *_, prevents in points if colour(prevents) == WON]
    if enough:
        ax.axvline(max(enough), color=WON, linewidth=1, linestyle=":")
        ax.annotate("end of the critical period", (max(enough), 1.0), xycoords=("data", "axes fraction"), fontsize=8)
    ax.axhline(0, color=QUIET, linewidth=1)
    ax.set_xlabel("gradient step of training at which feedback begins")
    ax.set_ylabel("gain, decades of harm (a triangle: at least)")
    quiet_axes(ax)
    ax.set_title(f"{found['scenario']}: when correction in training still helps", pad=14)
    return figure


def _series(found: Found) -> list[str]:
    """The levers that differ in when feedback in training begins alone: those of the winner, where one was found."""
    families = ((levers.REWARDS_BEST, levers.REWARDS_LATE_BEST), (levers.REWARDS, levers.REWARDS_LATE))
    families += ((levers.REWARDS_MILD_BEST,), (levers.REWARDS_MILD,))
    table = [
        [name for name in found["levers"] if name in family or name.startswith(f"{family[0]}-from-")]
        for family in families
    ]
    won = [names for names in table if found["cheapest"] in names]
    return won[0] if won else max(table, key=len)


FIGURES: dict[str, Callable[[Found], Figure]] = {"tree": tree, "ladder": ladder, "cost": cost, "critical": critical}
