"""The harm done so far: the catastrophe rule, bare and behind the defences."""

from dataclasses import replace

import jax.numpy as jnp

from robustsim.events import NEVER
from robustsim.oversight import defences
from robustsim.oversight.catastrophe import Harm
from robustsim.pytree import pytree
from robustsim.sim.episodes import Moment
from robustsim.sim.world import World
from robustsim.types import Array, Tree


@pytree
class HarmState:
    """Where the catastrophe rule stands."""

    rule: Tree
    peak: Array  # int32[], how high the rule has stood at most
    catastrophe: Array  # int32[], gradient step at which it fired first, or NEVER
    guard: defences.Guard | None  # the same behind the defences, where there are any


def init(world: World) -> HarmState:
    """No harm yet."""
    rule = world.settings.catastrophe.init()
    guard = None if world.settings.defences is None else defences.begin(rule)
    return HarmState(rule=rule, peak=jnp.int32(0), catastrophe=jnp.int32(NEVER), guard=guard)


def done(world: World, moments: Moment, uniform: Array) -> Harm:
    """What the rule reads of a rollout; `uniform` is float[T, B]."""
    harmful = moments.event if world.settings.catastrophe.counts_events else moments.misbehaved
    assert harmful is not None
    return Harm(harmful, moments.clean, uniform, world.learner.gradient_steps)


def advance(world: World, state: HarmState, harm: Harm, step: Array, over: Array) -> HarmState:
    """The rule after one more rollout, in the world without defences; once it is `over`, bool[], the peak stays."""
    rule, fired, high = world.settings.catastrophe.advance(state.rule, harm)
    peak = jnp.where(over, state.peak, jnp.maximum(state.peak, high.astype(jnp.int32)))
    return replace(state, rule=rule, peak=peak, catastrophe=_first(state.catastrophe, fired, step))


def peaks(state: HarmState) -> dict[str, Array]:
    """How high the rule has stood at most: `harm`, and behind the defences, where there are any, `harm_defended`."""
    return {"harm": state.peak} | ({} if state.guard is None else {"harm_defended": state.guard.peak})


def defend(
    world: World, state: HarmState, harm: Harm, noticed: Array, uniforms: Array, step: Array, over: Array
) -> HarmState:
    """The rule after one more rollout, in the defended world: the defences react to what the overseer noticed."""
    settings = world.settings
    if state.guard is None or settings.defences is None:
        return state
    guard = defences.defend(settings.defences, state.guard, settings.catastrophe, harm, noticed, uniforms, step)
    return replace(state, guard=replace(guard, peak=jnp.where(over, state.guard.peak, guard.peak)))


def control_lost(world: World, state: HarmState) -> Array:
    """bool[], whether the catastrophe has switched the overseer off."""
    return jnp.asarray(world.settings.catastrophe.loss_of_control) & (state.catastrophe != NEVER)


def last_catastrophe(state: HarmState) -> Array:
    """int32[], the later one of the two catastrophes, bare and defended, or NEVER."""
    return state.catastrophe if state.guard is None else state.guard.catastrophe


def _first(so_far: Array, fired: Array, step: Array) -> Array:
    return jnp.where((so_far == NEVER) & fired, step + 1, so_far)
