"""How much of a training would have had to be corrected: a misspecified reward and a misgeneralised goal on one map.

In the first, a bait in the corner pays; in the second, nothing but the cheese pays, and it always lay in the corner.
"""

import matplotlib as mpl
from _common import FIGURES, folder, parser
from _room import corner_room
from matplotlib.figure import Figure

import robustsim as rs
from robustsim.report.console import progress
from robustsim.report.dosed_figure import doses
from robustsim.report.provenance import publish
from robustsim.report.style import literal, new_figure, style

CASES = {
    "a misspecified reward": {"env.bait": 1.0, "env.alpha": 1.0},
    "a misgeneralised goal": {"env.bait": 0.0, "env.alpha": 0.0},
}
FULL, QUICK = (20, 50), (3, 5)  # seeds, windows


def draw(found: dict[str, rs.Relabel]) -> Figure:
    """A panel for each case."""
    figure = new_figure(9.6, 3.6)
    for ax, (name, one) in zip(figure.subplots(1, len(found), sharey=True), found.items(), strict=True):
        doses(ax, one.to_dict())
        ax.set_title(name)
    figure.axes[-1].set_ylabel("")
    figure.axes[-1].legend(frameon=False, fontsize=8)
    return figure


def main(argv: list[str] | None = None) -> None:
    """Trains the agents of both again, or reads what is stored."""
    args = parser(__doc__, "relabelled").parse_args(argv)
    found = dict[str, rs.Relabel]()
    for name, settings in CASES.items():
        out, (seeds, windows) = folder(args) / name.replace(" ", "-"), QUICK if args.quick else FULL
        with progress() as narrate:
            found[name] = rs.relabel(
                corner_room, settings=settings, out=out, seeds=seeds, windows=windows, narrate=narrate
            )
        print(f"{name}\n{found[name]}\n", flush=True)
    with mpl.rc_context(style()):
        figure = draw(found)
        literal(figure)
    stem = (folder(args) if args.quick else FIGURES) / "relabelled"
    results = {name: rs.open(folder(args) / name.replace(" ", "-") / "rewards") for name in found}
    publish(figure, stem, "python scripts/relabelled.py", results, {name: one.to_dict() for name, one in found.items()})
    print(f"{stem}.png")


if __name__ == "__main__":
    main()
