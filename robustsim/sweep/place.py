"""Where a unit's work goes, and which run of it is being worked on."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robustsim import files
from robustsim.sim.agents import Agents
from robustsim.sweep import store
from robustsim.sweep.execution import CHECKPOINT
from robustsim.sweep.layout import STOP
from robustsim.sweep.plan import Shard

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Place:
    """Where a unit's work goes, and how it is done. None of it changes a result.

    Attributes:
      folder: the results directory; None keeps everything in memory.
      manifest: of the directory.
      agents: the trained agents.
      width: slots; 0 chooses.
      checkpoint: seconds between two checkpoints.
      note: told the index of the run that is taken up, one at a time: for finding the one that kills workers.
      skip: runs to record as failed, with the reason.
      stop: whether to stop; asked about twice a second.
      tell: told how far the work is.
    """

    agents: Agents
    folder: Path | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    width: int = 0
    checkpoint: float = CHECKPOINT
    note: Callable[[int], None] | None = None
    skip: dict[int, str] = field(default_factory=dict)
    stop: Callable[[], bool] = lambda: False
    tell: Tell = lambda _: None

    @property
    def identity(self) -> str:
        """The identity of the results."""
        return store.identity(self.manifest) if self.manifest else ""


def place_in(folder: Path, width: int, checkpoint: float) -> Place:
    """The place of a sweep whose results go to a directory; it stops where it is asked to there."""
    agents = Agents((files.cache_folder() / "agents", folder / "agents"))
    stop = (folder / STOP).exists
    return Place(agents, folder, store.read_manifest(folder), width, checkpoint, stop=stop)


def note_active(folder: Path, unit: str, index: int) -> None:
    """Notes which run is being worked on."""
    files.write_atomically(folder / "inflight" / f"{unit}.active", str(index).encode())


def forget_active(folder: Path, unit: str) -> None:
    """Forgets which run was being worked on."""
    with suppress(OSError):
        (folder / "inflight" / f"{unit}.active").unlink(missing_ok=True)


def active(folder: Path, unit: str) -> int | None:
    """The run that was being worked on, if that is known."""
    try:
        return int(files.read(folder / "inflight" / f"{unit}.active", 100))
    except (OSError, ValueError):
        return None


def unit_name(kind: str, index: int) -> str:
    """The name under which a unit's files are kept; `kind` is TRAIN or DEPLOY."""
    return Shard(kind, index, ()).name
