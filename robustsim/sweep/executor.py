"""What an executor is: it takes tasks and returns outcomes. It decides nothing and stores nothing."""

from typing import Any, NamedTuple, Protocol

GRACE = 3.5  # seconds that workers have to save before they are killed


class Outcome(NamedTuple):
    """The outcome of a task: "done", "stopped", "bad" (input), "storage", "error" or "died"."""

    task: dict[str, Any]
    status: str
    message: str


class Executor(Protocol):
    """Something that performs tasks."""

    @property
    def workers(self) -> int:
        """How many tasks it performs at once."""
        ...

    def submit(self, task: dict[str, Any]) -> None:
        """Accepts a task."""
        ...

    def wait(self, seconds: float) -> list[Outcome]:
        """Outcomes so far, after waiting at most `seconds` for one."""
        ...

    def close(self) -> None:
        """Ends the workers within GRACE seconds; unfinished tasks are lost, but not their checkpoints."""
        ...
