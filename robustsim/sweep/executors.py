"""The executors of this machine (this process, or several processes), and which executor goes by which name."""

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

from robustsim.errors import UserError, nearest
from robustsim.sweep import worker
from robustsim.sweep.dask_executor import Dask
from robustsim.sweep.execution import KINDS, default_workers
from robustsim.sweep.executor import GRACE, Executor, Outcome


class Inline:
    """This process, one task at a time; in a thread, so that the driver can be interrupted during compilation."""

    workers = 1

    def __init__(self) -> None:
        self._tasks: deque[dict[str, Any]] = deque()
        self._running: tuple[dict[str, Any], threading.Thread, list[dict[str, Any]]] | None = None

    def submit(self, task: dict[str, Any]) -> None:
        """Accepts a task."""
        self._tasks.append(task)

    def wait(self, seconds: float) -> list[Outcome]:
        """Waits for the current task."""
        if self._running is None:
            if not self._tasks:
                return []
            task, box = self._tasks.popleft(), []
            thread = threading.Thread(target=lambda: box.append(worker.perform(task)), daemon=True)
            self._running = (task, thread, box)
            thread.start()
        task, thread, box = self._running
        thread.join(seconds)
        if thread.is_alive():
            return []
        self._running = None
        return [Outcome(task, **box[0])]

    def close(self) -> None:
        """Gives the thread time to save."""
        if self._running is not None:
            self._running[1].join(GRACE)


class Processes:
    """Processes on this machine, each pinned to its share of the cores."""

    def __init__(self, workers: int, inherit: tuple[int, ...] = ()) -> None:
        self.workers = workers
        self._inherit = inherit
        self._tasks: deque[dict[str, Any]] = deque()
        self._busy: dict[int, dict[str, Any]] = {}
        self._children: list[subprocess.Popen[bytes] | None] = [None] * workers
        self._selector = selectors.DefaultSelector()
        self._closed = False

    def submit(self, task: dict[str, Any]) -> None:
        """Accepts a task."""
        self._tasks.append(task)
        self._feed()

    def wait(self, seconds: float) -> list[Outcome]:
        """Waits for outcomes, and replaces workers that have died."""
        self._feed()
        if not self._busy:
            return []
        outcomes = []
        for key, _ in self._selector.select(seconds):
            slot = key.data
            child = self._children[slot]
            assert child is not None
            assert child.stdout is not None
            line = child.stdout.readline()
            task = self._busy.pop(slot, None)
            if line.endswith(b"\n"):
                if task is not None:  # None: interrupted while it was handed over
                    outcomes.append(Outcome(task, **json.loads(line)))
                continue
            self._selector.unregister(child.stdout)
            code = child.wait()
            self._children[slot] = None
            if task is not None:
                cause = f"signal {-code}" if code < 0 else f"exit status {code}"
                outcomes.append(Outcome(task, "died", f"its worker died ({cause})"))
        self._feed()
        return outcomes

    def _feed(self) -> None:
        for slot in range(self.workers):
            if slot in self._busy or not self._tasks:
                continue
            child = self._children[slot] or self._start(slot)
            task = self._tasks.popleft()
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                child.stdin.write(json.dumps(task | {"worker": f"worker-{slot}"}).encode() + b"\n")
                child.stdin.flush()
            except BrokenPipeError:  # it died while idle; wait() notices that
                self._tasks.appendleft(task)
                self._selector.unregister(child.stdout)
                child.wait()
                self._children[slot] = None
                continue
            self._busy[slot] = task

    def _start(self, slot: int) -> subprocess.Popen[bytes]:
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        mine = cores[slot % len(cores) :: self.workers] if cores else []
        child = subprocess.Popen(
            [sys.executable, "-c", _PINNED, *map(str, mine)],
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
            self._tasks.clear()
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


# Pin before JAX is imported, because JAX counts the cores then.
_PINNED = """
import os, sys
if len(sys.argv) > 1: os.sched_setaffinity(0, set(map(int, sys.argv[1:])))
from robustsim.sweep.worker import main
main()
"""


def make_executor(kind: str, workers: int, scheduler: str, inherit: tuple[int, ...]) -> Executor:
    """The executor of a kind.

    Args:
      workers: how many; 0 chooses.
      scheduler: address of a Dask scheduler; "" starts workers on this machine.
      inherit: file descriptors that workers keep open.

    Raises:
      UserError: there is no such kind, or its package is not installed.
    """
    if kind == "inline":
        return Inline()
    if kind == "processes":
        return Processes(workers or default_workers(), inherit)
    if kind == "dask":
        return Dask(workers or default_workers(), scheduler)
    raise UserError(f"executor: {kind!r} is not allowed; {nearest(kind, KINDS)}")
