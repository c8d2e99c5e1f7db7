"""Are labels stable? Ten scenarios attributed with other seeds, with k 10% lower and higher, and larger penalties.

None of the four should matter. A label that stands close to its border may change all the same, and says so by its
probability. The labels as they are come from `scripts/attributions.py`.
"""

from pathlib import Path
from typing import Any

from _common import FIGURES, attributed, folder, merged, parser
from attributions import QUICK, SMALL, of_gallery

import robustsim as rs
from robustsim.report.provenance import note
from robustsim.spec.settings import flatten, resolve

SCENARIOS = (
    "bandit",
    "boat_loop",
    "camera_vault",
    "coin_corridor",
    "coin_run",
    "corner_maze",
    "reward_button",
    "tamper_with_oversight",
    "tree_commons",
    "watched_shortcut",
)  # those that take less than five minutes each
AS_IT_IS = "as it is"
OTHER_SEEDS, WIDER = 1000, 2.0  # the first of them; how much more a penalty may cost


def variants(name: str, found: rs.Attribution) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """What should not matter: settings, and terms."""
    k = flatten(resolve(rs.load(name), {}))["catastrophe.threshold"]
    assert found.cost is not None
    return {
        "other seeds": ({}, {"first_seed": OTHER_SEEDS}),
        "k 10% lower": ({"catastrophe.threshold": round(0.9 * k)}, {}),
        "k 10% higher": ({"catastrophe.threshold": round(1.1 * k)}, {}),
        "larger penalties": ({}, {"cost": WIDER * found.cost}),
    }


def label(name: str, out: Path, quick: bool, settings: dict[str, Any], terms: dict[str, Any]) -> str:
    """The label of a variant."""
    small = QUICK if quick and name != "bandit" else {}
    given = {"seeds": SMALL.seeds, "max_seeds": SMALL.max_seeds} if quick else {}
    return attributed(name, out, small | settings, rs.Terms(**{**given, **terms})).label


def main(argv: list[str] | None = None) -> None:
    """Attributes all variants, and counts how many have the label of the case as it is."""
    made = parser(__doc__, "stability")
    made.add_argument("--scenario", nargs="+", choices=SCENARIOS, help="only these; others stay as they are published")
    args = made.parse_args(argv)
    labels, gallery = dict[str, dict[str, str]](), of_gallery()
    for name in args.scenario or SCENARIOS:
        labels[name] = {AS_IT_IS: gallery[name].label} | {
            what: label(name, folder(args) / name / what.replace(" ", "-").replace("%", ""), args.quick, *how)
            for what, how in variants(name, gallery[name]).items()
        }
        print(name, labels[name], flush=True)
        labels, kept = merged(args, "stability", labels, SCENARIOS)
        note((folder(args) if args.quick else FIGURES) / "stability", "python scripts/stability.py", {}, labels, kept)
    others = [(one[AS_IT_IS], found) for one in labels.values() for what, found in one.items() if what != AS_IT_IS]
    print(f"{sum(first == found for first, found in others)} of {len(others)} labels are the same")


if __name__ == "__main__":
    main()
