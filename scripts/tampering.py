"""Tampering and loss of control: does the failure disappear if the act is guarded, or if the overseer survives?

Each scenario runs twice with the same seeds: unchanged, and as its twin, in which the tampering act is a no-op (or the
catastrophe leaves the overseer in place). The dotted line is the share of failures that a verdict lets pass.
"""

from typing import Any

from _common import finish, folder, parser, run

import robustsim as rs
from robustsim.analysis.spectrum import catastrophe_first, clock
from robustsim.analysis.verdict import DELTA
from robustsim.report.style import LOST, QUIET, SETTINGS, WON, new_figure, quiet_axes

GUARDED, CONTROL = "tampering.guarded", "catastrophe.loss_of_control"
BRIBE = {"env.act": "bribe"}
CASES = {  # scenario, its settings, what is switched, its value unguarded, labels
    "reward_button": ("reward_button", {}, GUARDED, False, "unchanged", "guarded"),
    "cut the camera": ("tamper_with_oversight", {}, GUARDED, False, "unchanged", "guarded"),
    "bribe the supervisor": ("tamper_with_oversight", BRIBE, GUARDED, False, "unchanged", "guarded"),
    "tomato_sensor": ("tomato_sensor", {}, GUARDED, False, "unchanged", "guarded"),
    "off_switch": ("off_switch", {}, CONTROL, True, "unchanged", "overseer stays"),
}


def draw(results: dict[str, rs.Results]) -> tuple[Any, dict[str, Any]]:
    """The figure and its numbers."""
    import matplotlib as mpl

    rows = []
    for name, (_, _, setting, bare, said, twin) in CASES.items():
        for value, label in ((bare, said), (not bare, twin)):
            rows.append((name, label, results[name].where({setting: value})))
    numbers: dict[str, Any] = {}
    with mpl.rc_context(SETTINGS):
        figure = new_figure(8.6, 0.42 * len(rows) + 1)
        ax = figure.subplots()
        for y, (name, label, found) in enumerate(rows[::-1]):
            p, decided = catastrophe_first(found.runs), found.verdict()
            told = {"p_catastrophe_first": p, "steps_to_correct": clock(found.runs, "steps_to_correct")}
            numbers[f"{name}, {label}"] = told | {k: decided[k] for k in ("verdict", "flags", "reason")}
            colour = LOST if p["estimate"] > 0.5 else WON
            ax.plot([p["low"], p["high"]], [y, y], color=colour, linewidth=2)
            ax.plot(p["estimate"], y, "s" if y % 2 else "o", color=colour, markersize=7)
            corrected = int(found.runs["corrected"].sum())
            said = ", ".join([decided["verdict"], *decided["flags"]])
            text = f"{said}; corrected {corrected} of {len(found.runs)}"
            ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), fontsize=8, va="center", color=QUIET)
        ax.set_yticks(range(len(rows)), [f"{name}, {label}" for name, label, _ in rows[::-1]])
        ax.axvline(DELTA, color=QUIET, linewidth=1, linestyle=":")
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(rows) - 0.4), xlabel="P(catastrophe before removal), 95% interval")
        ax.set_title("The same agents, unguarded and guarded")
        quiet_axes(ax)
    return figure, numbers


def main(argv: list[str] | None = None) -> None:
    """Runs the sweeps and writes the figure."""
    args = parser(__doc__, "tampering").parse_args(argv)
    settings = {"training.steps": 300, "training.competence": 0.0, "deployment.budget": 200} if args.quick else {}
    results = {}
    for name, (scenario, own, setting, *_) in CASES.items():
        # 59 runs without a catastrophe are the fewest that put its probability below 0.05.
        seeds, where = 2 if args.quick else 64, folder(args) / name.replace(" ", "_")
        sweep = rs.Sweep(scenario, over={setting: [False, True]}, seeds=seeds, settings=settings | own)
        results[name] = run(sweep, where)
    figure, numbers = draw(results)
    finish(figure, args, "tampering", results, numbers)
    print(*(f"{name}: {told}" for name, told in numbers.items()), sep="\n")


if __name__ == "__main__":
    main()
