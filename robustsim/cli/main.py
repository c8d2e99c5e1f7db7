"""The command line. Nothing heavy is imported before a command needs it."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg
from tyro.extras import SubcommandApp

from robustsim.cli.options import Folder, Json, Overrides, Spec, SweepWords, registry
from robustsim.errors import RunsFailed, Stopped, UserError
from robustsim.sweep.execution import Execution
from robustsim.sweep.options import Seeds

app = SubcommandApp()


@app.command(name="list")
def list_(as_json: Json = False) -> None:
    """Lists the installed scenarios with their claims."""
    from robustsim.cli import describe

    describe.list_scenarios(as_json)


@app.command(name="show")
def show(spec: Spec, as_json: Json = False) -> None:
    """Shows a scenario: parameters, defaults, maps, source hash."""
    from robustsim.cli import describe

    describe.show(spec, as_json)


@app.command(name="run")
def run(
    spec: Spec,
    seeds: Seeds = 32,
    overrides: Overrides = (),
    twin: str = "",
    out: str = "",
    overwrite: bool = False,
    as_json: Json = False,
) -> None:
    """Runs a scenario: trains agents, deploys each in both arms, and measures both clocks.

    Args:
        seeds: number of independently trained agents.
        twin: run this control instead: aligned, random-init, oracle or guarded.
        out: directory for the results.
        overwrite: remove other results in the directory.
    """
    from robustsim.cli import work

    work.run(spec, seeds, overrides, twin, out, overwrite, as_json)


@app.command(name="sweep")
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
    from robustsim.cli import sweeping

    sweeping.sweep(configuration, execution, out, dry_run, as_json)


@app.command(name="status")
def status(results: Folder, as_json: Json = False) -> None:
    """Reports how much of a sweep is done, running and failed, and the time left."""
    from robustsim.cli import sweeping

    sweeping.status(results, as_json)


@app.command(name="plot")
def plot(results: Folder, figure: str = "race-plane", out: str = "") -> None:
    """Draws a figure of finished results.

    Args:
        figure: name of the figure; `--figure help` lists them.
        out: file to write (.svg, .png, .pdf); by default FIGURE.svg in the results directory.
    """
    from robustsim.cli import work

    work.plot(results, figure, out)


@app.command(name="report")
def report(results: Folder, out: str = "", replays: int = 4, scenario: str = "") -> None:
    """Writes a self-contained HTML page about finished results.

    Args:
        out: file to write; by default report.html in the results directory.
        replays: number of typical runs to reproduce and record; 0 is fastest.
        scenario: file of the scenario, if it is not installed.
    """
    from robustsim.cli import showing

    showing.report(results, out, replays, scenario)


@app.command(name="replay")
def replay(
    source: Annotated[Positional[str], arg(metavar="SPEC|DIR")],
    out: str = "replay.gif",
    seed: str = "",
    episodes: int = 3,
    overrides: Overrides = (),
    scenario: str = "",
) -> None:
    """Films an agent before, during and after correction, watched and unwatched, as GIF or WebP.

    Args:
        source: a scenario to run (as for `robustsim run`), or a results directory.
        out: file to write (.gif, .webp).
        seed: seed of the run; by default 0, or that of a typical run in the directory.
        episodes: number of episodes, 1 to 8.
        scenario: file of the scenario that made the directory, if it is not installed.
    """
    from robustsim.cli import showing

    showing.replay(source, out, seed, episodes, overrides, scenario)


@app.command(name="new")
def new(name: Positional[str], folder: str = ".", template: str = "grid") -> None:
    """Writes a commented scenario file to start from.

    Args:
        name: name of the scenario; the file is NAME.py.
        folder: directory to write it to.
        template: grid (an ASCII map), foreign (a gymnax environment) or bandit (one decision, exact answers).
    """
    from robustsim.cli import template as templates

    templates.write(name, Path(folder), template)


@app.command(name="check")
def check(spec: Spec, overrides: Overrides = (), as_json: Json = False) -> None:
    """Checks whether a scenario is sound, and explains what is not."""
    from robustsim.cli import checking

    checking.check(spec, overrides, as_json)


@app.command(name="validate")
def validate(quick: bool = False, as_json: Json = False) -> None:
    """Compares the simulator with the analytic ground truths.

    Args:
        quick: sample a tenth of the runs.
    """
    from robustsim.cli import checking

    checking.validate(quick, as_json)


@app.command(name="doctor")
def doctor(as_json: Json = False) -> None:
    """Shows versions, devices, cores and caches."""
    from robustsim.cli import describe

    describe.doctor(as_json)


@app.command(name="demo")
def demo(out: str = "results/demo", seeds: Seeds = 8) -> None:
    """The two-minute tour: one scenario, its figures, its report.

    Args:
        out: directory for the results and the figures.
        seeds: number of independently trained agents.
    """
    from robustsim.cli import work

    work.demo(Path(out), seeds)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> None:
    """Entry point: 0 done, 1 a check failed, 2 bad input, 3 some runs failed."""
    signal.signal(signal.SIGTERM, _interrupt)  # how cluster schedulers announce that time is up
    try:
        app.cli(prog="robustsim", args=argv, config=(FlagCreatePairsOff, OmitArgPrefixes), registry=registry)
        sys.stdout.flush()
    except UserError as error:
        print(f"robustsim: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `robustsim list | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        where = "" if error.filename is None else f"{str(error.filename)[:80]!r}: "
        print(f"robustsim: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except RunsFailed as error:
        print(f"robustsim: {error}", file=sys.stderr)
        sys.exit(3)
    except (KeyboardInterrupt, Stopped) as error:
        print(f"robustsim: {str(error) or 'stopped'}", file=sys.stderr, flush=True)
        os._exit(130)  # a thread may still be compiling; nothing is left to wait for


if __name__ == "__main__":
    main()
