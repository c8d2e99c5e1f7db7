"""The published effect of the corner size, and ours: generalisation against the region of the coin in training.

Published: jaxgmg, plots/gmg-corner-13 (Abdel Sadek, Farrugia-Roberts et al. 2025): 13 x 13 mazes with 25% blocks, a
convolutional PPO agent, 20 million environment steps, one run per setting, return with an optimum of 0.882 in
deployment.
Ours: one maze of 13 x 13 (a tree with loops), the default agent, 1.5 million environment steps, 32 agents per setting,
share of the levels in which the coin is taken (optimum 1).
"""

import itertools
from typing import Any

import matplotlib as mpl
import numpy as np
from _common import ALONE, finish, folder, parser, run
from scipy.stats import spearmanr

import robustsim as rs
from robustsim.analysis.spectrum import middle
from robustsim.report.style import COLOURS, SETTINGS, new_figure, quiet_axes

OPTIMUM = 0.882
PUBLISHED = {
    "deployment": ((1, 2, 3, 4, 5, 6, 7, 8, 9, 11), (0.130, 0.19, 0.260, 0.34, 0.461, 0.52, 0.634, 0.66, 0.678, 0.691)),
    "training": ((1, 3, 5, 7, 9, 11), (0.629, 0.680, 0.743, 0.715, 0.684, 0.685)),
}
OURS = {"deployment": "competence", "training": "training_competence"}


def draw(results: rs.Results) -> tuple[Any, dict[str, Any]]:
    """The figure and its numbers."""
    sizes = sorted(results.runs["env.corner"].unique().to_list())
    points = {size: results.where({"env.corner": size}).runs for size in sizes}
    numbers: dict[str, Any] = {
        where: {str(size): middle(runs, column) for size, runs in points.items()} for where, column in OURS.items()
    }
    medians = [numbers["deployment"][str(size)]["median"] for size in sizes]
    # A decrease counts only if the two intervals are disjoint.
    drops = [
        (a, b)
        for a, b in itertools.pairwise(sizes)
        if (numbers["deployment"][str(b)]["high"] or 1) < (numbers["deployment"][str(a)]["low"] or 0)
    ]
    numbers["drops"] = drops
    numbers["misbehaviour_unwatched"] = {str(s): middle(runs, "misbehaviour_unwatched") for s, runs in points.items()}
    common = [s for s in sizes if s in PUBLISHED["deployment"][0]]
    if len(common) > 2:
        published = dict(zip(*PUBLISHED["deployment"], strict=True))
        ours = dict(zip(sizes, medians, strict=True))
        rho = spearmanr([published[s] for s in common], [ours[s] for s in common]).statistic  # pyright: ignore[reportAttributeAccessIssue]
        numbers["rank_correlation_with_published"] = float(rho)
    with mpl.rc_context(SETTINGS):
        figure = new_figure(7.4, 4.2)
        left, right = figure.subplots(1, 2, sharey=True)
        for ax, where in ((left, "deployment"), (right, "training")):
            xs, ys = PUBLISHED[where]
            label = "published: return / its optimum" if where == "deployment" else "published: return"
            ax.plot(xs, np.array(ys) / (OPTIMUM if where == "deployment" else 1), "s--", color=COLOURS[1], label=label)
            known = [numbers[where][str(s)] for s in sizes]
            low, mid, high = ([k[part] if k[part] is not None else k["median"] for k in known] for part in _PARTS)
            ax.fill_between(sizes, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
            ax.plot(sizes, mid, "o-", color=COLOURS[0], label="here: share of levels with the coin taken")
            ax.set(xlabel="corner size in training, cells a side", ylim=(0, 1.05))
            ax.set_title(f"in {where}: " + ("coin anywhere" if where == "deployment" else "coin in the corner"))
            quiet_axes(ax)
        left.set_ylabel("competence, 1 is optimal")
        left.legend(frameon=False, loc="upper left", fontsize=8)
        right.legend(frameon=False, loc="lower right", fontsize=8)
    return figure, numbers


_PARTS = ("low", "median", "high")


def main(argv: list[str] | None = None) -> None:
    """Runs the sweep and writes the figure."""
    args = parser(__doc__, "corner-curve").parse_args(argv)
    quick = {"training.steps": 300, "training.competence": 0.0, "evaluation.episodes": 256} if args.quick else {}
    sweep = rs.Sweep(
        "corner_maze",
        over={"env.corner": [1, 5, 11] if args.quick else list(range(1, 12))},
        seeds=2 if args.quick else 32,
        settings={"deployment.budget": 1, "training.competence": 0.9} | ALONE | quick,
    )
    results = run(sweep, folder(args))
    figure, numbers = draw(results)
    finish(figure, args, "corner-curve", {"sweep": results}, numbers)
    print(*(f"{k}: {v}" for k, v in numbers.items()), sep="\n")


if __name__ == "__main__":
    main()
