"""How a sweep is executed: where, by how many workers, and who is told about it. Needs no JAX."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robustsim.arguments import whole
from robustsim.errors import UserError, nearest

if TYPE_CHECKING:
    from robustsim.sweep.progress import Status

KINDS = ("processes", "inline", "dask")
CHECKPOINT = 30.0  # seconds between two checkpoints of a worker
MOST_WORKERS = 16  # by default
WORKERS_ALLOWED, SLOTS_ALLOWED = 1024, 65_536  # more than this is a typing error

Narrate = Callable[["Status"], None]
"""Receives the state of the work, about once a second."""

Part = tuple[int, int] | None
"""(I, N): the part I of N of the work; None is all of it."""


def quiet(_: "Status") -> None:
    """Reports nothing."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a sweep is executed. None of this changes a result.

    Attributes:
      executor: inline, processes or dask; empty chooses.
      workers: number of worker processes; 0 means one per core.
      scheduler: address of a running Dask scheduler (tcp://HOST:PORT); empty starts one on this machine.
      shard: I/N runs every N-th shard, starting with the I-th: for job arrays that share a directory.
      width: runs in flight in one compiled program; 0 chooses.
      checkpoint: seconds between two checkpoints of a worker.
      retry: repeat runs that failed.
      overwrite: remove other results in the directory.
    """

    executor: str = ""
    workers: int = 0
    scheduler: str = ""
    shard: Part = None
    width: int = 0
    checkpoint: float = CHECKPOINT
    retry: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        whole("workers", self.workers, 0, WORKERS_ALLOWED)
        whole("width", self.width, 0, SLOTS_ALLOWED)
        if self.executor and self.executor not in KINDS:
            raise UserError(f"executor: {self.executor!r} is not allowed; {nearest(str(self.executor), KINDS)}")
        if not isinstance(self.checkpoint, int | float) or not self.checkpoint > 0:
            raise UserError(f"checkpoint: {self.checkpoint!r} is not allowed; use a number of seconds above 0")
        if self.shard is None:
            return
        if not isinstance(self.shard, tuple) or len(self.shard) != 2:
            raise UserError(f"shard: {self.shard!r} is not allowed; use (I, N) with 0 <= I < N")
        first, count = (whole("shard", number) for number in self.shard)
        if first >= count:
            raise UserError(f"shard: {first}/{count} is not allowed; use I/N with 0 <= I < N")
        if self.overwrite:
            raise UserError(
                "overwrite: is not allowed with a shard, because it would remove what the other jobs have finished; "
                "remove the directory before you start the jobs"
            )


def default_workers() -> int:
    """One per core that this process may use, up to MOST_WORKERS."""
    return min(usable_cores(), MOST_WORKERS)


def usable_cores() -> int:
    """The cores that this process may run on; in a container with a quota, as many as that pays for, and at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(Path("/sys/fs/cgroup"))
    return cores if quota is None else max(1, min(cores, int(quota)))


def _quota(groups: Path) -> float | None:
    """Cores that the control group of this container pays for; None: no limit, or none that can be read."""
    try:
        limit, period = (groups / "cpu.max").read_text().split()  # version 2
    except (OSError, ValueError):
        try:
            limit, period = ((groups / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return None
    try:
        share = int(limit) / int(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return None
    return share if share > 0 else None
