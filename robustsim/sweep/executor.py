"""What an executor is: it takes tasks and returns outcomes. It decides nothing and stores nothing."""

from typing import Any, NamedTuple, Protocol

GRACE = 3.5  # seconds that workers get to save before they are killed: what is lost is since their last checkpoint


class Outcome(NamedTuple):
    """What became of a task: "done", "stopped", "bad" (input), "storage", "error" or "died"."""

    task: dict[str, Any]
    status: str
    message: str


class Executor(Protocol):
    """A place where tasks are done."""

    @property
    def workers(self) -> int:
        """How many tasks it does at a time."""
        ...

    def submit(self, task: dict[str, Any]) -> None:
        """Takes a task."""
        ...

    def wait(self, seconds: float) -> list[Outcome]:
        """Outcomes that have come in, after waiting for one for at most so long."""
        ...

    def close(self) -> None:
        """Ends the workers, after GRACE seconds at most; tasks that are not done are lost, what they saved is not."""
        ...
