"""What a run has counted so far, by the names of the counters (see :mod:`robustsim.sim.counters`)."""

import jax.numpy as jnp

from robustsim.records import Counter, of_kind
from robustsim.sim.counters import COUNTERS
from robustsim.sim.oversee import Overseen
from robustsim.sim.world import World
from robustsim.types import Array

Tally = dict[str, Array]


def init(world: World) -> Tally:
    """Nothing counted yet."""
    return {counter.name: jnp.zeros((), jnp.int32 if counter.type is int else float) for counter in counters(world)}


def counters(world: World) -> tuple[Counter, ...]:
    """The counters of a world: those of every run, and the scenario's own."""
    return (*COUNTERS, *of_kind(world.scenario.records, Counter))


def count(world: World, tally: Tally, overseen: Overseen, step: Array) -> Tally:
    """The tally after one more rollout, which began at a gradient step."""
    rollout = step // world.learner.gradient_steps
    return {c.name: _next(c, tally[c.name], _read(c, overseen), rollout) for c in counters(world)}


def _read(counter: Counter, overseen: Overseen) -> Array:
    if counter.per == "rollout":
        return counter.of(overseen)
    values = overseen.moments.recorded[counter.name]
    return values.sum(dtype=jnp.int32) if counter.type is int else values.mean()


def _next(counter: Counter, so_far: Array, now: Array, rollout: Array) -> Array:
    now = jnp.asarray(now).astype(so_far.dtype)
    if counter.way == "total":
        return so_far + now
    if counter.way == "last":
        return now
    # A running mean: a sum over 100,000 steps would outgrow the resolution of float32.
    return so_far + (now - so_far) / (rollout + 1).astype(so_far.dtype)
