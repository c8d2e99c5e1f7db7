"""The commands that judge: check and validate."""

import itertools
import json
import sys
from typing import TYPE_CHECKING

from robustsim.arguments import whole
from robustsim.cli.options import Json, Overrides, Spec
from robustsim.cli.parsing import parse_overrides
from robustsim.errors import UserError

if TYPE_CHECKING:
    from robustsim.sim.tryout import Point


def check(spec: Spec, overrides: Overrides = (), train: bool = False, as_json: Json = False) -> None:
    """Checks whether a scenario is sound, and explains what is not.

    Args:
        train: train one agent as well and show its learning curve.
    """
    from robustsim.sim import check as checks
    from robustsim.sim import tryout
    from robustsim.spec.loading import load
    from robustsim.spec.settings import resolve

    factory = load(spec)
    settings = resolve(factory, parse_overrides(overrides))
    try:
        report = checks.inspect(factory, settings)
    except UserError as error:
        report = checks.Report(problems=[str(error)], notes=[], facts={})
    curve = tryout.learning_curve(factory, settings) if train and not report.problems else []
    if curve:
        problems, notes = tryout.remarks(curve, settings)
        report.problems.extend(problems)
        report.notes.extend(notes)
    if as_json:
        course = {"curve": [point._asdict() for point in curve]} if train else {}
        print(
            json.dumps({"scenario": factory.name, "sound": not report.problems, **report._asdict(), **course}, indent=2)
        )
    else:
        _show(curve)
        for name, value in report.facts.items():
            print(f"{name:<44} {value}")
        for note in report.notes:
            print(f"note: {note}")
        for problem in report.problems:
            print(f"problem: {problem}")
        print(f"{factory.name}: " + ("sound" if not report.problems else f"{len(report.problems)} problems"))
    sys.exit(1 if report.problems else 0)


def _show(curve: "list[Point]") -> None:
    """A learning curve as a table, with a bar for the competence."""
    if curve:
        print(f"{'gradient step':>13}  competence  {'':20}  misbehaviour in deployment, unwatched and watched")
    for step, competence, unwatched, watched in curve:
        print(f"{step:>13,}  {competence:>10.2f}  {'#' * round(20 * competence):20}  {unwatched:.2f}  {watched:.2f}")


def validate(quick: bool = False, attributions: int = 5, as_json: Json = False) -> None:
    """Compares the simulator with the analytic ground truths.

    Args:
        quick: sample a tenth of the runs.
        attributions: of each archetype, under other seeds.
    """
    from robustsim.results import to_json
    from robustsim.sweep import compiled
    from robustsim.truth import (
        validate,
        validate_attribution,
        validate_goals,
        validate_knowing,
        validate_learners,
        validate_oversight,
        validate_removal,
        validate_repairs,
        validate_statistics,
    )

    compiled.keep()
    failed, tables, runs = [], {}, (200, 2000) if quick else (2000, 20_000)  # of a sampled law, of a race probability
    parts = (
        validate,
        validate_knowing,
        validate_learners,
        validate_repairs,
        validate_oversight,
        validate_statistics,
        validate_removal,
        validate_goals,
    )
    sampled = itertools.chain(*(part.checks(*runs) for part in parts))
    checks = itertools.chain(sampled, validate_attribution.checks(whole("attributions", attributions, 1, 10_000)))
    for table, group in itertools.groupby(checks, lambda item: item.table):
        found = list(group)
        tables[table] = {"checks": len(found), "passed": sum(c.passed for c in found)}
        failed += [c for c in found if not c.passed]
        print(f"{table}: {tables[table]['passed']} of {len(found)} passed", file=sys.stderr, flush=True)
    total = {key: sum(counts[key] for counts in tables.values()) for key in ("checks", "passed")}
    if as_json:
        print(to_json({**total, "tables": tables, "failed": [c._asdict() for c in failed]}))
    else:
        for c in failed:
            print(f"FAILED  {c.table}  {c.row}  {c.quantity}: {c.measured} for {c.expected}")
        print(f"{total['passed']} of {total['checks']} checks passed")
    sys.exit(1 if failed else 0)
