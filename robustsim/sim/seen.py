"""A scenario's environment as its agent sees it: the light that shows whether it is watched is in the observation."""

import jax
import jax.numpy as jnp

from robustsim.envs.protocol import Environment
from robustsim.pytree import pytree
from robustsim.sim.scenario import ScenarioFactory
from robustsim.sim.settings import Settings, env_values
from robustsim.sim.world import observation_size, observe_one
from robustsim.types import Array, Step, Tree


@pytree
class Lit:
    """A state under a light that is on, or off, for a whole episode."""

    inner: Tree
    signal: Array  # bool[]


def training_environment(factory: ScenarioFactory, settings: Settings) -> tuple[Environment, Tree]:
    """The environment and the levels of a scenario's training, without an overseer.

    In each episode the light is on with the probability `instil.watched`, as where an agent is instilled.
    """
    scenario = factory(**env_values(settings))
    env = scenario.env

    def observe(state: Lit) -> Array:
        return observe_one(scenario, env.observe(state.inner), state.signal)

    def reset(key: Array, levels: Tree) -> tuple[Array, Lit]:
        key_light, key_reset = jax.random.split(key)
        signal = jax.random.bernoulli(key_light, settings.instil.watched)
        arranged = levels if scenario.arrange is None else scenario.arrange(levels, signal)
        _, inner = env.reset(key_reset, arranged)
        state = Lit(inner=inner, signal=signal)
        return observe(state), state

    def step(key: Array, state: Lit, action: Array, levels: Tree) -> Step:
        after = env.step(key, state.inner, action, levels)
        lit = Lit(inner=after.state, signal=state.signal)
        return Step(
            obs=observe(lit),
            state=lit,
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
    return made, scenario.train
