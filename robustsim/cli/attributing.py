"""The commands that ask who is responsible."""

from typing import Literal

from robustsim.cli.options import AttributionWords, Json, Overrides, Spec
from robustsim.cli.parsing import parse_overrides


def attribute(
    spec: Spec,
    terms: AttributionWords = AttributionWords(),
    overrides: Overrides = (),
    out: str = "",
    as_json: Json = False,
) -> None:
    """Who is responsible for a failure: feedback in deployment, feedback in training, or neither?

    Args:
        out: directory for the runs; the same command resumes there.
    """
    import dataclasses

    from robustsim.attribution.attribute import attribute as ask
    from robustsim.attribution.terms import Terms
    from robustsim.report.console import progress
    from robustsim.results import to_json

    asked = Terms(**dataclasses.asdict(terms))
    settings = parse_overrides(overrides)
    with progress(silent=as_json) as narrate:
        found = ask(spec, settings=settings, out=out or None, terms=asked, narrate=narrate)
    print(to_json(found.to_dict()) if as_json else found.in_words())


def relabel(
    spec: Spec,
    overrides: Overrides = (),
    seeds: int = 20,
    windows: int = 50,
    outcome: Literal["misbehaviour", "goal"] = "misbehaviour",
    feature: str = "",
    out: str = "",
    as_json: Json = False,
) -> None:
    """Which share of the training rewards, or levels, would have had to be corrected?

    Args:
        seeds: agents at every share.
        windows: at random, that the influence is held against.
        outcome: what is to go: the misbehaviour, or a final goal.
        feature: of outcomes, that the goal is (with --outcome goal).
        out: directory for the runs; the same command resumes there.
    """
    from robustsim.attribution.relabel import relabel as ask
    from robustsim.report.console import progress
    from robustsim.results import to_json

    settings = parse_overrides(overrides)
    with progress(silent=as_json) as narrate:
        found = ask(
            spec,
            settings=settings,
            out=out or None,
            seeds=seeds,
            windows=windows,
            outcome=outcome,
            feature=feature,
            narrate=narrate,
        )
    print(to_json(found.to_dict()) if as_json else found.in_words())
