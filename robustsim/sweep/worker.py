"""What a worker does with a task, and the process that does it: lines come in on stdin, outcomes go out on stdout.

The first line is the sweep, as :func:`packed` writes it: it reaches a worker once. Each later one is a task, which
names its part of the sweep:
    {"kind": "train" | "reference" | "deploy", "unit": 3, "worker": "...", "solo": false, "skip": {}}
An outcome is {"status": "done" | "stopped" | "bad" | "storage" | "error", "message": "..."}; where there is none, an
executor makes one with the status "died".
"""

import json
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustsim.sweep.place import Place
    from robustsim.sweep.plan import Plan

GRACE = 3.5  # seconds that workers have to save before they are killed

Task = dict[str, Any]
Outcome = dict[str, str]


def packed(plan: "Plan", place: "Place") -> str:
    """A sweep as text, for workers in other processes."""
    return json.dumps([plan.to_plain(), str(place.folder), place.width, place.checkpoint])


@lru_cache(maxsize=4)
def unpacked(sweep: str) -> tuple["Plan", "Place"]:
    """The plan of a sweep that :func:`packed` wrote, and the place where its units go."""
    from robustsim.sweep import compiled, place, plan

    table, folder, width, checkpoint = json.loads(sweep)
    compiled.keep()
    return plan.from_plain(table), place.place_in(Path(folder), width, checkpoint)


def perform(sweep: Callable[[], tuple["Plan", "Place"]], task: Task) -> Outcome:
    """Does a task of a sweep; whatever happens becomes an outcome."""
    from robustsim.errors import Stopped, StorageError, UserError

    try:
        _perform(*sweep(), task)
        return {"status": "done", "message": ""}
    except Stopped:
        return {"status": "stopped", "message": ""}
    except StorageError as error:
        return {"status": "storage", "message": str(error)}
    except UserError as error:
        return {"status": "bad", "message": str(error)}
    except Exception as error:  # out of memory, a fault of the runtime or of a user's function: the driver decides
        first = (str(error) or "no message").split("\n")[0]
        return {"status": "error", "message": f"{type(error).__name__}: {first}"[:300]}


def perform_on_cluster(sweep: str, task: Task) -> Outcome:
    """:func:`perform`, on a worker that others may run beside on other machines."""
    return perform(partial(unpacked, sweep), task | {"worker": f"worker-{socket.gethostname()}-{os.getpid()}"})


def _perform(plan: "Plan", place: "Place", task: Task) -> None:
    from robustsim.sweep import progress, unit
    from robustsim.sweep.place import note_active

    assert place.folder is not None
    shards, work = {
        "train": (plan.trainings, unit.train),
        "reference": (plan.references, unit.refer),
        "deploy": (plan.shards, unit.deploy),
    }[task["kind"]]
    shard = shards[task["unit"]]
    place = replace(
        place,
        note=partial(note_active, place.folder, shard.name) if task["solo"] else None,
        skip={int(i): why for i, why in task["skip"].items()},
        tell=progress.noting(place.folder, task["worker"]),
    )
    work(plan, shard, place)


def main() -> None:
    """The worker process. It ends when its stdin does, whatever it is doing: a worker never outlives its driver."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver is interrupted, and tells the workers to stop
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a scenario prints must not get between the answers
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    sweep = partial(unpacked, lines.get())
    while True:
        answers.write(json.dumps(perform(sweep, json.loads(lines.get()))) + "\n")


if __name__ == "__main__":
    main()
