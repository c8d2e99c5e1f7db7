"""Work on a Dask cluster: an existing one, or processes of this machine that listen on loopback only."""

import queue
import time
from contextlib import suppress
from typing import Any

from robustsim.errors import UserError
from robustsim.sweep.worker import GRACE, Outcome, Task, perform_on_cluster


class Dask:
    """Tasks as Dask futures. The cluster only carries plain data: results go to the shared directory.

    The sweep is a future too, on which all tasks depend: Dask brings it to a worker once, and makes it again where the
    workers that held it have died.

    Args:
      workers: processes to start if no scheduler is named.
      scheduler: "tcp://host:port".
      sweep: as :func:`robustsim.sweep.worker.packed` writes it.

    Raises:
      UserError: Dask is not installed, or the scheduler does not answer.
    """

    def __init__(self, workers: int, scheduler: str, sweep: str) -> None:
        try:
            import dask.config
            import distributed
        except ImportError:
            raise UserError("executor: 'dask' requires a package: pip install 'robustsim[dask]'") from None
        dask.config.set({"distributed.scheduler.allowed-failures": 0})
        self._cluster: Any = None
        if not scheduler:
            self._cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,  # pyright: ignore[reportArgumentType]
            )
        try:
            self._client = distributed.Client(self._cluster or scheduler, timeout="10s")
        except (OSError, ValueError, TimeoutError) as error:
            raise UserError(f"scheduler: {scheduler!r} does not answer: {error}") from None
        self._fixed = workers if self._cluster is not None else 0
        self._sweep, self._packed = self._client.submit(str, sweep, pure=False), sweep
        self._tasks: dict[str, Task] = {}
        self._futures: dict[str, Any] = {}
        self._ended: queue.Queue[Any] = queue.Queue()
        self._count = 0

    @property
    def workers(self) -> int:
        """How many tasks the cluster performs at once."""
        return self._fixed or max(1, sum(self._client.nthreads().values()))  # pyright: ignore[reportAttributeAccessIssue]

    def submit(self, task: Task) -> None:
        """Gives a task to the cluster."""
        self._count += 1
        key = f"robustsim-{task['kind']}-{task['unit']}-{self._count}"
        if self._sweep.status in ("error", "cancelled", "lost"):  # a worker died just as it received it
            self._sweep = self._client.submit(str, self._packed, pure=False)
        future = self._client.submit(perform_on_cluster, self._sweep, task, key=key, pure=False, retries=0)
        self._tasks[key], self._futures[key] = task, future
        future.add_done_callback(self._ended.put)

    def wait(self, seconds: float) -> list[tuple[Task, Outcome]]:
        """Waits for futures to end."""
        outcomes = []
        deadline = time.monotonic() + seconds
        while not outcomes and time.monotonic() < deadline and self._tasks:
            try:
                future = self._ended.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                break
            outcomes.append(self._outcome(future))
        return outcomes

    def _outcome(self, future: Any) -> tuple[Task, Outcome]:
        task = self._tasks.pop(future.key)
        self._futures.pop(future.key)
        try:
            return task, future.result(timeout=60)
        except Exception as error:  # a killed worker, a lost connection, a cancelled future
            return task, {"status": "died", "message": f"its worker died ({type(error).__name__})"}

    def close(self) -> None:
        """Gives the tasks time to save."""
        deadline = time.monotonic() + GRACE
        while self._tasks and time.monotonic() < deadline:
            self.wait(0.2)
        with suppress(Exception):  # the work is over: a cluster that is slow to close changes nothing
            self._client.cancel(list(self._futures.values()))
            self._client.close(timeout=5)
        if self._cluster is not None:
            with suppress(Exception):
                self._cluster.close(timeout=5)
