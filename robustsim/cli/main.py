"""The command line: the parameters of a function are the options of a command. Only a command's body imports what is
heavy."""

import io
import os
import signal
import sys

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes
from tyro.extras import subcommand_cli_from_dict

from robustsim.cli import attributing, checking, describe, showing, template, work
from robustsim.cli.options import registry
from robustsim.errors import RunsFailed, Stopped, UserError, blamed, first_line

COMMANDS = {
    "list": describe.list_scenarios,
    "show": describe.show,
    "run": work.run,
    "sweep": work.sweep,
    "attribute": attributing.attribute,
    "relabel": attributing.relabel,
    "status": showing.status,
    "goals": showing.goals,
    "plot": showing.plot,
    "export": showing.export,
    "report": showing.report,
    "replay": showing.replay,
    "new": template.write,
    "check": checking.check,
    "validate": checking.validate,
    "doctor": describe.doctor,
    "demo": work.demo,
}


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> None:
    """Entry point: 0 done, 1 a check failed, 2 bad input, 3 some runs failed."""
    signal.signal(signal.SIGTERM, _interrupt)  # how cluster schedulers announce that time is up
    # Where a terminal cannot show a character, it shows another.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    config = (FlagCreatePairsOff, OmitArgPrefixes)
    try:
        subcommand_cli_from_dict(COMMANDS, prog="robustsim", args=argv, config=config, registry=registry)
        if sys.stdout is not None:  # it is none where the shell has closed it
            sys.stdout.flush()
    except (UserError, RunsFailed) as error:
        print(f"robustsim: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UserError) else 3)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and sys.stdout is not None:  # `robustsim list | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        where = "" if error.filename is None else f"{str(error.filename)[:80]!r}: "
        print(f"robustsim: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, Stopped) as error:
        print(f"robustsim: {str(error) or 'stopped'}", file=sys.stderr, flush=True)
        os._exit(130)  # a thread may still be compiling; nothing is left to wait for
    except Exception as error:
        if not blamed(error):
            raise
        print(f"robustsim: {first_line(error)}", file=sys.stderr)  # from a user's own file: that line is what counts
        sys.exit(2)


if __name__ == "__main__":
    main()
