"""The executors of this machine (this process, or several processes), and which executor goes by which name.

An executor performs tasks, at most `workers` at once. It decides nothing and stores nothing.
"""

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from contextlib import suppress

from robustsim.errors import UserError, nearest
from robustsim.sweep import worker
from robustsim.sweep.dask_executor import Dask
from robustsim.sweep.execution import KINDS, Execution
from robustsim.sweep.place import Place
from robustsim.sweep.plan import Plan
from robustsim.sweep.worker import GRACE, Outcome, Task


class Inline:
    """This process, one task at a time; in a thread, so that the driver can be interrupted during compilation."""

    workers = 1

    def __init__(self, plan: Plan, place: Place) -> None:
        self._sweep = plan, place
        self._running: tuple[Task, threading.Thread, list[Outcome]] | None = None

    def submit(self, task: Task) -> None:
        """Begins a task."""
        box: list[Outcome] = []
        thread = threading.Thread(target=lambda: box.append(worker.perform(lambda: self._sweep, task)), daemon=True)
        self._running = (task, thread, box)
        thread.start()

    def wait(self, seconds: float) -> list[tuple[Task, Outcome]]:
        """Waits for the task."""
        assert self._running is not None
        task, thread, box = self._running
        thread.join(seconds)
        if thread.is_alive():
            return []
        self._running = None
        return [(task, box[0])]

    def close(self) -> None:
        """Gives the thread time to save."""
        if self._running is not None:
            self._running[1].join(GRACE)


class Processes:
    """Processes on this machine, each pinned to its share of the cores.

    Args:
      sweep: as :func:`robustsim.sweep.worker.packed` writes it; every process gets it once, before its first task.
      inherit: file descriptors that workers keep open.
    """

    def __init__(self, workers: int, sweep: str = "", inherit: tuple[int, ...] = ()) -> None:
        self.workers = workers
        self._sweep = sweep
        self._inherit = inherit
        self._busy: dict[int, Task] = {}
        self._children: list[subprocess.Popen[bytes] | None] = [None] * workers
        self._selector = selectors.DefaultSelector()
        self._closed = False

    def submit(self, task: Task) -> None:
        """Hands a task to a worker that has none; starts it if it is not there."""
        slot = next(slot for slot in range(self.workers) if slot not in self._busy)
        child = self._children[slot]
        lines = [json.dumps(task | {"worker": f"worker-{slot}"})]
        if child is None:
            child, lines = self._start(slot), [self._sweep, *lines]
        assert child.stdin is not None
        with suppress(BrokenPipeError):  # it is dead; wait() notices that
            child.stdin.writelines(line.encode() + b"\n" for line in lines)
            child.stdin.flush()
        self._busy[slot] = task

    def wait(self, seconds: float) -> list[tuple[Task, Outcome]]:
        """Waits for outcomes; workers that have died are replaced when there is a task for them."""
        outcomes = []
        for key, _ in self._selector.select(seconds):
            slot = key.data
            child = self._children[slot]
            assert child is not None
            assert child.stdout is not None
            line = child.stdout.readline()
            task = self._busy.pop(slot, None)  # None: it was idle, or interrupted while the task was handed over
            if line.endswith(b"\n"):
                outcome = json.loads(line)
            else:
                self._selector.unregister(child.stdout)
                code = child.wait()
                self._children[slot] = None
                cause = f"signal {-code}" if code < 0 else f"exit status {code}"
                outcome = {"status": "died", "message": f"its worker died ({cause})"}
            if task is not None:
                outcomes.append((task, outcome))
        return outcomes

    def _start(self, slot: int) -> subprocess.Popen[bytes]:
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        mine = cores[slot % len(cores) :: self.workers] if cores else []
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", _PINNED, json.dumps(sys.path), *map(str, mine)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=self._inherit,
        )
        assert child.stdout is not None
        self._children[slot] = child
        self._selector.register(child.stdout, selectors.EVENT_READ, slot)
        return child

    def close(self) -> None:
        """Gives busy workers time to save, then ends all workers; calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        deadline = time.monotonic() + GRACE
        while self._busy and time.monotonic() < deadline:
            self.wait(0.2)
        for child in self._children:
            if child is not None:
                child.kill()
                child.wait()
                for pipe in (child.stdin, child.stdout):
                    if pipe is not None:
                        with suppress(OSError):  # a task that was being handed over during the interrupt
                            pipe.close()
        self._selector.close()


def can_fork() -> bool:
    """Whether this system hands file descriptors to processes and waits for their pipes; Windows does not."""
    return os.name == "posix"


# Pin before JAX is imported, because JAX counts the cores then. Modules come from where the driver's came from: with
# its own path, a file `queue.py` in the folder in which it is started would take the place of Python's.
_PINNED = """
import json, os, sys
sys.path[:] = json.loads(sys.argv[1])
if len(sys.argv) > 2: os.sched_setaffinity(0, set(map(int, sys.argv[2:])))
from robustsim.sweep.worker import main
main()
"""


def make_executor(
    kind: str, workers: int, how: Execution, inherit: tuple[int, ...], plan: Plan, place: Place
) -> Inline | Processes | Dask:
    """The executor of a kind, for one sweep.

    Args:
      inherit: file descriptors that workers keep open.

    Raises:
      UserError: there is no such kind, or its package is not installed.
    """
    if kind == "inline":
        return Inline(plan, place)
    sweep = worker.packed(plan, place)
    if kind == "processes":
        return Processes(workers, sweep, inherit)
    if kind == "dask":
        return Dask(workers, how.scheduler, sweep)
    raise UserError(f"executor: {kind!r} is not allowed; {nearest(kind, KINDS)}")
