"""Gradient steps per second against the machine's own limit, measured in the same run.

Workload: camera_vault, 16 environments x 32 steps a rollout, one gradient step a rollout, 2 x 64 tanh, clipped Adam.
The limit is a float32 matrix product of 1024 x 1024. Medians of five.
"""

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.sim import cohort
from robustsim.sim.cohort import Run
from robustsim.sim.loading import load
from robustsim.sim.settings import resolve

REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    """Median time of some work, after one warm-up."""
    jax.block_until_ready(work())
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        jax.block_until_ready(work())
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def gemm_rate() -> float:
    """Floating-point operations per second of a large float32 matrix product."""
    a = jnp.ones((1024, 1024), jnp.float32)
    product = jax.jit(lambda x: x @ x)
    return 2 * 1024**3 / seconds(lambda: product(a))


def gradient_steps(width: int, steps: int) -> float:
    """Gradient steps per second of `width` runs together."""
    factory = load("camera_vault")
    runs = [Run(resolve(factory, {}), seed) for seed in range(width)]
    settings = cohort.stack([cohort.as_arrays(run.settings) for run in runs])
    keys = np.stack([cohort.key_of("benchmark", seed) for seed in range(width)])
    lanes = cohort.lanes_for(factory, runs, "benchmark", training=True)
    states = cohort.begin_phase(factory, settings, lanes, cohort.initialise(factory, settings, keys))
    to_limit = dataclasses.replace(lanes, limit=jnp.full(width, steps, jnp.int32))
    return width * steps / seconds(lambda: cohort.advance(factory, settings, to_limit, states))


def operations() -> float:
    """Floating-point operations of the network in one gradient step: a forward pass to act, three more to learn."""
    factory = load("camera_vault")
    env = factory(**factory.defaults).env
    sizes = [env.observation_size + 1, 64, 64, env.num_actions + 1]
    weights = sum(a * b for a, b in pairwise(sizes))
    return 4 * 2 * weights * 16 * 32


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    limit = gemm_rate()
    rows = {}
    for width in args.widths:
        rate = gradient_steps(width, args.steps)
        rows[width] = {
            "gradient_steps_per_second": round(rate, 1),
            "share_of_gemm_rate": round(rate * operations() / limit, 3),
        }
    print(
        json.dumps(
            {"gemm_gflops": round(limit / 1e9, 1), "mflop_per_step": round(operations() / 1e6, 1), "widths": rows},
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
