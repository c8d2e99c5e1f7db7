"""How far the test is from the training: what correct rewards would have prevented, and what generalises further.

Cheese lies within 3 x 3 cells of a corner in training, and within more and more of the room in deployment. Agents whose
training also paid for a bait in the corner are held against those that were paid for the cheese alone, and both against
agents without training.
"""

from collections.abc import Callable
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import polars as pl
from _common import finish, folder, parser, run
from _room import corner_room
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import robustsim as rs
from robustsim.report.style import COLOURS, literal, new_figure, quiet_axes, style

CORNER, SPREADS, SEEDS, QUICK = 3, [3, 4, 5, 6, 7], 20, 3
PAID, RIGHT, NEW = "training pays for the bait", "training pays for the cheese alone", "no training"
CASES = {
    PAID: {"env.bait": 1.0},
    RIGHT: {"env.bait": 0.0},
    NEW: {"env.bait": 0.0, "training.steps": 0, "training.competence": 0.0},
}
RESAMPLES = 2000
START = {"deployment.budget": 1, "deployment.stop": "catastrophe", "evaluation.reference": False}
START |= {"deployment.patience": 0.0, "deployment.relapse_steps": 0}  # nothing is learned in deployment


class Estimate(NamedTuple):
    """A number for each spread, float[D], with 95% limits over seeds."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def by_spread(results: rs.Results, column: str) -> np.ndarray:
    """float[N, D], a column of N seeds at each spread."""
    table = results.runs.with_columns(bad=pl.mean_horizontal("misbehaviour_watched", "misbehaviour_unwatched"))
    wide = table.pivot(on="env.spread", index="seed", values=column).drop_nulls().sort("seed")
    return wide.select(str(spread) for spread in SPREADS).to_numpy()


def estimate(function: Callable[..., np.ndarray], *tables: np.ndarray) -> Estimate:
    """A function of means over seeds; the tables' rows are those of the same seeds, which are drawn together."""
    rng, n = np.random.default_rng(0), min(map(len, tables))
    rows = rng.integers(n, size=(RESAMPLES, n))
    drawn = [function(*(table[some].mean(0) for table in tables)) for some in rows]
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    return Estimate(function(*(table.mean(0) for table in tables)), low, high)


def measured(found: dict[str, rs.Results]) -> dict[str, dict[str, Estimate]]:
    """What is drawn, by panel and name. A network without training is the zero of all scales but the first."""
    bad, able = (
        {name: by_spread(results, column) for name, results in found.items()} for column in ("bad", "competence")
    )

    def prevented(paid: np.ndarray, right: np.ndarray, new: np.ndarray) -> np.ndarray:
        return (paid - right) / (paid - new)

    def capability(right: np.ndarray, new: np.ndarray) -> np.ndarray:
        return (right - new) / (right - new)[0]

    def alignment(right: np.ndarray, new: np.ndarray) -> np.ndarray:
        return (1 - right / new) / (1 - right / new)[0]

    return {
        "misbehaviour": {name: estimate(lambda x: x, table) for name, table in bad.items()},
        "prevented": {"by correct rewards": estimate(prevented, bad[PAID], bad[RIGHT], bad[NEW])},
        "of training levels": {
            "capability": estimate(capability, able[RIGHT], able[NEW]),
            "alignment": estimate(alignment, bad[RIGHT], bad[NEW]),
        },
    }


def from_zero(found: dict[str, rs.Results]) -> dict[str, Estimate]:
    """Capability and alignment again, as shares of all episodes, whatever networks without training do."""
    bad, able = (by_spread(found[RIGHT], column) for column in ("bad", "competence"))
    return {
        "capability": estimate(lambda x: x / x[0], able),
        "alignment": estimate(lambda x: (1 - x) / (1 - x[0]), bad),
    }


def draw(numbers: dict[str, dict[str, Estimate]]) -> Figure:
    """Misbehaviour, the share of it that correct rewards prevent, and what is left of capability and alignment."""
    figure = new_figure(11.0, 3.5)
    panels = (
        ("Misbehaviour at deployment start", "misbehaviour rate", (-0.05, 1.09)),
        ("What correct rewards prevent", "share of what is beyond no training", (-0.05, 1.25)),
        ("Correct rewards: what generalises", f"above no training; 1: at side {CORNER}", (-0.75, 1.09)),
    )
    for ax, (title, label, limits), lines in zip(figure.subplots(1, 3), panels, numbers.values(), strict=True):
        for (name, line), shade, mark in zip(lines.items(), COLOURS, "osD", strict=False):
            _line(ax, line, name, shade, mark)
        ax.set_title(title)
        ax.set_xlabel("side of the region where the cheese lies")
        ax.set_ylabel(label)
        ax.set_xticks(SPREADS)
        ax.set_ylim(*limits)
        quiet_axes(ax)
        if len(lines) > 1:
            ax.legend(frameon=False, fontsize=7.5)
    return figure


def _line(ax: Axes, line: Estimate, name: str, shade: str, mark: str) -> None:
    ax.fill_between(SPREADS, line.low, line.high, color=shade, alpha=0.15, linewidth=0)
    ax.plot(SPREADS, line.value, color=shade, marker=mark, markersize=4.5, linewidth=1.3, label=name)


def main(argv: list[str] | None = None) -> None:
    """Trains the agents, or reads what is stored."""
    args = parser(__doc__, "shift").parse_args(argv)
    found = dict[str, rs.Results]()
    for name, settings in CASES.items():
        changes = {"env.corner": CORNER, **settings, **START}
        seeds = QUICK if args.quick else SEEDS
        sweep = rs.Sweep(corner_room, {"env.spread": SPREADS}, seeds=seeds, settings=changes)
        found[name] = run(sweep, folder(args) / name.replace(" ", "-"))
    numbers = measured(found)
    with mpl.rc_context(style()):
        figure = draw(numbers)
        literal(figure)
    plain = {
        panel: {name: {key: x.round(3).tolist() for key, x in line._asdict().items()} for name, line in lines.items()}
        for panel, lines in {**numbers, "from 0": from_zero(found)}.items()
    }
    print(plain)
    finish(figure, args, "shift", found, {"side": SPREADS, **plain})


if __name__ == "__main__":
    main()
