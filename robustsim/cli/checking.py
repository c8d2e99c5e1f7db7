"""The commands that judge: check and validate."""

import json
import sys

from robustsim.cli.parsing import parse_overrides
from robustsim.errors import UserError


def check(spec: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """`robustsim check`: status 0 if the scenario is sound, 1 with the reasons if not."""
    from robustsim.sim import check as checks
    from robustsim.spec.loading import load
    from robustsim.spec.settings import resolve

    factory = load(spec)
    settings = resolve(factory, parse_overrides(overrides))
    try:
        report = checks.inspect(factory, settings)
    except UserError as error:
        report = checks.Report(problems=[str(error)], notes=[], facts={})
    if as_json:
        print(json.dumps({"scenario": factory.name, "sound": not report.problems, **report._asdict()}, indent=2))
    else:
        for name, value in report.facts.items():
            print(f"{name:<44} {value}")
        for note in report.notes:
            print(f"note: {note}")
        for problem in report.problems:
            print(f"problem: {problem}")
        print(f"{factory.name}: " + ("sound" if not report.problems else f"{len(report.problems)} problems"))
    sys.exit(1 if report.problems else 0)


def validate(quick: bool, as_json: bool) -> None:
    """`robustsim validate`: status 0 if every check passes, 1 if not."""
    from robustsim.results import to_json
    from robustsim.sweep import compiled
    from robustsim.truth import suite

    compiled.keep()
    checks = []
    for item in suite.checks(quick):
        if checks and item.table != checks[-1].table:
            _tell(checks)
        checks.append(item)
    _tell(checks)
    if as_json:
        print(to_json(suite.as_json(checks)))
    else:
        for item in checks:
            if not item.passed:
                print(f"FAILED  {item.table}  {item.row}  {item.quantity}: {item.measured} for {item.expected}")
        print(f"{sum(c.passed for c in checks)} of {len(checks)} checks passed")
    sys.exit(0 if all(c.passed for c in checks) else 1)


def _tell(checks: list) -> None:  # pyright: ignore[reportMissingTypeArgument]
    """One line on stderr for the table that has just been finished."""
    table = [c for c in checks if c.table == checks[-1].table]
    print(f"{table[0].table}: {sum(c.passed for c in table)} of {len(table)} passed", file=sys.stderr, flush=True)
