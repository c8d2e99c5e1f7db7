"""Every analytic ground truth, one table after the other: what `robustsim validate` runs."""

from collections.abc import Iterator

from robustsim.truth import validate, validate_oversight
from robustsim.truth.validate import Check

PIT_RUNS = 2000  # behind the check of a sampled law
RACE_RUNS = 20_000  # behind the check of a race probability


def checks(quick: bool = False) -> Iterator[Check]:
    """Every check of every table; `quick` samples a tenth of the runs."""
    runs, race_runs = (PIT_RUNS // 10, RACE_RUNS // 10) if quick else (PIT_RUNS, RACE_RUNS)
    yield from validate.checks(runs, race_runs)
    yield from validate_oversight.checks(runs, race_runs)
