"""One scenario with its settings, made ready to run inside a traced function.

The factory is called during tracing, so every number of a scenario (also one that a predicate closes over) is an
argument of the compiled program and not a constant in it.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from robustsim.agents.injection import Injected, injecting
from robustsim.agents.learner import Batch, Experience, Interface, Learner
from robustsim.errors import UserError
from robustsim.oversight.protocol import Site
from robustsim.sim.keys import for_environments
from robustsim.sparse import Sparse
from robustsim.spec.scenario import Scenario, ScenarioFactory
from robustsim.spec.settings import Settings, env_values
from robustsim.treatments.past import recalling
from robustsim.treatments.wrap import with_params
from robustsim.types import Array, Tree


class World(NamedTuple):
    """What a run takes place in.

    Attributes:
      learner: with the treatments and the deployment settings of the run, which training does not know.
      levels: the level parameters of the phase.
      training: bool[], the phase.
    """

    scenario: Scenario
    settings: Settings
    learner: Learner
    levels: Tree
    training: Array

    @property
    def one_decision(self) -> bool:
        """Whether every episode is one decision, so that probabilities can take the place of samples."""
        return self.scenario.env.outcomes is not None

    @property
    def reach(self) -> Array:
        """bool[], whether tampering works: in deployment, where it is not guarded against."""
        return ~self.training & ~jnp.asarray(self.settings.tampering.guarded)

    @property
    def site(self) -> Site:
        """Where the overseer works."""
        agent = self.settings.agent
        sizes = (observation_size(self.scenario), self.scenario.env.num_actions)
        return Site(agent.num_envs, *sizes, hidden_units=agent.hidden_units)

    @property
    def truncations(self) -> int:
        """How often an episode can be truncated in one rollout of an environment, at most."""
        shortest, scenario = self.scenario.env.shortest, self.scenario
        steps = self.settings.agent.rollout_steps
        if shortest is None:
            return steps
        fewest = min(shortest(levels) for levels in (scenario.training_levels, scenario.deployment_levels))
        return 1 + (steps - 1) // max(1, fewest)


def make_world(factory: ScenarioFactory, settings: Settings, training: Any = False) -> World:
    """Builds the scenario and its learner; cheap, and meant to be called while tracing.

    Raises:
      UserError: the learner does not fit the world or the overseer.
    """
    scenario = factory(**env_values(settings))
    training = jnp.asarray(training)
    levels = jax.tree.map(lambda a, b: jnp.where(training, a, b), scenario.training_levels, scenario.deployment_levels)
    contexts = None
    if scenario.env.outcomes is not None:
        contexts = contexts_of(scenario)[::-1]  # looking watched first, as the learner takes them
    env = scenario.env
    image = env.image if scenario.featurize is None else None  # what comes of it may be anything
    interface = Interface(observation_size(scenario), env.num_actions, contexts, env.mask is not None, image)
    learner = _agents_learner(settings, interface)
    if settings.training.record:
        bare = World(scenario, settings, learner, levels, training)
        learner = recalling(learner, blank_batch(bare), settings.training.record)
    for treatment in settings.treatment.values():
        learner = treatment.treat(learner)
    if learner.gradient_steps > 1 and settings.overseer.queue and settings.overseer.staleness == "gradient":
        raise UserError(
            f"overseer.staleness: 'gradient' is not allowed with {learner.gradient_steps} gradient steps per rollout"
        )
    if settings.evaluation.plasticity and learner.hidden is None:
        raise UserError("evaluation.plasticity: True is not allowed: the agent does not say which its hidden layer is")
    if settings.evaluation.goals:
        check_features(scenario, "evaluation.goals: True")
        if learner.value is None:
            raise UserError("evaluation.goals: True is not allowed; agent: it estimates no values")
    if scenario.start is not None:
        learner = _started(learner, scenario.start)
    return World(scenario, settings, learner, levels, training)


def check_features(scenario: Scenario, asked: str) -> None:
    """Raises UserError where features are asked for, by the name `asked`, and none vary by themselves."""
    if not scenario.features:
        raise UserError(f"{asked} is not allowed; records: the scenario names no features (rs.Feature)")
    if scenario.env.scatter is None:
        raise UserError(f"{asked} is not allowed; env.scatter: the environment places nothing independently")


def _agents_learner(settings: Settings, interface: Interface) -> Learner:
    """The agent's learner with what `online.*` changes, which in training says nothing."""
    online, agent = settings.online, settings.agent
    given = {"learning_rate": online.learning_rate, "entropy": online.entropy}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if online.optimizer != "same":
        changes["optimizer"] = online.optimizer
    learner = dataclasses.replace(agent, **changes).learner(interface)
    if online.inject:
        changes["network"] = Injected(agent.network)
        learner = injecting(learner, dataclasses.replace(agent, **changes).learner(interface))
    if online.reset_optimizer or "optimizer" in changes:
        learner = _restarted(learner)
    return learner


def blank_batch(world: World) -> Batch:
    """A batch of one rollout as a past keeps it, filled with zeros."""
    agent, actions, expected = world.settings.agent, world.scenario.env.num_actions, world.learner.expected
    steps, envs = (1, 2 * actions) if expected else (agent.rollout_steps, agent.num_envs)
    size, ends = observation_size(world.scenario), 1 if expected else world.truncations
    number, whole, flag = jnp.zeros((steps, envs)), jnp.zeros((steps, envs), jnp.int32), jnp.zeros((steps, envs), bool)
    return Batch(
        obs=jnp.zeros((steps, envs, size)),
        action=whole,
        reward=number,
        signal=whole,
        terminated=flag,
        truncated=flag,
        last_obs=jnp.zeros((envs, size)),
        final_obs=jnp.zeros((ends, envs, size)),
        final_slot=whole,
        weight=number if expected else None,
        memory=world.learner.memory(envs),
    )


def _restarted(learner: Learner) -> Learner:
    def deploy(key: Array, agent: Any, experience: Experience) -> Any:
        return learner.restart(learner.deploy(key, agent, experience))

    return learner._replace(deploy=deploy)


def _started(learner: Learner, params: Tree) -> Learner:
    def init(key: Array) -> Any:
        agent = learner.init(key)
        mine, theirs = (_sizes(tree) for tree in (agent.params, params))
        if mine != theirs:
            raise UserError(f"start: parameters of another agent are not allowed: these have {theirs}, it has {mine}")
        given = jax.tree.map(lambda x, p: jnp.asarray(p, x.dtype).reshape(x.shape), agent.params, params)
        return learner.restart(with_params(agent, given))

    return learner._replace(init=init)


def _sizes(params: Tree) -> dict[str, int]:
    """How many numbers each parameter has, by its path."""
    leaves = jax.tree.leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): jnp.size(leaf) for path, leaf in leaves}


def tutored(world: World, agent: Any, step: Array) -> Any:
    """The agent, with a new optimizer state at the gradient step at which feedback in training begins (theory G.5)."""
    overseer = world.settings.overseer
    if not overseer.trains:
        return agent
    begins = (step >= overseer.onset) & (step < overseer.onset + world.learner.gradient_steps)
    return where(begins, world.learner.restart(agent), agent)


def observation_size(scenario: Scenario) -> int:
    """D, the length of an observation with the signal of being watched, and with the mask where there is one."""
    env = scenario.env
    blank = jnp.zeros((env.observation_size,))
    size = jax.eval_shape(lambda: observe_one(scenario, blank, jnp.array(0.0))).shape[-1]
    return size if env.mask is None else size + env.num_actions


def contexts_of(scenario: Scenario) -> Array:
    """float[2, D], the observations that look unwatched and watched, where there is nothing else to see."""
    blank = jnp.zeros((scenario.env.observation_size,))
    return jnp.stack([observe_one(scenario, blank, jnp.array(signal)) for signal in (0.0, 1.0)])


def observe_one(scenario: Scenario, obs: Array, signal: Array) -> Array:
    """An observation with the signal of being watched; unbatched."""
    signal = signal.astype(obs.dtype)
    if scenario.featurize is not None:
        return scenario.featurize(obs, signal)
    return jnp.concatenate([obs, signal[None]])


def see(scenario: Scenario, state: Tree, signal: Array) -> Array:
    """float[D], what is seen of a state: the observation, the signal, and which actions are allowed; unbatched."""
    obs = observe_one(scenario, scenario.env.observe(state), signal)
    mask = scenario.env.mask
    return obs if mask is None else jnp.concatenate([obs, mask(state).astype(obs.dtype)])


def observe(world: World, state: Tree, signal: Array) -> Array:
    """float[B, D], what is seen of B states."""
    return jax.vmap(lambda x, s: see(world.scenario, x, s))(state, signal)


def look(world: World, state: Tree, signal: Array) -> Array | Sparse:
    """The same in the form that the learner takes it in: [B, D]."""
    env, featurize = world.scenario.env, world.scenario.featurize
    if env.sparse is None or featurize is not None or env.mask is not None or not world.learner.sparse:
        return observe(world, state, signal)
    return jax.vmap(env.sparse)(state).and_one_more(signal)


def dense(obs: Array | Sparse) -> Array:
    """An observation as a vector."""
    return obs.dense() if isinstance(obs, Sparse) else obs


def starts(world: World, key: Array, shape: tuple[int, ...]) -> Array:
    """What episodes begin with: uniform numbers float[*shape, draws], where the environment takes them, or keys."""
    env = world.scenario.env
    return (
        for_environments(jax.random.split(key, shape))
        if env.place is None
        else jax.random.uniform(key, (*shape, env.draws))
    )


def where(mask: Array, new: Tree, old: Tree) -> Tree:
    """Elementwise choice between two trees; `mask` is bool[B] or bool[] and leads every leaf's shape."""

    def choose(a: Array, b: Array) -> Array:
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            data = choose(jax.random.key_data(a), jax.random.key_data(b))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(a))
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)

    return jax.tree.map(choose, new, old)
