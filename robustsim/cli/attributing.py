"""The command that asks who is responsible."""

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
