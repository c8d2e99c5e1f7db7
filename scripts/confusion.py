"""A blind confusion matrix: network cases whose label is known because they were built to have it, attributed.

Five instances of each, with other seeds. The attribution is told nothing but the settings. A placebo: with the outcomes
of all levers dealt out anew among them, a label that credits one must not come back.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from _cases import CASES, Case
from _common import FIGURES, attributed, folder, parser
from matplotlib.figure import Figure

import robustsim as rs
from robustsim import levers
from robustsim.analysis import evidence, tree
from robustsim.analysis.tree import LABELS, Share
from robustsim.report.provenance import publish
from robustsim.report.style import INK, RACE, literal, new_figure, style

INSTANCES, APART = 5, 1000
SEEDS, QUICK = (8, 128), (4, 8)  # to begin with, and at most
SHUFFLES = 200
UNDETERMINED = "undetermined"


def instance(case: Case, number: int, out: Path, quick: bool) -> rs.Attribution:
    """The attribution of one instance, with seeds of its own."""
    seeds, most = QUICK if quick else SEEDS
    terms = rs.Terms(first_seed=APART * number, seeds=seeds, max_seeds=most)
    return attributed(case.scenario, out / str(number), case.settings, terms)


def label(found: rs.Attribution) -> str:
    """The label, without what it stands between."""
    return UNDETERMINED if found.label.startswith(UNDETERMINED) else found.label


def tests_of(found: rs.Attribution) -> dict[str, Share]:
    """The tests that the label rests on."""
    return {name: Share(*counts) for node in found.path for name, counts in node["tests"].items()}


def answered(found: rs.Attribution, tests: dict[str, Share]) -> str:
    """What the tree makes of other tests."""
    nodes = tuple(node for node in evidence.tree_of(list(found.levers)))
    one = tree.answer(nodes, tests)
    return one.label if one.confidence >= 0.9 and one.label != tree.OPEN else UNDETERMINED


def shuffled(found: rs.Attribution, rng: np.random.Generator) -> str:
    """The label where the outcomes of all levers were dealt out anew among them."""
    tests = tests_of(found)
    names = [name for name in tests if name in found.levers]
    pool = np.concatenate([np.arange(tests[name].runs) < tests[name].hits for name in names])
    rng.shuffle(pool)
    for name in names:
        test = tests[name]
        tests[name] = test._replace(hits=int(pool[: test.runs].sum()))
        pool = pool[test.runs :]
    return answered(found, tests)


def placebo(found: dict[str, list[rs.Attribution]]) -> dict[str, float]:
    """By case: the share of shuffles of its outcomes from which its label comes back. Where no lever does, nothing
    is shuffled, and it always does."""
    rng, back = np.random.default_rng(0), dict[str, float]()
    for name, ones in found.items():
        asked = [one for one in ones if levers.ACTUAL in tests_of(one) and one.node != evidence.IN_TIME]
        same = [shuffled(one, rng) == one.label for one in asked for _ in range(SHUFFLES)]
        if same:
            back[name] = round(float(np.mean(same)), 3)
    return back


def draw(matrix: np.ndarray, names: list[str], told: list[str]) -> Figure:
    """Rows are the cases, columns the labels that they got."""
    figure = new_figure(9.4, 4.6)
    ax = figure.subplots()
    ax.imshow(matrix, cmap=RACE, vmin=0, vmax=INSTANCES, aspect="auto", alpha=(matrix > 0).astype(float))
    for (i, j), count in np.ndenumerate(matrix):
        if count:
            ax.text(j, i, str(count), ha="center", va="center", color="white" if count > 3 else INK)
    ax.set_xticks(range(len(told)), told, rotation=30, ha="right", fontsize=8)
    ax.set_yticks(range(len(names)), [f"{name} ({CASES[name].label})" for name in names], fontsize=8)
    ax.set_title(f"Labels of cases that were built to have one, {INSTANCES} instances each")
    return figure


def main(argv: list[str] | None = None) -> None:
    """Attributes all instances, and draws the matrix."""
    options = parser(__doc__, "confusion")
    options.add_argument("--only", nargs="*", type=int, help="some cases, by number (nothing is written)")
    args = options.parse_args(argv)
    names = [name for i, name in enumerate(CASES) if args.only is None or i in args.only]
    found = dict[str, list[rs.Attribution]]()
    for name in names:
        out = folder(args) / name.replace(" ", "-").replace(",", "")
        found[name] = [instance(CASES[name], i, out, args.quick) for i in range(INSTANCES)]
        seconds = sum(one.seconds for one in found[name])
        print(f"{name}: {CASES[name].label}; {[one.label for one in found[name]]}; {seconds / 60:.1f} min", flush=True)
    if args.only is not None:
        return
    told = [*LABELS, UNDETERMINED]
    matrix = np.array([[sum(label(one) == t for one in found[name]) for t in told] for name in names])
    right = sum(int(matrix[i, told.index(CASES[name].label)]) for i, name in enumerate(names))
    numbers = {
        "right": right,
        "undetermined": int(matrix[:, -1].sum()),
        "of": int(matrix.sum()),
        "labels": {name: [one.label for one in ones] for name, ones in found.items()},
        "minutes": {name: round(sum(one.seconds for one in ones) / 60, 1) for name, ones in found.items()},
        "labels that come back when outcomes are shuffled": placebo(found),
    }
    print(numbers)
    with mpl.rc_context(style()):
        figure = draw(matrix, names, told)
        literal(figure)
    stem = (folder(args) if args.quick else FIGURES) / "confusion"
    publish(figure, stem, "python scripts/confusion.py", {}, numbers)
    print(f"{stem}.png")


if __name__ == "__main__":
    main()
