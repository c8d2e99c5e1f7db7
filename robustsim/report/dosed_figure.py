"""The figure of a relabelling: misbehaviour over the share that is corrected, and the influence of each part."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustsim.report import figures
from robustsim.report.dosed import what
from robustsim.report.style import COLOURS, INK, QUIET, literal, new_figure, quiet_axes, style

Found = dict[str, Any]
KINDS = {
    "rewards": ("rewards, at random", COLOURS[0], "o"),
    "rewards, targeted": ("rewards, targeted", COLOURS[3], "s"),
    "rewards, last": ("the last rewards", COLOURS[6], "v"),
    "levels": ("levels, at random", COLOURS[2], "D"),
}


def draw(found: Found, out: str | Path | None = None) -> Figure:
    """The figure of a relabelling, as a dict; with `out`, also written there.

    Raises:
      UserError: the format is unknown, or the file cannot be written.
    """
    figures.check_ending(out)
    with mpl.rc_context(style()):
        aimed = found["influence"] is not None
        figure = new_figure(9.6 if aimed else 5.4, 3.6)
        axes = figure.subplots(1, 2 if aimed else 1, squeeze=False)[0]
        doses(axes[0], found)
        axes[0].set_title(f"{found['scenario']}: {what(found)} at deployment start")
        axes[0].legend(frameon=False, fontsize=8)
        if aimed:
            _influence(axes[1], found)
        literal(figure)
        if out is not None:
            figures.save(figure, Path(out))
    return figure


def doses(ax: Axes, found: Found) -> None:
    """Misbehaviour over the share that is corrected; no share stands at the left end, and bars where half is gone."""
    least = min(curve["shares"][1] for curve in found["curves"].values())
    for row, (kind, curve) in enumerate(found["curves"].items()):
        name, shade, mark = KINDS[kind]
        shares = [least / 3, *curve["shares"][1:]]
        ax.plot(shares, curve["fit"], color=shade, linewidth=1.4)
        ends = zip(curve["rate"], curve["low"], curve["high"], strict=True)
        spread = list(zip(*((mean - low, high - mean) for mean, low, high in ends), strict=True))
        style = {"fmt": mark, "color": shade, "markersize": 4.5, "linewidth": 0.9}
        ax.errorbar(shares, curve["rate"], spread, label=name, **style)
        dose = found["ed50"][kind]
        if dose["at_most"] is not None:
            between = [dose["above"] or least / 3, dose["at_most"]]
            ax.plot(between, [0.02 + 0.025 * row] * 2, color=shade, linewidth=4, solid_capstyle="butt", alpha=0.5)
    ax.set_xscale("log")
    ticks = next(iter(found["curves"].values()))["shares"][1:]
    ax.set_xticks([least / 3, *ticks], ["0", *(f"{share:.1%}" for share in ticks)], fontsize=7.5)
    ax.minorticks_off()
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("share of the training that is corrected (bars: half is gone in between)")
    ax.set_ylabel("share of agents" if found["goal"] else "misbehaviour rate")
    quiet_axes(ax)


def _influence(ax: Axes, found: Found) -> None:
    """What a corrected step takes away, by when it is taken; and the windows that were corrected."""
    told = found["influence"]
    middles = [(a + b) / 2 for a, b in zip(told["edges"][:-1], told["edges"][1:], strict=True)]
    ax.fill_between(middles, told["low"], told["high"], color=COLOURS[3], alpha=0.2, linewidth=0)
    ax.plot(middles, told["mean"], color=COLOURS[3], linewidth=1.4)
    ax.axhline(0, color=INK, linewidth=0.8)
    whole = told["edges"][-1]
    for row, (start, end) in enumerate(reversed(told["chosen"])):
        height = 0.04 + 0.045 * row
        ax.plot(
            [start, max(end, start + 1)], [height] * 2, color=QUIET, linewidth=3, transform=ax.get_xaxis_transform()
        )
        ax.annotate(
            f"{(end - start) / whole:.1%}",
            (end, height),
            xytext=(3, 0),
            xycoords=ax.get_xaxis_transform(),
            textcoords="offset points",
            va="center",
            fontsize=6.5,
            color=QUIET,
        )
    ax.set_xlabel("gradient step of training (grey: the windows that were corrected)")
    ax.set_ylabel("log odds a corrected step takes away at once")
    ax.set_title(_agreement(found))
    quiet_axes(ax)


def _agreement(found: Found) -> str:
    rank = found["rank_correlation"]
    if rank is None or rank["estimate"] is None:
        return "Influence of each part of the training"
    return f"Influence; against retraining {rank['estimate']:+.2f} [{rank['low']:+.2f}, {rank['high']:+.2f}]"
