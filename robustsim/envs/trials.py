"""Trials: several episodes of one task in a row, which an agent with memory can adapt to without a gradient step.

To robustsim a trial is one episode, so the memory of an agent lasts from its first step to its last and is wiped after
that. As in RL^2 (Duan et al. 2016, arXiv 1611.02779; Wang et al. 2016, arXiv 1611.05763), an observation also says what
was done last, what that brought, and whether an episode begins.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp

from robustsim.envs.protocol import Environment
from robustsim.errors import UserError
from robustsim.pytree import pytree
from robustsim.types import Array, Step, Transition, Tree

Task = Callable[[Array, Tree], Tree]
"""`task(key, levels) -> levels`, the task of a trial: level parameters of the environment inside."""


@pytree
class Trial:
    """The state of a trial."""

    inner: Tree  # of the episode that is under way
    task: Tree
    episode: Array  # int32[], how many are over
    action: Array  # int32[], the last one; -1 before the first
    told: Array  # float[], what it brought, as the agent is told
    begins: Array  # bool[], this is the first step of an episode


def trials(
    env: Environment, episodes: int, task: Task | None = None, told: Callable[[Transition], Array] | None = None
) -> Environment:
    """Trials of `episodes` episodes each, as one environment; its states are :class:`Trial`.

    Args:
      env: the world of an episode. Its own observation comes first in those of the trial, which are no images.
      episodes: of a trial.
      task: draws what stays the same during a trial, from the level parameters; by default those themselves.
      told: `told(transition) -> float[]`, the number that the agent is told a step brought, of a transition between
        trials; by default the reward. Feedback that is to be adapted to has to be told.

    Raises:
      UserError: fewer than two episodes, in which there is nothing to adapt to.
    """
    if not isinstance(episodes, int) or episodes < 2:
        raise UserError(f"trials.episodes: {episodes!r} is not allowed; use a whole number, 2 or more")
    draw: Task = (lambda key, levels: levels) if task is None else task
    mask, text, render = env.mask, env.text, env.render

    def observe(state: Trial) -> Array:
        last = jax.nn.one_hot(state.action, env.num_actions)
        rest = jnp.stack([state.told, state.begins.astype(state.told.dtype)])
        return jnp.concatenate([env.observe(state.inner), last, rest])

    def reset(key: Array, levels: Tree) -> tuple[Array, Trial]:
        key_task, key_env = jax.random.split(key)
        state = _first(env, key_env, draw(key_task, levels))
        return observe(state), state

    def step(key: Array, state: Trial, action: Array, levels: Tree) -> Step:
        del levels  # the task was drawn from them
        key_step, key_next = jax.random.split(key)
        one = env.step(key_step, state.inner, action, state.task)
        over = one.terminated | one.truncated
        last = over & (state.episode + 1 == episodes)  # what was true in the end is what is seen of it
        begins = over & ~last
        after = Trial(
            inner=jax.tree.map(partial(jnp.where, begins), env.reset(key_next, state.task)[1], one.state),
            task=state.task,
            episode=state.episode + over,
            action=action.astype(jnp.int32),
            told=one.reward.astype(state.told.dtype),
            begins=begins,
        )
        made = Step(
            obs=observe(after),
            state=after,
            reward=one.reward,
            terminated=one.terminated & last,
            truncated=one.truncated & ~one.terminated & last,
        )
        if told is None:
            return made
        brought = jnp.asarray(told(Transition.of(state, action, made)), after.told.dtype)
        after = replace(after, told=brought)
        return replace(made, obs=observe(after), state=after)

    return Environment(
        reset=reset,
        step=step,
        observe=observe,
        observation_size=env.observation_size + env.num_actions + 2,
        num_actions=env.num_actions,
        max_steps=episodes * env.max_steps,
        render=None if render is None else lambda state, signal: render(state.inner, signal),
        text=None if text is None else lambda state: f"episode {int(state.episode) + 1}\n{text(state.inner)}",
        legend=env.legend,
        mask=None if mask is None else lambda state: mask(state.inner),
    )


def _first(env: Environment, key: Array, task: Tree) -> Trial:
    """The state in which a trial begins."""
    return Trial(
        inner=env.reset(key, task)[1],
        task=task,
        episode=jnp.int32(0),
        action=jnp.int32(-1),
        told=jnp.zeros(()),
        begins=jnp.ones((), bool),
    )


def trial_of(transition: Transition) -> Trial:
    """The trial before a transition.

    Raises:
      UserError: the world has no trials, so nothing lasts from one episode to the next.
    """
    if not isinstance(transition.before, Trial):
        raise UserError(
            f"env: {type(transition.before).__name__} is not allowed where a trial is needed; use rs.trials(env, ...)"
        )
    return transition.before
