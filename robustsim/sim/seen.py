"""A scenario's environment as its agent sees it: the signal that shows whether it is watched is in the observation."""

import jax
import jax.numpy as jnp

from robustsim.envs.protocol import Environment
from robustsim.pytree import pytree
from robustsim.sim.world import observation_size, see
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings, env_values
from robustsim.types import Array, Step, Tree


@pytree
class Lit:
    """A state under a signal that is on, or off, for a whole episode."""

    inner: Tree
    signal: Array  # bool[]


def training_environment(factory: ScenarioFactory, settings: Settings) -> tuple[Environment, Tree]:
    """The environment and the levels of a scenario's training, without an overseer.

    In each episode the signal is on with the probability `training.watched`, as where an agent is trained.
    """
    scenario = factory(**env_values(settings))
    env = scenario.env

    def observe(state: Lit) -> Array:
        return see(scenario, state.inner, state.signal)

    def reset(key: Array, levels: Tree) -> tuple[Array, Lit]:
        key_signal, key_reset = jax.random.split(key)
        signal = jax.random.bernoulli(key_signal, settings.training.watched)
        arranged = levels if scenario.arrange is None else scenario.arrange(levels, signal)
        _, inner = env.reset(key_reset, arranged)
        state = Lit(inner=inner, signal=signal)
        return observe(state), state

    def step(key: Array, state: Lit, action: Array, levels: Tree) -> Step:
        after = env.step(key, state.inner, action, levels)
        signal = Lit(inner=after.state, signal=state.signal)
        return Step(
            obs=observe(signal),
            state=signal,
            reward=jnp.asarray(after.reward),
            terminated=after.terminated,
            truncated=after.truncated,
        )

    made = Environment(
        reset=reset,
        step=step,
        observe=observe,
        observation_size=observation_size(scenario),
        num_actions=env.num_actions,
        max_steps=env.max_steps,
    )
    return made, scenario.training_levels
