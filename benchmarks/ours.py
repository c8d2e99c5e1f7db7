"""This package's side of `throughput.py`: prints gradient steps per second each time it is asked by a line on stdin."""

import json
import os
import sys
import time
from dataclasses import replace
from typing import Any


def main() -> None:
    """Compiles once, then measures each time it is asked."""
    name, runs, steps, core = sys.argv[1], *(int(x) for x in sys.argv[2:5])
    if core >= 0:
        os.sched_setaffinity(0, {core})
    import jax
    import numpy as np
    from robustsim.sim.lifted import Run

    from robustsim.sim import lifted
    from robustsim.sim.track import TRAINING, Track
    from robustsim.spec.loading import load
    from robustsim.spec.settings import resolve

    if name == "gemm":
        a = jax.numpy.ones((1024, 1024), jax.numpy.float32)
        product = jax.jit(lambda x: x @ x)

        def work() -> Any:
            return jax.block_until_ready(product(a))

        amount = 2 * 1024**3
    else:
        factory = load(name)
        chosen = [Run(resolve(factory, {}), seed) for seed in range(runs)]
        settings = lifted.stack([lifted.as_arrays(run.settings) for run in chosen])
        keys = np.stack([lifted.key_of("benchmark", seed) for seed in range(runs)])
        lanes = lifted.lanes([Track(i, run, TRAINING).lane(name) for i, run in enumerate(chosen)])
        states = lifted.begin_phase(factory, settings, lanes, lifted.initialise(factory, settings, keys))
        lanes = replace(lanes, limit=np.full(runs, steps, np.int32))

        def work() -> Any:
            return jax.block_until_ready(lifted.advance(factory, settings, lanes, states, np.int32(0)))

        amount = runs * steps
    work()
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        work()
        print(json.dumps(amount / (time.perf_counter() - began)), flush=True)


if __name__ == "__main__":
    main()
