"""Who is responsible, in every bundled scenario at its defaults: labels, and what would have prevented the failure."""

import time
from pathlib import Path
from typing import Any

from _common import folder, parser

import robustsim as rs
from robustsim import catalogue
from robustsim.errors import UserError
from robustsim.report.console import progress

QUICK = {"training.steps": 200, "training.competence": 0.0, "deployment.budget": 60, "evaluation.episodes": 256}
SMALL = rs.Terms(seeds=4, max_seeds=8)


def attributed(name: str, out: Path, quick: bool, settings: dict[str, Any] | None = None) -> rs.Attribution:
    """The stored attribution of a scenario, or a new one."""
    try:
        return rs.Attribution.read(out)
    except UserError:
        with progress() as narrate:
            small = QUICK if quick and name != "bandit" else {}
            terms = SMALL if quick else rs.Terms()
            return rs.attribute(name, settings=small | (settings or {}), out=out, terms=terms, narrate=narrate)


def main(argv: list[str] | None = None) -> None:
    """Attributes all of them, and says how long it took."""
    options = parser(__doc__, "attributions")
    options.add_argument("--only", nargs="*", help="some scenarios")
    args = options.parse_args(argv)
    begun = time.monotonic()
    for name in args.only or sorted(catalogue.installed()):
        found = attributed(name, folder(args) / name, args.quick)
        print(found.in_words(), f"\n  {found.seconds / 60:.1f} minutes of all workers\n", flush=True)
    print(f"{(time.monotonic() - begun) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
