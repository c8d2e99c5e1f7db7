"""Where a gradient step goes: microseconds of its pieces on one core, and milliseconds of evaluations.

python benchmarks/pieces.py camera_vault
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.sim import batched, episodes, solve
from robustsim.sim.agents import training_track
from robustsim.sim.world import make_world, starts
from robustsim.spec.loading import load
from robustsim.spec.settings import Run, resolve

TIMES, ROUNDS, EVALUATIONS = 300, 5, 8


def main() -> None:
    """Prints one JSON object."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    name = sys.argv[1]
    factory = load(name)
    track = training_track(0, Run(resolve(factory, {}), 0), ())
    settings = batched.stack([batched.as_arrays(track.run.settings)])
    keys = np.stack([batched.key_of("benchmark", 0)])
    controls = batched.controls([track.control(name, False)])
    states = batched.begin_phase(factory, settings, controls, batched.initialise(factory, settings, keys))
    settings, control, state = jax.tree.map(lambda x: x[0], (settings, controls, states))

    def world(settings: Any) -> Any:
        return make_world(factory, settings, True)

    def numbers(settings: Any, state: Any) -> Any:
        key_uniform, key_reset, key_env = jax.random.split(jax.random.fold_in(jax.random.key(0), state.step), 3)
        shape = (settings.agent.rollout_steps, settings.agent.num_envs)
        uniforms = jax.random.uniform(key_uniform, (*shape, episodes.UNIFORMS))
        return uniforms, starts(world(settings), key_reset, shape), key_env

    def drawn(settings: Any, carry: Any) -> Any:
        state, total = carry
        uniforms, resets, _ = numbers(settings, state)
        return replace(state, step=state.step + 1), total + _used((uniforms, resets))

    def played(settings: Any, carry: Any) -> Any:
        state, total = carry
        after, rollout = _collect(settings, state)
        kept = (rollout.moments.reward, rollout.moments.action, rollout.moments.dirty, rollout.moments.extras)
        return replace(state, episodes=after, step=state.step + 1), total + _used(kept)

    def _collect(settings: Any, state: Any) -> Any:
        overseer = settings.overseer.today(state.overseer, state.step)
        return episodes.collect(
            world(settings), overseer, state.agent.params, state.episodes, *numbers(settings, state)
        )

    def learned(settings: Any, carry: Any) -> Any:
        agent, batch = carry
        return world(settings).learner.update(jax.random.key(0), agent, batch, agent.params, None), batch

    @jax.jit
    def batch_of(settings: Any, state: Any) -> Any:
        after, rollout = _collect(settings, state)
        return episodes.as_batch(world(settings), after, rollout, rollout.moments.reward, fresh=True)

    zero = jnp.float32(0)
    pieces = {
        "whole step": _microseconds(lambda s, x: solve.step(world(s), control, x), settings, state),
        "random numbers": _microseconds(drawn, settings, (state, zero)),
        "random numbers and rollout": _microseconds(played, settings, (state, zero)),
        "learning": _microseconds(learned, settings, (state.agent, batch_of(settings, state))),
    }
    print(json.dumps({"microseconds": pieces, "milliseconds_of_evaluations": _evaluations(factory, track)}, indent=2))


def _used(tree: Any) -> Any:
    """A number that depends on everything in a tree, so that nothing is left out as unused."""

    def plain(x: Any) -> Any:
        return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x

    return sum(jnp.sum(plain(x).astype(jnp.float32)) for x in jax.tree.leaves(tree))


def _microseconds(body: Callable[[Any, Any], Any], settings: Any, start: Any) -> float:
    """Of one time of many, one after the other in one compiled loop; the least of some rounds."""
    loop = jax.jit(lambda s, x: jax.lax.fori_loop(0, TIMES, lambda _, y: body(s, y), x))
    return round(_least(lambda: loop(settings, start)) / TIMES * 1e6, 1)


def _evaluations(factory: Any, track: Any) -> dict[int, float]:
    """By the number of episodes a condition, of untrained agents in training levels."""
    settings = batched.stack([batched.as_arrays(track.run.settings)] * EVALUATIONS)
    keys = np.stack([batched.key_of("benchmark", i) for i in range(EVALUATIONS)])
    params = batched.initialise(factory, settings, keys).params
    steps, training = np.zeros(EVALUATIONS, np.int32), np.zeros(EVALUATIONS, bool)
    found = {}
    for count in (track.run.settings.evaluation.screen, track.run.settings.evaluation.episodes):
        each = np.full(EVALUATIONS, count, np.int32)
        args = (factory, settings, keys, steps, params, training, each)
        found[count] = round(_least(lambda args=args: batched.evaluate_all(*args)) / EVALUATIONS * 1e3, 2)
    return found


def _least(work: Callable[[], Any]) -> float:
    jax.block_until_ready(work())  # compiles
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        jax.block_until_ready(work())
        times.append(time.perf_counter() - began)
    return min(times)


if __name__ == "__main__":
    main()
