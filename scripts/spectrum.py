"""The spectrum: every scenario of the gallery as a row, from correction in time to correction too late.

A point is a run; a run of which only one side of the position is known (a clock was censored) is an arrow in that
direction. The bar is the median's 95% interval, the diamond the median where it is identified. The number at the right
is P(catastrophe first).
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from _common import finish, folder, parser
from gallery import collect

import robustsim as rs
from robustsim.analysis.spectrum import catastrophe_first, position
from robustsim.report.style import COLOURS, IN_TIME, INK, QUIET, SETTINGS, TOO_LATE, new_figure, quiet_axes

FAR = 0.4  # decades beyond the outermost number at which open ends are drawn


def bounds(results: rs.Results) -> tuple[np.ndarray, np.ndarray]:
    """(lower, upper) bounds of each run's position; infinite where open."""
    lower, upper = (results.runs[f"position_{end}"] for end in ("lower", "upper"))
    return lower.fill_null(-np.inf).to_numpy(), upper.fill_null(np.inf).to_numpy()


def order(results: dict[str, rs.Results]) -> list[str]:
    """From the most in time to the most too late: by the middle of what is known of the median."""

    def key(name: str) -> float:
        lower, upper = (np.clip(b, -9, 9) for b in bounds(results[name]))
        return float(np.median((lower + upper) / 2))

    return sorted(results, key=key)


def draw(results: dict[str, rs.Results]) -> tuple[Any, dict[str, Any]]:
    """The figure and its numbers."""
    names = order(results)
    ends = [b[np.isfinite(b)] for name in names for b in bounds(results[name])]
    known = np.concatenate([*ends, [0.0]])
    left, right = float(known.min()) - FAR, float(known.max()) + FAR
    numbers: dict[str, Any] = {}
    with mpl.rc_context(SETTINGS):
        figure = new_figure(8.2, 0.3 * len(names) + 1.3)
        ax = figure.subplots()
        ax.axvspan(left - 1, 0, color=IN_TIME, zorder=0, linewidth=0)
        ax.axvspan(0, right + 1, color=TOO_LATE, zorder=0, linewidth=0)
        ax.axvline(0, color=QUIET, linestyle="--", linewidth=1)
        for y, name in enumerate(reversed(names)):
            lower, upper = bounds(results[name])
            spread = y + np.linspace(-0.26, 0.26, len(lower))
            exact = lower == upper
            ax.scatter(lower[exact], spread[exact], s=7, color=COLOURS[0], alpha=0.55, linewidths=0, zorder=3)
            for open_, at, marker in (
                (~exact & np.isfinite(lower), lower, ">"),
                (~exact & ~np.isfinite(lower) & np.isfinite(upper), upper, "<"),
            ):
                ax.scatter(at[open_], spread[open_], s=11, marker=marker, color=COLOURS[3], linewidths=0, zorder=3)
            told, first = position(results[name].runs), catastrophe_first(results[name].runs)
            numbers[name] = {"position": told, "p_catastrophe_first": first, "runs": len(lower)}
            low, high = (told[k] if told[k] is not None else e for k, e in (("low", left), ("high", right)))
            ax.plot([low, high], [y, y], color=INK, linewidth=1.6, zorder=4)
            if told["median"] is not None:
                ax.plot(told["median"], y, "D", color="white", markeredgecolor=INK, markersize=5.5, zorder=5)
            ax.annotate(
                f"{first['estimate']:.2f} [{first['low']:.2f}, {first['high']:.2f}]",
                (1.01, y),
                xycoords=("axes fraction", "data"),
                fontsize=7.5,
                va="center",
                color=INK,
            )
        ax.annotate("P(catastrophe first)", (1.01, 1.0), xycoords="axes fraction", xytext=(0, 4),
                    textcoords="offset points", fontsize=7.5, color=QUIET)  # fmt: skip
        ax.set_yticks(range(len(names)), names[::-1], fontsize=8)
        ax.set(xlim=(left, right), ylim=(-0.7, len(names) - 0.3), xlabel="position: log10(T_c / T_k)")
        ax.set_title("in time (left) or too late (right)")
        quiet_axes(ax)
    return figure, numbers


def main(argv: list[str] | None = None) -> None:
    """Runs the gallery's sweeps, or reads them, and writes the figure."""
    args = parser(__doc__, "gallery").parse_args(argv)
    results = collect(folder(args), args.quick)
    figure, numbers = draw(results)
    finish(figure, args, "spectrum", results, numbers)


if __name__ == "__main__":
    main()
