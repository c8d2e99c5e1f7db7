"""The share of runs not yet corrected after 10, 1,000 and 100,000 gradient steps.

Left: the bandit under sampled penalties, for which T_c is a sum of geometric times with a known law; curves over four
decades. Right: networks, from the runs of the gallery and of the phase diagram.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from _common import ALONE, finish, folder, parser, run
from gallery import collect
from phase_diagram import network_sweep

import robustsim as rs
from robustsim.analysis import survival
from robustsim.analysis.spectrum import clock
from robustsim.report.style import COLOURS, INK, SETTINGS, new_figure, quiet_axes
from robustsim.truth import theory

# (log odds of the habit at deployment, coverage): T_c near 10, 100, 1,000, 10,000 and 100,000.
BANDITS = ((-1.8, 1.0), (2.5, 1.0), (5.5, 0.5), (7.9, 0.4), (10.5, 0.4))
NETWORKS = ("never_steal", "coin_run", "corner_maze", "keys_and_chests")  # as in the gallery
HIDDEN = (1.0, 0.35)  # coverages of camera_vault with a hidden signal, as in the phase diagram
EPS = 0.05


def settings_of(theta: float, coverage: float) -> dict[str, Any]:
    """The sampled bandit in which a penalty moves theta by 1 - pi (two logits, learning rate 1/2)."""
    return {
        "agent.gradient": "sampled",
        "agent.initial_logit": theta,
        "agent.learning_rate": 0.5,
        "overseer.coverage": coverage,
    }


def exact(theta: float, coverage: float, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """(t, P(T_c > t)) of the sum of geometric times (docs/truth.md), thinned for drawing."""
    mass = theory.geometric_sum_distribution(theory.reinforce_chances(theta, EPS, 1.0, coverage), longest)
    left = 1 - np.cumsum(mass)
    t = np.unique(np.geomspace(1, longest, 400).astype(int))
    return t, left[t]


def _stairs(ax: Any, r: rs.Results, colour: str, label: str) -> dict[str, Any]:
    runs, budget = r.runs, r.settings["deployment.budget"]
    seen = runs["steps_to_correct"].is_not_null().to_numpy()
    times = runs["steps_to_correct"].fill_null(budget).to_numpy()
    curve = survival.kaplan_meier(times, seen.astype(int))
    x = np.concatenate([[1], curve.time + 1, [budget]])
    for y, style in ((curve.survival, {"linewidth": 1.8, "label": label}), (curve.low, None), (curve.high, None)):
        y = np.concatenate([[1.0], y, [y[-1] if len(y) else 1.0]])
        ax.step(x, y, where="post", color=colour, **(style or {"linewidth": 0.5, "alpha": 0.6}))
    if not seen.all():
        ax.plot(budget, curve.survival[-1] if len(curve.time) else 1.0, ">", color=colour, markersize=6)
    return clock(runs, "steps_to_correct")


def draw(bandits: dict[str, rs.Results], networks: dict[str, rs.Results]) -> tuple[Any, dict[str, Any]]:
    """The figure and its numbers."""
    numbers: dict[str, Any] = {}
    with mpl.rc_context(SETTINGS):
        figure = new_figure(9.6, 4.9)
        left, right = figure.subplots(1, 2, sharey=True)
        for i, ((name, r), (theta, coverage)) in enumerate(zip(bandits.items(), BANDITS, strict=False)):
            numbers[f"bandit, {name}"] = _stairs(left, r, COLOURS[i], name)
            t, above = exact(theta, coverage, r.settings["deployment.budget"])
            left.plot(t + 1, above, "--", color=INK, linewidth=1, label="exact law" if i == len(bandits) - 1 else None)
        for i, (name, r) in enumerate(networks.items()):
            numbers[name] = _stairs(right, r, COLOURS[i], name)
        for ax in (left, right):
            ax.set(xscale="log", xlabel="gradient steps of deployment, plus 1", ylim=(-0.02, 1.04))
            ax.legend(frameon=False, fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
            quiet_axes(ax)
        left.set_ylabel("share of runs not yet corrected")
        left.set_title("bandit: simulated, and the exact law")
        right.set_title("networks (triangle: censored there)")
    return figure, numbers


def main(argv: list[str] | None = None) -> None:
    """Runs the sweeps and writes the figure."""
    args = parser(__doc__, "decades").parse_args(argv)
    out = folder(args)
    bandits = {}
    for theta, coverage in BANDITS[: 3 if args.quick else None]:
        budget = 400_000 if theta > 9 else 40_000
        sweep = rs.Sweep(
            "bandit",
            over={},
            seeds=32 if args.quick else 200,
            settings=settings_of(theta, coverage) | {"deployment.budget": budget} | ALONE,
        )
        name = f"log odds {theta:g}, coverage {coverage:g}"
        bandits[name] = run(sweep, out / f"bandit-{theta:g}")
    suffix = "-quick" if args.quick else ""
    networks = collect(args.out.with_name("gallery" + suffix), args.quick, list(NETWORKS[: 2 if args.quick else None]))
    hidden = run(network_sweep(args.quick), args.out.with_name("phase-diagram" + suffix) / "network")
    for coverage in HIDDEN[: 1 if args.quick else None]:
        networks[f"camera_vault hidden, coverage {coverage:g}"] = hidden.where({"overseer.coverage": coverage})
    figure, numbers = draw(bandits, networks)
    finish(figure, args, "decades", bandits | networks, numbers)
    print(*(f"{k}: {v}" for k, v in numbers.items()), sep="\n")


if __name__ == "__main__":
    main()
