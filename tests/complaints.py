"""What a message to a user must contain, whatever its English: one line, the field, and the offending value."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from robustsim.cli.main import main
from robustsim.errors import UserError


def says(message: str, *parts: Any) -> bool:
    """Whether every part (a dotted name, an argument, a file, a value) is in the message, and not only within a word.

    A value may be written as `str` or as `repr` writes it, a number also with separators.
    """
    return all(any(_has(message, spelled) for spelled in _spellings(part)) for part in parts)


def _spellings(part: Any) -> set[str]:
    number = isinstance(part, int) and not isinstance(part, bool)
    return {str(part), repr(part)} | ({f"{part:,}"} if number else set())


def _has(message: str, text: str) -> bool:
    before = r"(?<![\w.-])" if re.match(r"\d", text) else r"(?<![\w.])" if re.match(r"\w", text) else ""
    before = r"(?<!\w)" if re.match(r"[-.]", text) else before
    after = r"(?![\w]|[.,]\d)" if re.search(r"\w$", text) else ""
    return re.search(before + re.escape(text) + after, message) is not None


def one_line(message: str, *parts: Any) -> None:
    """Asserts that a message is one line that says all parts."""
    assert "\n" not in message.strip()
    assert says(message, *parts), (message, parts)


@contextlib.contextmanager
def complains(*parts: Any, error: type[Exception] = UserError) -> Iterator[None]:
    """Expects an error whose message is one line that says all parts: `with complains("overseer.coverage", 1.5):`."""
    with pytest.raises(error) as caught:
        yield
    one_line(str(caught.value), *parts)


def complaint(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line that a command with bad input prints."""
    with pytest.raises(SystemExit) as stopped:
        main(list(argv))
    out, err = capsys.readouterr()
    assert (stopped.value.code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("robustsim: ")
    assert "Traceback" not in err
    return err
