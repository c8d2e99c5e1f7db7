"""The command line. Nothing heavy is imported before a command needs it."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional, UseAppendAction, arg
from tyro.extras import SubcommandApp

from robustsim.errors import RunsFailed, Stopped, UserError

app = SubcommandApp()

Overrides = Annotated[
    UseAppendAction[tuple[str, ...]],
    arg(name="set", metavar="NAME=VALUE", help="a dotted name with its value, as often as you like"),
]
Json = Annotated[bool, arg(name="json", help="print one JSON object on stdout and nothing else")]


@app.command(name="list")
def list_(as_json: Json = False) -> None:
    """Shows the scenarios with their claims."""
    from robustsim.cli import describe

    describe.list_scenarios(as_json)


@app.command(name="show")
def show(spec: Positional[str], as_json: Json = False) -> None:
    """Shows a scenario: parameters, defaults, map, source hash."""
    from robustsim.cli import describe

    describe.show(spec, as_json)


@app.command(name="run")
def run(
    spec: Positional[str],
    seeds: str = "32",
    overrides: Overrides = (),
    twin: str = "",
    out: str = "",
    overwrite: bool = False,
    as_json: Json = False,
) -> None:
    """Runs a scenario: trains agents, deploys each in both arms, and measures both clocks.

    Args:
        spec: name, path/file.py, path/file.py@name or package.module:name.
        seeds: how many independently trained agents.
        twin: a control in its place: aligned, random-init, oracle or guarded.
        out: a directory for the results.
        overwrite: replace other results that are there.
    """
    from robustsim.cli import work

    work.run(spec, seeds, overrides, twin, out, overwrite, as_json)


@app.command(name="sweep")
def sweep(
    spec: Positional[str],
    over: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="NAME=VALUES", help="LOW:HIGH:COUNT[:log], or V1,V2,..., or LOW:HIGH[:log] for draws"),
    ] = (),
    seeds: str = "32",
    overrides: Overrides = (),
    out: str = "",
    design: str = "grid",
    samples: int = 0,
    design_seed: int = 0,
    executor: str = "",
    workers: int = 0,
    scheduler: str = "",
    shard: str = "",
    shard_size: int = 0,
    width: int = 0,
    checkpoint: float = 30.0,
    retry: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    as_json: Json = False,
) -> None:
    """Runs a scenario with many settings. The same command again goes on where it stopped.

    Args:
        spec: name, path/file.py, path/file.py@name or package.module:name.
        seeds: how many independently trained agents per configuration.
        out: a directory for the results.
        design: grid (every combination), zip (side by side), random or sobol (drawn from ranges).
        samples: how many configurations random and sobol draw.
        design_seed: of that draw.
        executor: inline, processes or dask; chosen if not given.
        workers: how many processes; one per core if 0.
        scheduler: address of a Dask scheduler (tcp://...).
        shard: I/N, to do only every N-th shard from the I-th on (job arrays).
        shard_size: runs that are stored together; chosen if 0.
        width: runs that a compiled program holds; chosen if 0.
        checkpoint: seconds between two checkpoints of a worker.
        retry: make runs again that failed.
        overwrite: remove other results that are there.
        dry_run: only show what would be done, and estimate how long it takes.
    """
    from robustsim.cli import sweeping

    sweeping.sweep(
        spec,
        {"over": over, "design": design, "samples": samples, "design_seed": design_seed, "shard_size": shard_size},
        {
            "executor": executor,
            "workers": workers,
            "scheduler": scheduler,
            "width": width,
            "checkpoint": checkpoint,
            "retry": retry,
            "overwrite": overwrite,
        },
        seeds,
        overrides,
        out,
        shard,
        dry_run,
        as_json,
    )


@app.command(name="status")
def status(results: Positional[str], as_json: Json = False) -> None:
    """Shows what of a sweep is done, running and failed, and the time left.

    Args:
        results: its results directory.
    """
    from robustsim.cli import sweeping

    sweeping.status(results, as_json)


@app.command(name="plot")
def plot(results: Positional[str], figure: str = "race-plane", out: str = "") -> None:
    """Draws a figure of finished results.

    Args:
        results: a results directory.
        figure: its name; `robustsim plot DIR --figure help` lists them.
        out: the file to write (.svg, .png, .pdf); by default FIGURE.svg in the results directory.
    """
    from robustsim.cli import work

    work.plot(results, figure, out)


@app.command(name="report")
def report(results: Positional[str], out: str = "", replays: int = 4, scenario: str = "") -> None:
    """Writes one self-contained page about finished results, that opens from a file.

    Args:
        results: a results directory.
        out: the file to write; by default report.html in the results directory.
        replays: of how many typical runs to make the agents again, and to record them.
        scenario: the scenario's file, where the scenario is not installed.
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
    """Shows an agent before, during and after correction, watched and unwatched, as a GIF or WebP.

    Args:
        source: a scenario to run (as `robustsim run` takes it), or a results directory.
        out: the file to write (.gif, .webp).
        seed: of the run; by default 0, or a typical run of the directory.
        episodes: how many, 1 to 8.
        scenario: the scenario's file, where the scenario of a directory is not installed.
    """
    from robustsim.cli import showing

    showing.replay(source, out, seed, episodes, overrides, scenario)


@app.command(name="new")
def new(name: Positional[str], folder: str = ".", template: str = "grid") -> None:
    """Writes a commented scenario file to start from.

    Args:
        name: of the scenario; the file is NAME.py.
        folder: where it is written.
        template: grid (an ASCII map), foreign (a gymnax environment) or bandit (one decision, exact answers).
    """
    from robustsim.cli import template as templates

    templates.write(name, Path(folder), template)


@app.command(name="check")
def check(spec: Positional[str], overrides: Overrides = (), as_json: Json = False) -> None:
    """Says whether a scenario is sound, and explains what is not."""
    from robustsim.cli import checking

    checking.check(spec, overrides, as_json)


@app.command(name="validate")
def validate(quick: bool = False, as_json: Json = False) -> None:
    """Measures the analytic ground truths against the simulator.

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
def demo(out: str = "results/demo", seeds: str = "8") -> None:
    """The two-minute tour: one scenario, its figures, and what they say.

    Args:
        out: a directory for the results and the figures.
        seeds: how many independently trained agents.
    """
    from robustsim.cli import work

    work.demo(Path(out), seeds)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> None:
    """Entry point: 0 done, 1 a check failed, 2 bad input, 3 some runs failed."""
    signal.signal(signal.SIGTERM, _interrupt)  # how schedulers of clusters say that time is up
    try:
        app.cli(prog="robustsim", args=argv, config=(tyro.conf.FlagCreatePairsOff,))
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
        os._exit(130)  # a thread may still be compiling, and there is nothing left to wait for


if __name__ == "__main__":
    main()
