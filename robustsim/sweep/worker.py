"""What a worker does with a task, and the process that does it: tasks come in on stdin, outcomes go out on stdout.

A task is plain data, so that it can travel by any engine:
    {"plan": ..., "folder": ..., "kind": "train" | "deploy", "unit": 3, "worker": "...", "options": {...}}
An outcome is {"status": "done" | "stopped" | "bad" | "storage" | "error", "message": "..."}.
"""

import json
import os
import signal
import socket
import sys
import threading
from functools import lru_cache, partial
from pathlib import Path
from typing import Any


def perform(task: dict[str, Any]) -> dict[str, Any]:
    """Does a task; whatever happens becomes an outcome."""
    from robustsim.errors import Stopped, StorageError, UserError

    try:
        _perform(task)
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


def perform_on_cluster(task: dict[str, Any]) -> dict[str, Any]:
    """:func:`perform`, on a worker that others may run beside on other machines."""
    return perform(task | {"worker": f"worker-{socket.gethostname()}-{os.getpid()}"})


def _perform(task: dict[str, Any]) -> None:
    from robustsim.sweep import layout, progress, store, unit

    folder = Path(task["folder"])
    plan = _plan(json.dumps(task["plan"]))
    manifest = store.read_manifest(folder)
    options, name = task["options"], unit.unit_name(task["kind"], task["unit"])
    place = unit.Place(
        agents=_agents(str(folder)),
        folder=folder,
        manifest=manifest,
        width=options["width"],
        checkpoint=options["checkpoint"],
        note=partial(unit.note_active, folder, name) if options["solo"] else None,
        skip={int(i): why for i, why in options["skip"].items()},
        stop=(folder / layout.STOP).exists,
        tell=progress.noting(folder, task["worker"]),
    )
    if task["kind"] == "train":
        unit.train(plan, plan.trainings[task["unit"]], place)
    else:
        unit.deploy(plan, plan.shards[task["unit"]], place)


@lru_cache(maxsize=4)
def _plan(text: str) -> Any:
    from robustsim.sweep import compiled, plan

    compiled.keep()
    return plan.from_plain(json.loads(text))


@lru_cache(maxsize=4)
def _agents(folder: str) -> Any:
    from robustsim import files
    from robustsim.sim.agents import Agents

    return Agents((files.cache_folder() / "agents", Path(folder) / "agents"))


def main() -> None:
    """The worker process. It ends when its stdin does, whatever it is doing: a worker never outlives its driver."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver is interrupted, and tells the workers to stop
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a scenario prints must not get between the answers
    tasks: list[str] = []
    ready = threading.Semaphore(0)

    def listen() -> None:
        for line in sys.stdin:
            tasks.append(line)
            ready.release()
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        ready.acquire()
        answers.write(json.dumps(perform(json.loads(tasks.pop(0)))) + "\n")


if __name__ == "__main__":
    main()
