"""Agents made again as they were at some gradient steps of a run, and films of what they do there.

A run is a function of what it is, so an agent need not be kept: the same compiled functions make the same bits again.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from robustsim.agents.learner import Act
from robustsim.errors import RunsFailed, UserError
from robustsim.recording import Recording, Stage
from robustsim.sim import batched
from robustsim.sim.agents import Agents, complaint, handed_out, name_for, training_track
from robustsim.sim.batched import FOREVER
from robustsim.sim.cohort import run_through
from robustsim.sim.episodes import Episodes, Moment, Script, begin, play
from robustsim.sim.evaluate import Measured
from robustsim.sim.follow import demand_of
from robustsim.sim.track import CORRECTED, Track
from robustsim.sim.world import make_world, starts
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Run, Settings, env_values
from robustsim.types import Array, Tree

CANDIDATES = 16  # levels that are drawn for each that is shown: only those in which the agent has a choice are


def check_drawable(factory: ScenarioFactory) -> None:
    """Raises UserError where the scenario's environment cannot be drawn."""
    if factory(**factory.defaults).env.render is None:
        raise UserError(
            f"scenario {factory.name!r}: cannot be replayed: its environment has no render(state, signal), and no image"
        )


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
    phase: str = CORRECTED,
    withdrawn: int | None = None,
    returned: int | None = None,
) -> list[Tree]:
    """The agent of one arm of a run after each of some numbers of gradient steps, on the host.

    Args:
      agent: as :func:`trained_agent` returns it.
      steps: in ascending order.
      phase: CORRECTED or UNOPPOSED.
      withdrawn: the gradient step at which the overseer left, None if it did not; only what comes later depends on it.
      returned: the same of its coming back.
    """
    settings, track = _arrays(run.settings), Track(0, run, phase)
    control = track.control(factory.name, one_decision=False)  # it stops where it is told to
    left, back = (FOREVER if step is None else step for step in (withdrawn, returned))
    control |= {"withdrawn": left, "returned": back, "stop_catastrophe": False}
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
        np.asarray([episodes], np.int32),
    )
    return jax.device_get(jax.tree.map(lambda x: x[0], measured))


def _arrays(settings: Settings) -> Any:
    return batched.stack([batched.as_arrays(settings)])


@partial(jax.jit, static_argnames=("factory", "episodes"))
def film(
    factory: ScenarioFactory, settings: Settings, key: Array, params: Tree, episodes: int
) -> tuple[Episodes, dict[str, Tree]]:
    """Plays the same levels unwatched and watched, in deployment, with the same chance; the key is uint32[2].

    Returns the 2N episodes at their beginning, and after each of T steps, [T, 2N, ...], their `state`, the `signal`,
    whether it `misbehaved`, its `reward`, and whether the step was taken (`active`).
    """
    world = make_world(factory, settings)
    key_reset, key_steps = jax.random.split(jax.random.wrap_key_data(key))

    def twice(x: Array) -> Array:
        return jnp.concatenate([x, x])

    watched = jnp.arange(2 * episodes, dtype=jnp.int32) >= episodes
    signal = watched & jnp.asarray(world.settings.overseer.visible, bool)
    start = begin(world, twice(starts(world, key_reset, (episodes,))), watched, signal)

    def draw(time: Array) -> tuple[Array, Array]:
        key_act, key_env = jax.random.split(jax.random.fold_in(key_steps, time))
        return twice(jax.random.split(key_env, episodes)), twice(jax.random.uniform(key_act, (episodes,)))

    def frame(carry: Tree, after: Episodes, moment: Moment, act: Act, active: Array) -> tuple[Tree, Tree]:
        del act
        happened = {"misbehaved": moment.misbehaved & active, "reward": jnp.where(active, moment.reward, 0)}
        return carry, {"state": after.state, "signal": after.signal, **happened, "active": active}

    def act(memory: Tree, obs: Array) -> Act:
        return world.learner.act(params, memory, obs)

    script = Script(act, draw, frame, keep=True)
    return start, play(world, script, start, (), world.scenario.env.max_steps).frames


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
    key, count = batched.key_of(factory.name, "replay", run.seed), CANDIDATES * episodes
    films = [jax.device_get(film(factory, settings, key, agent.params, count)) for agent in agents]
    free = films[0][0].avoidable.reshape(2, count).all(0)
    chosen = np.argsort(~free, kind="stable")[:episodes]
    columns = np.concatenate([chosen, chosen + count])
    env, album = factory(**env_values(run.settings)).env, dict[bytes, tuple[int, np.ndarray]]()

    def picture(state: Tree, signal: bool) -> int:
        """The number of the picture of a state; each picture is kept once."""
        assert env.render is not None
        image = np.ascontiguousarray(env.render(state, signal), np.uint8)
        return album.setdefault(hashlib.sha256(image.tobytes()).digest(), (len(album), image))[0]

    found = [
        _stage(first, frames, columns, stage, picture) for (first, frames), stage in zip(films, stages, strict=True)
    ]
    pictures, visible = np.stack([image for _, image in album.values()]), bool(run.settings.overseer.visible)
    about = {"seed": run.seed, "visible": visible, "legend": env.legend, **row}
    return Recording(factory.name, pictures=pictures, stages=tuple(found), **about)


def _stage(
    first: Episodes,
    frames: dict[str, Any],
    columns: np.ndarray,
    stage: tuple[str, int, tuple[float, float]],
    picture: Callable[[Tree, bool], int],
) -> Stage:
    """The chosen episodes of a film, unwatched ones first; columns: int[2E]."""
    length = frames["active"][:, columns].sum(0)
    longest = int(length.max())
    signal = np.concatenate([first.signal[None, columns], frames["signal"][:longest, columns]])
    shown = np.zeros((longest + 1, len(columns)), np.int64)
    for j, column in enumerate(columns):
        for time in range(longest + 1):
            if time > length[j]:
                shown[time, j] = shown[time - 1, j]
                continue
            at = (column,) if time == 0 else (time - 1, column)
            state = jax.tree.map(lambda x: x[at], first.state if time == 0 else frames["state"])  # noqa: B023
            shown[time, j] = picture(state, bool(signal[time, j]))

    def by_condition(x: np.ndarray) -> np.ndarray:
        """[T, 2E] as [2, E, T]."""
        return np.ascontiguousarray(x.T.reshape(2, len(columns) // 2, -1))

    return Stage(
        *stage,
        shown=by_condition(shown),
        signal=by_condition(signal),
        misbehaved=by_condition(frames["misbehaved"][:longest, columns]),
        reward=by_condition(np.asarray(frames["reward"], np.float64)[:longest, columns]),
        length=length.reshape(2, -1),
    )
