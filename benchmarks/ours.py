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

    from robustsim.sim import batched
    from robustsim.sim.agents import training_track
    from robustsim.spec.loading import load
    from robustsim.spec.settings import Run, resolve

    if name == "gemm":
        a = jax.numpy.ones((1024, 1024), jax.numpy.float32)
        product = jax.jit(lambda x: x @ x)

        def work() -> Any:
            return jax.block_until_ready(product(a))

        amount = 2 * 1024**3
    else:
        factory = load(name)
        tracks = [training_track(seed, Run(resolve(factory, {}), seed), ()) for seed in range(runs)]
        settings = batched.stack([batched.as_arrays(track.run.settings) for track in tracks])
        keys = np.stack([batched.key_of("benchmark", seed) for seed in range(runs)])
        controls = batched.controls([track.control(name, False) for track in tracks])
        states = batched.begin_phase(factory, settings, controls, batched.initialise(factory, settings, keys))
        controls = replace(controls, limit=np.full(runs, steps, np.int32))

        def work() -> Any:
            return jax.block_until_ready(batched.advance(factory, settings, controls, states, np.int32(0)))

        amount = runs * steps
    work()
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        work()
        print(json.dumps(amount / (time.perf_counter() - began)), flush=True)


if __name__ == "__main__":
    main()
