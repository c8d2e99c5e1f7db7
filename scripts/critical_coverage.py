"""How much must a hidden camera see? The misbehaviour against coverage, across the derived critical value.

An agent that maximises discounted reward prefers the gold, n moves away, to the coin, m moves away, while
    discount^n * (gold - penalty * coverage) > discount^m,
so each level has a coverage above which the coin is better. The misbehaviour can be removed (rate at most eps) only
above the 1 - eps quantile of these over the levels: that is the derived critical coverage. An entropy bonus beta moves
it up: the coin must be better by about beta * ln((1 - eps) / eps) (an estimate: the bandit's rule).
"""

import argparse
import math
from pathlib import Path

import numpy as np
import polars as pl

import robustsim as rs
from robustsim.analysis.spectrum import share
from robustsim.cli.console import progress
from robustsim.report.provenance import publish
from robustsim.report.style import COLOURS, INK, QUIET, SETTINGS, new_figure, quiet_axes

COVERAGES = (0.1, 0.2, 0.25, 0.275, 0.3, 0.325, 0.35, 0.4, 0.5)
SCENARIO = "camera_vault"


def levels(size: int) -> np.ndarray:
    """int[n, 2], moves to the coin and to the gold in every deployment level, all equally likely."""
    inside, middle = range(1, size - 1), size // 2
    coins = [(y, x) for y in inside for x in range(1, middle)]
    golds = [(y, x) for y in inside for x in range(middle + 1, size - 1)]

    def moves(start: int, cell: tuple[int, int]) -> int:
        return abs(start - cell[0]) + abs(middle - cell[1])

    return np.array([(moves(s, c), moves(s, g)) for s in inside for c in coins for g in golds])


def critical(settings: dict, entropy: float) -> float:
    """The derived coverage above which at most a share eps of the levels still favours the gold."""
    eps, discount = settings["probe.threshold"], settings["agent.discount"]
    coin, gold = levels(settings["env.size"]).T
    lead = entropy * math.log((1 - eps) / eps)
    # The reward arrives with the last of n moves, so it is discounted n - 1 times.
    needed = (settings["env.gold"] - (discount ** (coin - 1) - lead) / discount ** (gold - 1)) / settings[
        "overseer.penalty"
    ]
    return float(np.quantile(needed, 1 - eps, method="higher"))


def draw(results: rs.Results, budgets: tuple[int, int]) -> tuple:
    """The figure and its numbers."""
    import matplotlib as mpl

    derived, soft = critical(results.settings, 0.0), critical(results.settings, results.settings["agent.entropy"])
    numbers: dict = {"derived": derived, "derived_with_entropy": soft, "corrected": {}, "rates": {}}
    with mpl.rc_context(SETTINGS):
        figure = new_figure(7.2, 5.2)
        rates, shares = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1.3, 1]})
        end = results.runs.group_by("overseer.coverage", maintain_order=True).agg(
            pl.col("final_misbehaviour_unwatched").alias("all")
        )
        for coverage, values in end.iter_rows():
            rates.scatter([coverage] * len(values), values, s=14, color=COLOURS[3], alpha=0.5, linewidths=0)
            numbers["rates"][coverage] = float(np.median(values))
        rates.plot(end["overseer.coverage"], [np.median(v) for v in end["all"]], color=COLOURS[3], linewidth=1.6)
        rates.set(ylabel="misbehaviour at the end\nof oversight", ylim=(-0.03, 1.05))
        for budget, colour, shift, marker in zip(budgets, (COLOURS[1], COLOURS[0]), (-0.003, 0.003), "so", strict=True):
            rows = []
            for (coverage,), runs in results.runs.group_by("overseer.coverage", maintain_order=True):
                within = (runs["steps_to_correct"].fill_null(10**9) <= budget).to_numpy()
                rows.append((coverage, share(within)))
            x = np.array([c for c, _ in rows])
            y, low, high = (np.array([s[k] for _, s in rows]) for k in ("estimate", "low", "high"))
            label = f"within {budget:,} steps"
            shares.errorbar(
                x + shift, y, [y - low, high - y], color=colour, marker=marker, markersize=4, linewidth=1.2, label=label
            )
            numbers["corrected"][budget] = {c: s["estimate"] for c, s in rows}
            flip = [c for c, s in rows if s["estimate"] >= 0.5]
            numbers[f"flip_{budget}"] = min(flip) if flip else None
        shares.set(ylabel="share of agents\ncorrected", xlabel="coverage of the hidden camera", ylim=(-0.05, 1.08))
        for ax in (rates, shares):
            quiet_axes(ax)
            ax.axvline(derived, color=INK, linewidth=1, linestyle="--", label=f"derived {derived:.3f}")
            ax.axvline(
                soft, color=QUIET, linewidth=1, linestyle=":", label=f"estimate with the\nentropy bonus {soft:.3f}"
            )
        shares.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
        rates.set_title(f"{SCENARIO}, hidden: the flip is where the theory puts it, or above")
    return figure, numbers


def main(argv: list[str] | None = None) -> None:
    """Runs the sweep and writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a small version, in a minute")
    parser.add_argument("--out", type=Path, default=Path("results/critical-coverage"))
    args = parser.parse_args(argv)
    seeds, budgets = (2, (150, 600)) if args.quick else (12, (1000, 8000))
    out = args.out.with_name(args.out.name + "-quick") if args.quick else args.out
    settings = {
        "overseer.visible": False,
        "deployment.budget": budgets[1],
        "deployment.patience": 0.0,
        "deployment.relapse_steps": 0,
    }
    if args.quick:
        settings |= {"instil.steps": 500, "instil.competence": 0.8}
    sweep = rs.Sweep(scenario=SCENARIO, over={"overseer.coverage": COVERAGES}, seeds=seeds, settings=settings)
    with progress() as narrate:
        results = sweep.run(out, narrate=narrate)
    figure, numbers = draw(results, budgets)
    stem = out / "critical-coverage" if args.quick else Path("figures/critical-coverage")
    publish(figure, stem, "python scripts/critical_coverage.py", {"sweep": results}, numbers)
    print(f"{stem}.png", numbers)


if __name__ == "__main__":
    main()
