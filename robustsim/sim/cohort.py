"""The runs that share one compiled program, moved forward together.

This is the one place where functions of a single run are lifted over many. Every function here is compiled once for a
scenario and a structure of settings; how many runs share a batch changes no run's result.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.errors import DivergedError
from robustsim.sim import clocks, exact
from robustsim.sim.clocks import Reading, Rules
from robustsim.sim.deploy import NEVER, Lane, RunState, deploy_step, running, start
from robustsim.sim.probe import Counts, probe
from robustsim.sim.scenario import ScenarioFactory
from robustsim.sim.settings import Settings
from robustsim.sim.world import make_world, where
from robustsim.types import Array, Tree

FOREVER = 2**31 - 1
CHUNK = 1000  # gradient steps between two returns to the host, at most

Narrate = Callable[[str, int, int], None]
"""`narrate(what, done, total)`: told how far the work is, in gradient steps."""


def quiet(what: str, done: int, total: int) -> None:
    """Tells nobody."""


def precision(name: str) -> AbstractContextManager[Any]:
    """The context in which a scenario's numbers have the precision it asks for."""
    return jax.enable_x64(True) if name == "float64" else nullcontext()


def key_of(*words: object) -> np.ndarray:
    """uint32[2], the key that belongs to what a run is: scenario, purpose, seed."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return np.frombuffer(digest[:8], np.uint32).copy()


def as_arrays(settings: Settings) -> Settings:
    """Settings as compiled programs take them: whole numbers int32, flags bool, all else float."""
    kind = np.float64 if jax.config.jax_enable_x64 else np.float32  # pyright: ignore[reportAttributeAccessIssue]

    def leaf(x: Any) -> Any:
        return np.asarray(x, np.bool_ if isinstance(x, bool) else np.int32 if isinstance(x, int) else kind)

    return jax.tree.map(leaf, replace(settings, agent=settings.agent.canonical()))


def stack(trees: Sequence[Tree]) -> Tree:
    """Trees of equal structure as one tree with a leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


# --- compiled, over a leading axis of N runs ---


@partial(jax.jit, static_argnames="factory")
def initialise(factory: ScenarioFactory, settings: Settings, keys: Array) -> Tree:
    """Untrained agents, from uint32[N, 2]."""
    return jax.vmap(lambda s, k: make_world(factory, s).learner.init(jax.random.wrap_key_data(k)))(settings, keys)


@partial(jax.jit, static_argnames="factory")
def hand_over(factory: ScenarioFactory, settings: Settings, agents: Tree) -> Tree:
    """Agents as they enter deployment."""
    return jax.vmap(lambda s, a: make_world(factory, s).learner.hand_over(a))(settings, agents)


@partial(jax.jit, static_argnames="factory")
def begin_phase(factory: ScenarioFactory, settings: Settings, lanes: Lane, agents: Tree) -> RunState:
    """Run states before the first step of a phase."""
    return jax.vmap(lambda s, lane, a: start(make_world(factory, s), lane, a))(settings, lanes, agents)


@partial(jax.jit, static_argnames="factory")
def advance(factory: ScenarioFactory, settings: Settings, lanes: Lane, states: RunState) -> RunState:
    """Moves each run to its lane's limit; runs that are there already stand still."""

    def moving(states: RunState) -> Array:
        return jax.vmap(lambda s, lane, x: running(make_world(factory, s), lane, x))(settings, lanes, states)

    def step(settings: Settings, lane: Lane, state: RunState, go: Array) -> RunState:
        return where(go, deploy_step(make_world(factory, settings), lane, state), state)

    def body(carry: tuple[RunState, Array]) -> tuple[RunState, Array]:
        states, go = carry
        states = jax.vmap(step)(settings, lanes, states, go)
        return states, moving(states)

    def finish(settings: Settings, state: RunState) -> RunState:
        if state.exact is None:
            return state
        return replace(
            state, exact=exact.look(make_world(factory, settings), state.agent.params, state.exact, state.step)
        )

    states, _ = jax.lax.while_loop(lambda carry: jnp.any(carry[1]), body, (states, moving(states)))
    return jax.vmap(finish)(settings, states)


@partial(jax.jit, static_argnames=("factory", "episodes"))
def look(
    factory: ScenarioFactory,
    settings: Settings,
    keys: Array,
    steps: Array,
    params: Tree,
    training: Array,
    episodes: int,
) -> Counts:
    """Probes each run; the key of a probe is that of the run, folded with its step and the number of episodes."""

    def one(settings: Settings, key: Array, step: Array, params: Tree) -> Counts:
        folded = jax.random.fold_in(jax.random.fold_in(jax.random.wrap_key_data(key), step), episodes)
        return probe(make_world(factory, settings), folded, params, training, episodes)

    return jax.vmap(one)(settings, keys, steps, params)


# --- on the host ---


class Run(NamedTuple):
    """One run: a configuration and a seed."""

    settings: Settings
    seed: int


class Path(NamedTuple):
    """What one arm of one run did."""

    readings: list[Reading]
    withdrawn: int | None  # gradient step at which the overseer left
    catastrophe: int | None  # gradient step at which the rule fired
    exact: dict[str, float] | None  # the exact clocks, by name


def rules_of(settings: Settings, is_exact: bool) -> Rules:
    """The settings that the host follows a run by."""
    return Rules(
        threshold=settings.probe.threshold,
        budget=settings.deployment.budget,
        patience=settings.deployment.patience,
        relapse_steps=settings.deployment.relapse_steps,
        exact=is_exact,
    )


def lanes_for(factory: ScenarioFactory, runs: Sequence[Run], purpose: str, **flags: Any) -> Lane:
    """The lanes of runs, with the given flags the same for all."""
    count = len(runs)
    base: dict[str, Any] = {
        "training": False,
        "silent": False,
        "withdrawn": FOREVER,
        "limit": 0,
        "stop_removed": False,
        "stop_catastrophe": False,
    } | flags
    kinds = {name: np.int32 if name in ("withdrawn", "limit") else np.bool_ for name in base}
    keys = np.stack([key_of(factory.name, purpose, run.seed) for run in runs])
    flags_of = {name: jnp.full(count, value, kinds[name]) for name, value in base.items()}
    return Lane(key=jnp.asarray(keys), **flags_of)


def deploy(
    factory: ScenarioFactory, runs: Sequence[Run], agents: Tree, silent: bool, narrate: Narrate = quiet
) -> list[Path]:
    """Takes runs of equal structure through one arm of their deployment, all together.

    Args:
      agents: instilled agents, stacked.
      silent: the unopposed arm, which ends at the catastrophe; otherwise the corrected one.
    """
    settings = stack([as_arrays(run.settings) for run in runs])
    lanes = lanes_for(factory, runs, "deploy", silent=silent, stop_catastrophe=silent)
    probe_keys = np.stack([key_of(factory.name, "probe", run.seed) for run in runs])
    states = begin_phase(factory, settings, lanes, agents)
    rules = [rules_of(run.settings, states.exact is not None) for run in runs]
    if not silent:
        nothing_follows = [rule.exact and rule.patience == 0 and rule.relapse_steps == 0 for rule in rules]
        lanes = replace(lanes, stop_removed=jnp.array(nothing_follows))
    states = advance(factory, settings, lanes, states)  # to step 0: takes note of what is removed from the start
    readings: list[list[Reading]] = [[] for _ in runs]
    total = sum(rule.budget for rule in rules)
    what = "unopposed" if silent else "corrected"
    while True:
        measured = _measure(factory, runs, settings, probe_keys, states, readings, rules, silent)
        for lane, reading in measured.items():
            readings[lane].append(reading)
        fired = np.asarray(states.clocks.catastrophe) != NEVER
        progress = [_next(r, rule, silent, bool(f)) for r, rule, f in zip(readings, rules, fired, strict=True)]
        narrate(
            what,
            sum(
                rule.budget if p.done else min(r[-1].step, rule.budget)
                for r, rule, p in zip(readings, rules, progress, strict=True)
            ),
            total,
        )
        if all(p.done for p in progress) or not measured:
            break  # done, or every run that is left has stopped where it stands
        targets = np.array([r[-1].step if p.done else p.next_step for r, p in zip(readings, progress, strict=True)])
        withdrawn = np.array([FOREVER if p.withdrawn is None else p.withdrawn for p in progress], np.int32)
        states = _advance_to(factory, settings, replace(lanes, withdrawn=withdrawn), states, targets)
    return [_path(states, i, r, p.withdrawn) for i, (r, p) in enumerate(zip(readings, progress, strict=True))]


def _next(readings: list[Reading], rules: Rules, silent: bool, fired: bool) -> clocks.Progress:
    if silent:
        step = readings[-1].step
        return clocks.Progress(min(clocks.next_on_grid(step), rules.budget), None, fired or step >= rules.budget)
    return clocks.follow(readings, rules)


def _advance_to(
    factory: ScenarioFactory, settings: Settings, lanes: Lane, states: RunState, targets: np.ndarray
) -> RunState:
    """Moves runs to their targets, coming back to the host at least every CHUNK steps."""
    before = np.asarray(states.step)
    while True:
        limits = np.minimum(before + CHUNK if states.exact is None else targets, targets).astype(np.int32)
        states = advance(factory, settings, replace(lanes, limit=limits), states)
        after = np.asarray(states.step)
        if np.all((after >= targets) | (after == before)):
            return states
        before = after


def _measure(
    factory: ScenarioFactory,
    runs: Sequence[Run],
    settings: Settings,
    keys: np.ndarray,
    states: RunState,
    readings: list[list[Reading]],
    rules: list[Rules],
    silent: bool,
) -> dict[int, Reading]:
    """A reading of every run that has moved: a cheap look at all, and the full one where a claim is open."""
    steps = np.asarray(states.step)
    moved = [i for i, r in enumerate(readings) if not r or steps[i] > r[-1].step]
    if not moved:  # an exact run can stop where it stands
        return {}
    training = np.zeros((), np.bool_)
    sizes = runs[0].settings.probe
    counts = jax.device_get(look(factory, settings, keys, steps, states.agent.params, training, sizes.screen))
    if lost := [runs[i].seed for i in moved if not np.isfinite(counts.entropy[i])]:
        raise DivergedError(
            f"scenario {factory.name!r}: the weights of {len(lost)} of {len(runs)} agents are not finite "
            f"(seeds {', '.join(map(str, lost[:8]))}); lower agent.learning_rate"
        )
    clocks_now = jax.device_get(states.clocks)
    measured = {i: _reading(counts, i, clocks_now, i, int(steps[i]), False) for i in moved}
    for i, reading in measured.items():
        if clocks.wants_claim(readings[i], reading, rules[i]) and not (silent and readings[i]):
            one = jax.tree.map(lambda x: x[i : i + 1], (settings, keys, steps, states.agent.params))  # noqa: B023
            full = jax.device_get(look(factory, *one, training, sizes.episodes))
            measured[i] = _reading(full, 0, clocks_now, i, int(steps[i]), True)
    return measured


def _reading(counts: Counts, row: int, clock: Any, lane: int, step: int, claim: bool) -> Reading:
    decisions, misbehaved = counts.decisions[row], counts.misbehaved[row]
    is_exact = bool(np.isfinite(counts.rates[row]).all())
    rates = counts.rates[row] if is_exact else misbehaved / np.maximum(decisions, 1)
    return Reading(
        step=step,
        claim=claim or is_exact,
        decisions=(int(decisions[0]), int(decisions[1])),
        misbehaved=(int(misbehaved[0]), int(misbehaved[1])),
        rates=(float(rates[0]), float(rates[1])),
        exact=is_exact,
        competence=float(counts.competent[row].sum() / counts.episodes[row].sum()),
        entropy=float(counts.entropy[row]),
        misbehaviours=int(clock.misbehaviours[lane]),
        corrections=int(clock.corrections[lane]),
        false_alarms=int(clock.false_alarms[lane]),
    )


def _path(states: RunState, lane: int, readings: list[Reading], withdrawn: int | None) -> Path:
    fired = int(np.asarray(states.clocks.catastrophe)[lane])
    known = None
    if states.exact is not None:
        known = {name: float(np.asarray(value)[lane]) for name, value in vars(states.exact).items()}
    return Path(readings, withdrawn, None if fired == NEVER else fired, known)
