"""The command that asks who is responsible."""

from typing import Annotated

from tyro.conf import arg

from robustsim.cli.options import Json, Overrides, Spec
from robustsim.cli.parsing import parse_overrides


def attribute(
    spec: Spec,
    overrides: Overrides = (),
    out: str = "",
    seeds: int = 8,
    max_seeds: int = 256,
    delta: float = 0.1,
    confidence: float = 0.9,
    cost: Annotated[float | None, arg(metavar="C")] = None,
    as_json: Json = False,
) -> None:
    """Who is responsible for a failure: feedback in deployment, feedback in training, or neither?

    Args:
        out: directory for the runs; the same command resumes there.
        seeds: agents of each lever to begin with.
        max_seeds: the most of that, where the label needs them.
        delta: share of runs that may fail.
        confidence: posterior probability that a label needs.
        cost: the largest penalty, in ranges of training returns.
    """
    from robustsim import attribution
    from robustsim.report.console import progress
    from robustsim.results import to_json

    with progress(silent=as_json) as narrate:
        found = attribution.attribute(
            spec,
            settings=parse_overrides(overrides),
            out=out or None,
            seeds=seeds,
            max_seeds=max_seeds,
            delta=delta,
            confidence=confidence,
            cost=cost,
            narrate=narrate,
        )
    print(to_json(found.to_dict()) if as_json else found.in_words())
