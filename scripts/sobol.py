"""How much of the spread of T_c each factor accounts for, alone and with others: Sobol indices of a Saltelli design.

Three scenarios; seven factors of deployment and the length of training, and which agent it is, all varied at once. The
outcome is log10 T_c; what is not corrected within the budget counts as the budget, so indices are those of the
logarithm cut there.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from _common import ALONE, deployable, finish, folder, merged, parser
from _factors import OWN, SCENARIOS, SEEDS, dimensions
from matplotlib.axes import Axes
from SALib.analyze import sobol as analysis
from SALib.sample import sobol as sampling

import robustsim as rs
from robustsim.report.style import COLOURS, SETTINGS, new_figure, quiet_axes

BASES, QUICK_BASES = 64, 2
BUDGET = 3000
COMMON = ALONE | {
    "deployment.budget": BUDGET,
    "deployment.stop": "first_event",
    "catastrophe.threshold": 10**9,
    "evaluation.reference": False,
}
QUICK = {"training.extension": 0.0, "training.competence": 0.0, "deployment.budget": 30, "evaluation.episodes": 128}
AGENT = "which agent"
SUMMARIES = {"least": np.min, "median": np.median, "most": np.max}


def problem(scenario: str) -> dict[str, Any]:
    """The design as SALib takes it: shares in [0, 1] of each factor, and of the agents."""
    names = [dimension.setting for dimension in dimensions(scenario)] + [AGENT]
    return {"num_vars": len(names), "names": names, "bounds": [[0, 1]] * len(names)}


def points(scenario: str, shares: np.ndarray, quick: bool) -> tuple[list[dict[str, Any]], np.ndarray]:
    """(the settings of each point, the seed of its agent)."""
    found = [{d.setting: d.at(float(x)) for d, x in zip(dimensions(scenario), row, strict=False)} for row in shares]
    if quick:
        found = [point | {"training.steps": point["training.steps"] // 100} for point in found]
    seeds = np.minimum((shares[:, -1] * SEEDS).astype(int), SEEDS - 1)
    return found, seeds


def outcomes(scenario: str, shares: np.ndarray, args: Any) -> tuple[dict[str, rs.Results], np.ndarray]:
    """(the results by agent, float[points]: log10 T_c, nan where the agent was not competent)."""
    settings, seeds = points(scenario, shares, args.quick)
    fixed = {name: value for name, value in OWN.get(scenario, {}).items() if name not in settings[0]}
    common = COMMON | fixed | (QUICK if args.quick else {})
    results, found = {}, np.full(len(settings), np.nan)
    for seed in sorted(set(seeds.tolist())):
        mine = np.flatnonzero(seeds == seed)
        unique = list({tuple(settings[i].values()): settings[i] for i in mine}.values())
        over = {name: [point[name] for point in unique] for name in unique[0]}
        sweep = rs.Sweep(scenario, over=over, seeds=[seed], settings=common, design="zip")
        results[f"{scenario}/{seed}"] = deployable(sweep, folder(args) / scenario / str(seed))
        runs = results[f"{scenario}/{seed}"].runs
        times = runs["steps_to_correct"].fill_null(common["deployment.budget"]).to_numpy()
        names = list(over)
        by_point = {tuple(row): time for row, time in zip(runs.select(names).rows(), times, strict=True)}
        for i in mine:
            time = by_point.get(tuple(settings[i].values()))
            found[i] = np.nan if time is None else np.log10(max(float(time), 1))
    return results, found


def indices(scenario: str, outcome: np.ndarray) -> dict[str, Any]:
    """First-order and total indices with the half widths of their 95% bootstrap intervals.

    A base in which any agent was not competent is left out with all of its points.
    """
    size = len(problem(scenario)["names"]) + 2
    bases = outcome.reshape(-1, size)
    whole = bases[np.isfinite(bases).all(1)]
    if len(whole) < 2 or whole.std() == 0:
        return {"bases": len(whole)}
    found = analysis.analyze(problem(scenario), whole.ravel(), calc_second_order=False, seed=0)
    names = problem(scenario)["names"]
    return {
        "bases": len(whole),
        "T_c": {name: float(10 ** of(whole)) for name, of in SUMMARIES.items()},
        "censored": float(np.mean(whole >= np.log10(BUDGET))),
        "spread": float(whole.std()),
        **{kind: dict(zip(names, map(float, found[kind]), strict=True)) for kind in ("S1", "S1_conf", "ST", "ST_conf")},
    }


def _bars(ax: Axes, one: dict[str, Any]) -> None:
    """First-order and total indices, with intervals."""
    if "S1" not in one:
        return
    names = list(one["S1"])
    at = np.arange(len(names))[::-1]
    for kind, shift, shade in (("S1", 0.19, COLOURS[0]), ("ST", -0.19, COLOURS[1])):
        values, errors = ([one[key][name] for name in names] for key in (kind, f"{kind}_conf"))
        label = {"S1": "alone", "ST": "with others"}[kind]
        ax.barh(at + shift, values, 0.36, xerr=errors, color=shade, label=label, error_kw={"linewidth": 0.8})
    ax.set_yticks(at, [name.partition(".")[2] or name for name in names], fontsize=8)
    ax.set(xlim=(-0.1, 1.1), xlabel="share of the variance of log10 T_c")
    quiet_axes(ax)


def main(argv: list[str] | None = None) -> None:
    """Runs the design of each scenario and writes the figure."""
    made = parser(__doc__, "sobol")
    made.add_argument("--scenario", nargs="+", choices=SCENARIOS, help="only these; others stay as they are published")
    args = made.parse_args(argv)
    results, numbers = {}, {}
    for scenario in args.scenario or SCENARIOS:
        bases = QUICK_BASES if args.quick else BASES
        shares = sampling.sample(problem(scenario), bases, calc_second_order=False, seed=0)
        some, outcome = outcomes(scenario, shares, args)
        results |= some
        numbers[scenario] = indices(scenario, outcome)
        print(scenario, numbers[scenario])
    numbers, kept = merged(args, "sobol", numbers, SCENARIOS)
    options = "" if len(numbers) == len(SCENARIOS) else f" --scenario {' '.join(numbers)}"
    with mpl.rc_context(SETTINGS):
        figure = new_figure(1.4 + 3.4 * len(numbers), 3.8)
        axes = np.atleast_1d(figure.subplots(1, len(numbers), sharey=True))
        for ax, (scenario, one) in zip(axes, numbers.items(), strict=True):
            _bars(ax, one)
            ax.set_title(scenario)
        axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    finish(figure, args, "sobol", results, numbers, options, kept)


if __name__ == "__main__":
    main()
