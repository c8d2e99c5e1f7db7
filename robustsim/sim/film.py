"""Agents made again as they were at some gradient steps of a run, and films of what they do there.

A run is a function of what it is, so an agent need not be kept: the same compiled functions make the same bits again.
"""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.agents.learner import Act
from robustsim.envs.protocol import Environment
from robustsim.errors import RunsFailed, UserError
from robustsim.pytree import pytree
from robustsim.recording import Recording, Stage
from robustsim.sim import batched
from robustsim.sim.agents import Agents, complaint, handed_out, name_for, training_track
from robustsim.sim.batched import FOREVER
from robustsim.sim.cohort import run_through
from robustsim.sim.episodes import Episodes, Moment, Script, begin, play
from robustsim.sim.evaluate import Measured
from robustsim.sim.outcome import demand_of
from robustsim.sim.track import CORRECTED, Track
from robustsim.sim.world import make_world
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run, Settings, env_values
from robustsim.types import Array, Tree

CANDIDATES = 16  # levels that are drawn for each that is shown: only those in which the agent has a choice are


def check_drawable(factory: ScenarioFactory) -> None:
    """Raises UserError where the scenario's environment cannot be drawn."""
    if factory(**factory.defaults).env.render is None:
        raise UserError(f"scenario {factory.name!r}: cannot be replayed: its environment has no render(state, signal)")


def trained_agent(factory: ScenarioFactory, run: Run, agents: Agents) -> Tree:
    """The agent of a run before deployment: the one that is kept, or else trained again.

    Raises:
      RunsFailed: it cannot be deployed.
    """
    name, demand = name_for(factory, run), demand_of(run.settings)
    found = agents.get(name, factory, run) if demand.steps else None
    if found is None:
        (ended,) = run_through(factory, [training_track(0, run, (demand,))], lambda _: None, 1)
        found = handed_out(ended, demand)
        agents.put(name, found)
    if why := complaint(found, run.settings):
        raise RunsFailed(f"scenario {factory.name!r}: seed {run.seed}: {why}")
    return found.agent


def agents_at(
    factory: ScenarioFactory,
    run: Run,
    agent: Tree,
    steps: Sequence[int],
    withdrawn: int | None = None,
    phase: str = CORRECTED,
) -> list[Tree]:
    """The agent of one arm of a run after each of some numbers of gradient steps, on the host.

    Args:
      agent: as :func:`trained_agent` returns it.
      steps: in ascending order.
      withdrawn: the gradient step at which the overseer left, None if it did not; only what comes later depends on it.
      phase: CORRECTED or UNOPPOSED.
    """
    settings, track = _arrays(run.settings), Track(0, run, phase)
    control = track.control(factory.name, one_decision=False)  # it stops where it is told to
    control |= {"withdrawn": FOREVER if withdrawn is None else withdrawn, "stop_catastrophe": False}
    keys = batched.key_of(factory.name, "deployment start", run.seed)[None]
    agents = batched.deploy(factory, settings, keys, jax.tree.map(lambda x: np.asarray(x)[None], agent))
    states = batched.begin_phase(factory, settings, batched.controls([control]), agents)
    found = []
    for step in steps:
        controls = batched.controls([{**control, "limit": int(step)}])
        states, _ = batched.advance(factory, settings, controls, states, np.int32(FOREVER))
        found.append(jax.device_get(jax.tree.map(lambda x: x[0], states.agent)))
    return found


def evaluate_again(factory: ScenarioFactory, run: Run, agent: Tree, step: int, episodes: int) -> Measured:
    """What the evaluation of a deployment measured at a gradient step: the same episodes, so the same numbers."""
    measured = batched.evaluate_all(
        factory,
        _arrays(run.settings),
        Track(0, run, CORRECTED).evaluation_key(factory.name)[None],
        np.asarray([step], np.int32),
        jax.tree.map(lambda x: np.asarray(x)[None], agent.params),
        np.zeros(1, bool),
        np.ones(1, bool),
        episodes,
    )
    return jax.device_get(jax.tree.map(lambda x: x[0], measured))


def _arrays(settings: Settings) -> Any:
    return batched.stack([batched.as_arrays(settings)])


@pytree
class Film:
    """Episodes as they were played; T is the time limit, N the number of episodes a condition."""

    first: Tree  # states [2N, ...]
    signal_first: Array  # bool[2N]
    avoidable: Array  # bool[2N]
    states: Tree  # [T, 2N, ...], after each step
    signal: Array  # bool[T, 2N]
    misbehaved: Array  # bool[T, 2N]
    reward: Array  # float[T, 2N]
    active: Array  # bool[T, 2N], the step was taken


@partial(jax.jit, static_argnames=("factory", "episodes"))
def film(factory: ScenarioFactory, settings: Settings, key: Array, params: Tree, episodes: int) -> Film:
    """Plays the same levels unwatched and watched, in deployment, with the same chance; the key is uint32[2]."""
    world = make_world(factory, settings)
    key_reset, key_steps = jax.random.split(jax.random.wrap_key_data(key))

    def twice(x: Array) -> Array:
        return jnp.concatenate([x, x])

    watched = jnp.arange(2 * episodes, dtype=jnp.int32) >= episodes
    signal = watched & jnp.asarray(world.settings.overseer.visible, bool)
    start = begin(world, twice(jax.random.split(key_reset, episodes)), watched, signal)

    def draw(time: Array) -> tuple[Array, Array]:
        key_act, key_env = jax.random.split(jax.random.fold_in(key_steps, time))
        return twice(jax.random.split(key_env, episodes)), twice(jax.random.uniform(key_act, (episodes,)))

    def frame(carry: Tree, after: Episodes, moment: Moment, act: Act, active: Array) -> tuple[Tree, Tree]:
        del act
        reward = jnp.where(active, moment.reward, 0)
        return carry, (after.state, after.signal, moment.misbehaved & active, reward, active)

    def act(memory: Tree, obs: Array) -> Act:
        return world.learner.act(params, memory, obs)

    played = play(world, Script(act, draw, frame, keep=True), start, (), world.scenario.env.max_steps)
    states, signals, misbehaved, reward, active = played.frames
    return Film(
        first=start.state,
        signal_first=start.signal,
        avoidable=start.avoidable,
        states=states,
        signal=signals,
        misbehaved=misbehaved,
        reward=reward,
        active=active,
    )


def record(
    factory: ScenarioFactory,
    run: Run,
    agents: Sequence[Tree],
    stages: Sequence[tuple[str, int, tuple[float, float]]],
    row: dict[str, Any],
    episodes: int,
) -> Recording:
    """The recording of an agent at some stages, in the same levels each time: the first ones that leave it a choice.

    Args:
      agents: one per stage.
      stages: (name, gradient step, misbehaviour rates (unwatched, watched)).
      row: `run_id`, `point` and `corrected` of the recording.
    """
    settings = batched.as_arrays(run.settings)
    env = factory(**env_values(run.settings)).env
    key = batched.key_of(factory.name, "replay", run.seed)
    album = _Album(env)
    count = CANDIDATES * episodes
    films = [jax.device_get(film(factory, settings, key, agent.params, count)) for agent in agents]
    free = films[0].avoidable.reshape(2, count).all(0)
    chosen = np.argsort(~free, kind="stable")[:episodes]
    found = [
        _stage(f, np.concatenate([chosen, chosen + count]), name, step, rates, album)
        for f, (name, step, rates) in zip(films, stages, strict=True)
    ]
    visible = bool(run.settings.overseer.visible)
    return Recording(factory.name, seed=run.seed, visible=visible, pictures=album.bound(), stages=tuple(found), **row)


class _Album:
    """Pictures without repetition."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._pages: list[np.ndarray] = []
        self._known: dict[bytes, int] = {}

    def add(self, state: Tree, signal: bool) -> int:
        """The number of the picture of a state."""
        assert self._env.render is not None
        image = np.ascontiguousarray(self._env.render(state, signal), np.uint8)
        number = self._known.setdefault(hashlib.sha256(image.tobytes()).digest(), len(self._pages))
        if number == len(self._pages):
            self._pages.append(image)
        return number

    def bound(self) -> np.ndarray:
        """uint8[P, height, width, 3]."""
        return np.stack(self._pages)


def _stage(film: Film, columns: np.ndarray, name: str, step: int, rates: tuple[float, float], album: _Album) -> Stage:
    """The chosen episodes of a film, unwatched ones first; columns: int[2E]."""
    active = np.asarray(film.active)[:, columns]
    length = active.sum(0)
    longest = int(length.max())
    signal = np.concatenate([np.asarray(film.signal_first)[None, columns], np.asarray(film.signal)[:longest, columns]])
    shown = np.zeros((longest + 1, len(columns)), np.int64)
    for j, column in enumerate(columns):
        for time in range(longest + 1):
            if time > length[j]:
                shown[time, j] = shown[time - 1, j]
                continue
            at = film.first if time == 0 else jax.tree.map(lambda x: x[time - 1], film.states)  # noqa: B023
            state = jax.tree.map(lambda x: x[column], at)  # noqa: B023
            shown[time, j] = album.add(state, bool(signal[time, j]))

    def by_condition(x: np.ndarray) -> np.ndarray:
        """[T, 2E] as [2, E, T]."""
        return np.ascontiguousarray(x.T.reshape(2, len(columns) // 2, -1))

    return Stage(
        name=name,
        step=step,
        rates=rates,
        shown=by_condition(shown),
        signal=by_condition(signal),
        misbehaved=by_condition(np.asarray(film.misbehaved)[:longest, columns]),
        reward=by_condition(np.asarray(film.reward, np.float64)[:longest, columns]),
        length=length.reshape(2, -1),
    )
