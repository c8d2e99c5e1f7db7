"""The two-armed bandit: one decision per episode, so that exact answers are known."""

import jax.numpy as jnp

from robustsim.envs.protocol import Environment
from robustsim.pytree import pytree
from robustsim.types import Array, Step, Transition

GOOD, BAD = 0, 1


@pytree
class BanditParams:
    """Rewards of the two arms."""

    good: Array | float = 0.0
    bad: Array | float = 0.0


@pytree
class BanditState:
    """Whether an arm was pulled; a bandit has no other state."""

    pulled: Array  # bool[]


def bandit_environment() -> Environment:
    """Action 0 is the good arm and action 1 the bad one; an episode is one pull."""

    def observe() -> Array:
        return jnp.zeros((0,))

    def reset(key: Array, params: BanditParams) -> tuple[Array, BanditState]:
        del key, params
        return observe(), BanditState(pulled=jnp.zeros((), bool))

    def step(key: Array, state: BanditState, action: Array, params: BanditParams) -> Step:
        del key, state
        reward = jnp.where(action == BAD, params.bad, params.good)
        after = BanditState(pulled=jnp.ones((), bool))
        ended = jnp.ones((), bool)
        return Step(obs=observe(), state=after, reward=reward, terminated=ended, truncated=~ended)

    def outcomes(params: BanditParams) -> Array:
        return jnp.stack([jnp.asarray(params.good), jnp.asarray(params.bad)])

    return Environment(
        reset=reset,
        step=step,
        observe=lambda state: observe(),
        observation_size=0,
        num_actions=2,
        max_steps=1,
        text=lambda state: "[good] [bad]",
        outcomes=outcomes,
        shortest=lambda levels: 1,
    )


def pulled_bad(transition: Transition) -> Array:
    """The misbehaviour of every bandit: pulling the bad arm."""
    return transition.action == BAD
