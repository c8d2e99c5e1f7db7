"""The commands that compute: run, sweep, demo."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from robustsim.cli.options import AgentWords, Json, Overrides, Spec, SweepWords
from robustsim.cli.parsing import parse_axes, parse_overrides
from robustsim.errors import RunsFailed, UserError
from robustsim.report.console import progress
from robustsim.sweep.execution import Execution
from robustsim.sweep.options import Options, Seeds


def run(
    spec: Spec,
    agents: AgentWords = AgentWords(),
    overrides: Overrides = (),
    twin: str = "",
    out: str = "",
    overwrite: bool = False,
    retry: bool = False,
    as_json: Json = False,
) -> None:
    """Runs a scenario: trains agents, deploys each in both arms, and measures both clocks.

    Args:
        twin: run this control instead: aligned, random-init, oracle or guarded.
        out: directory for the results.
        overwrite: remove other results in the directory.
        retry: repeat runs that failed.
    """
    from robustsim import api
    from robustsim.report import terminal
    from robustsim.results import to_json

    without = {"evaluation.reference": False} if agents.no_reference else {}
    changes = (api.twin(spec, twin) if twin else {}) | without | parse_overrides(overrides)
    growth = {"until": agents.until, "max_seeds": agents.max_seeds} if agents.until else {}
    with progress(silent=as_json) as narrate:
        how = Execution(overwrite=overwrite, retry=retry)
        options: dict[str, Any] = {"seeds": agents.seeds, "settings": changes, "out": out or None, "execution": how}
        results, failure = _others(lambda: api.run(spec, **options, **growth, narrate=narrate))
    if results is not None and as_json:
        print(to_json(results.summary()))
    elif results is not None:
        print(terminal.in_words(results))
        if out:
            print(f"\nresults: {out}  (robustsim plot {out} --figure traces)")
    if failure is not None:
        raise failure


def sweep(
    configuration: SweepWords,
    execution: Execution = Execution(),
    out: str = "",
    dry_run: bool = False,
    as_json: Json = False,
) -> None:
    """Runs a scenario under many settings. The same command resumes a sweep that was interrupted.

    Args:
        out: directory for the results.
        dry_run: only report the planned work and its cost.
    """
    from robustsim import api
    from robustsim.report import terminal
    from robustsim.results import to_json
    from robustsim.sweep.progress import in_words, status

    options = {field.name: getattr(configuration, field.name) for field in dataclasses.fields(Options)}
    settings = parse_overrides(configuration.overrides)
    asked = api.Sweep(configuration.spec, parse_axes(configuration.over), settings=settings, **options)
    if dry_run:
        from robustsim.cli import foresee

        foresee.show(asked.plan(), execution, as_json)
        return
    if not out:
        raise UserError("out: is required: a directory for the results")
    with progress(silent=as_json) as narrate:
        results, failure = _others(lambda: asked.run(out, execution=execution, narrate=narrate))
    if results is not None and as_json:
        said = {"results": out, "complete": results.complete, "failed": results.failed.to_dicts()}
        print(to_json({**said, "spectrum": results.spectrum().to_dicts()}))
    elif results is not None:
        state = status(Path(out))
        print(in_words(state))
        if state.complete:
            print(terminal.table(results))
        print(f"results: {out}  (robustsim plot {out} --figure race-plane)")
    if failure is not None:
        raise failure


def _others(work: Callable[[], Any]) -> tuple[Any, RunsFailed | None]:
    """(results, what failed): where runs failed, the results of all others, if there are any."""
    try:
        return work(), None
    except RunsFailed as failure:
        held = failure.results
        return (None if held is None or held.runs.is_empty() else held), failure


def demo(out: str = "results/demo", seeds: Seeds = 8) -> None:
    """The tour, in about a minute: one scenario, its figures, its report.

    Args:
        out: directory for the results and the figures.
        seeds: number of independently trained agents.
    """
    from robustsim import api
    from robustsim.report import terminal

    began, folder = time.monotonic(), Path(out)
    print(
        "An agent has learned to take the gold. It keeps learning in deployment, where an overseer watches half of\n"
        "the episodes and penalises the thefts that it sees. Does the goal go away, or does the agent hide it?\n"
    )
    sweep = api.Sweep(scenario="camera_vault", over={"overseer.visible": [True, False]}, seeds=seeds)
    with progress() as narrate:
        results = sweep.run(folder, narrate=narrate)
    for visible, said in ((True, "A signal shows when the camera is on"), (False, "The signal is hidden")):
        print(f"{said}:\n{terminal.in_words(results.where({'overseer.visible': visible}))}\n")
    pictures = [folder / f"{name}.png" for name in ("race-plane", "traces")]
    for picture in pictures:
        results.plot(picture, picture.stem)
    pictures.append(results.report(folder / "report.html", replays=2, folder=folder))
    print(f"done in {time.monotonic() - began:.0f} s; see")
    print("\n".join(f"  {picture}" for picture in pictures))
