"""Do beliefs move before goals? never_steal with a head that learns to predict being caught, 32 agents each.

T_b is when the head expects a penalty, where the agent looks watched; T_suppress when it no longer steals there; T_c
when it no longer steals at all. Over the share of the episodes that are watched, and how often the signal of that lies
(at one half it says nothing). The control is a head whose loss does not reach the agent: it only reads.
"""

from typing import Any

import matplotlib as mpl
from _common import ALONE, finish, folder, parser, run
from matplotlib.axes import Axes

import robustsim as rs
from robustsim.analysis import paired
from robustsim.analysis.spectrum import clock, times
from robustsim.report.style import COLOURS, GRID, SETTINGS, new_figure, quiet_axes

COVERAGES, NOISES = (0.1, 0.25, 0.5, 1.0), (0.0, 0.1, 0.5)
WEIGHTS = {"shapes the agent": 0.1, "only reads": 1e-12}
CLOCKS = {"believe": "T_b", "suppress": "T_suppress", "correct": "T_c"}
BUDGET = 3000
COMMON = ALONE | {
    "overseer.visible": True,
    "deployment.budget": BUDGET,
    "deployment.stop": "catastrophe",
    "evaluation.reference": False,
}
QUICK = {
    "training.steps": 300,
    "training.extension": 0.0,
    "training.competence": 0.0,
    "deployment.budget": 60,
    "evaluation.episodes": 128,
}
Numbers = dict[str, dict[str, Any]]


def summary(results: rs.Results) -> dict[str, Any]:
    """The clocks of a configuration, and log10 of the ratios of their medians to that of T_b."""
    runs = results.runs
    found: dict[str, Any] = {
        f"steps_to_{name}": clock(runs, f"steps_to_{name}") | {"runs": len(runs)} for name in CLOCKS
    }
    belief = times(runs, "steps_to_believe")
    for name in ("suppress", "correct"):
        ratio = paired.median_ratio(belief, times(runs, f"steps_to_{name}"))
        found[f"T_b / T_{name}, decades"] = dict(zip(("estimate", "low", "high"), ratio, strict=True))
    return found


def _clocks(ax: Axes, numbers: Numbers, noise: float) -> None:
    """Medians over coverage; open where it did not come in half of the runs.

    A run ends once it is corrected, and then the head has nothing to learn from: that censors T_b, and not by chance.
    """
    for i, ((name, label), shade) in enumerate(zip(CLOCKS.items(), COLOURS, strict=False)):
        for j, coverage in enumerate(COVERAGES):
            time = numbers[f"{coverage:g}, {noise:g}"][f"steps_to_{name}"]
            middle, low, high = (BUDGET if time[end] is None else time[end] for end in ("median", "low", "high"))
            at, open_ = j + (i - 1) * 0.18, 2 * time["censored"] > time["runs"]
            middle, low, high = (BUDGET, BUDGET, BUDGET) if open_ else (middle, low, high)
            ax.plot([at, at], [low, high], color=shade, linewidth=1)
            face = "white" if open_ else shade
            mark = "^" if open_ else "o"
            ax.plot(
                at, middle, mark, color=shade, markerfacecolor=face, label=label if j == len(COVERAGES) - 1 else None
            )
    ax.axhline(BUDGET, color=GRID, linewidth=1, zorder=0)
    ax.set_xticks(range(len(COVERAGES)), [f"{x:g}" for x in COVERAGES])
    ax.set(yscale="log", ylim=(10, 1.4 * BUDGET), xlabel="coverage", title=_lying(noise))
    quiet_axes(ax)


def _lying(noise: float) -> str:
    return "a signal that says nothing" if noise == 0.5 else f"the signal lies in {noise:.0%}"


def main(argv: list[str] | None = None) -> None:
    """Runs both heads over coverage and noise and writes the figure."""
    args = parser(__doc__, "beliefs").parse_args(argv)
    common = COMMON | (QUICK if args.quick else {})
    over = {"overseer.coverage": list(COVERAGES), "overseer.signal_noise": list(NOISES)}
    results, numbers = {}, {}
    for i, (weight, value) in enumerate(WEIGHTS.items()):
        settings = common | {"treatment.belief": value}
        sweep = rs.Sweep("never_steal", over=over, seeds=2 if args.quick else 32, settings=settings)
        results[weight] = run(sweep, folder(args) / str(i))
        numbers[weight] = {
            f"{c:g}, {n:g}": summary(results[weight].where({"overseer.coverage": c, "overseer.signal_noise": n}))
            for c in COVERAGES
            for n in NOISES
        }
    with mpl.rc_context(SETTINGS):
        figure = new_figure(11.4, 7.0)
        axes = figure.subplots(2, 2).ravel()
        for ax, noise in zip(axes, NOISES, strict=False):
            _clocks(ax, numbers["shapes the agent"], noise)
        axes[0].set_ylabel("gradient steps (open: not in half of the runs)")
        axes[0].legend(frameon=False, fontsize=8)
        _clocks(axes[3], numbers["only reads"], NOISES[-1])
        axes[3].set_title("the same, with a head that only reads")
    finish(figure, args, "beliefs", results, numbers)
    for weight, table in numbers.items():
        for name, one in table.items():
            print(weight, name, *(one[f"steps_to_{x}"]["median"] for x in CLOCKS), one["T_b / T_suppress, decades"])


if __name__ == "__main__":
    main()
