"""An agent as its user sees it: parameters, and what they make of an observation."""

import inspect
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from robustsim import files
from robustsim.agents.learner import Act, Learner
from robustsim.agents.scripted import Scripted
from robustsim.errors import UserError
from robustsim.sim import batched
from robustsim.sim.world import make_world
from robustsim.spec.scenario import Scenario, ScenarioFactory
from robustsim.spec.settings import Run, env_values
from robustsim.types import Array, Tree


@dataclass(frozen=True)
class Policy:
    """An agent at one moment.

    Attributes:
      params: its parameters, a plain pytree of NumPy arrays.
      step: gradient steps of deployment that it has taken.
    """

    params: Tree
    step: int
    _learner: Learner = field(repr=False)
    _precision: str = field(repr=False)

    def act(self, obs: Any, memory: Tree = None) -> Act:
        """The log-policy for observations float[..., D], and the memory after them; None: an episode begins."""
        with batched.precision(self._precision):
            return self._learner.act(self.params, self._memory(obs, memory), jnp.asarray(obs))

    def hidden(self, obs: Any, memory: Tree = None) -> Array:
        """float[..., H], the last hidden layer.

        Raises:
          UserError: the network has none that is known.
        """
        if self._learner.hidden is None:
            raise UserError("hidden: this agent's network does not say what its hidden layer is")
        with batched.precision(self._precision):
            return self._learner.hidden(self.params, self._memory(obs, memory), jnp.asarray(obs))

    def _memory(self, obs: Any, memory: Tree) -> Tree:
        return self._learner.memory(np.atleast_2d(obs).shape[0]) if memory is None else memory


def policy_of(factory: ScenarioFactory, run: Run, params: Tree, step: int) -> Policy:
    """The policy with these parameters."""
    precision = factory(**env_values(run.settings)).precision
    with batched.precision(precision):
        learner = make_world(factory, batched.as_arrays(run.settings)).learner
    return Policy(params, step, learner, precision)


def with_policy(factory: ScenarioFactory, policy: Any) -> ScenarioFactory:
    """A scenario that is deployed with a policy of the user's own in place of a trained agent.

    Args:
      policy: a :class:`Policy` or its parameters, from where the scenario's own agent goes on learning; or a function
        `policy(obs float[D]) -> logits float[A]`, which never learns.
    """
    start = policy.params if isinstance(policy, Policy) else policy
    untrained: dict[str, Any] = {"steps": 0, "competence": 0.0}

    def build(**values: Any) -> Scenario:
        scenario = factory(**values)
        training, agent = replace(scenario.training, **untrained), scenario.agent
        if callable(policy) and not isinstance(policy, Policy):
            script = Scripted(policy=policy, num_envs=agent.num_envs, rollout_steps=agent.rollout_steps)
            return replace(scenario, agent=script, training=training)
        return replace(scenario, start=start, training=training)

    build.__signature__ = inspect.signature(factory.build, eval_str=True)  # pyright: ignore[reportFunctionMemberAccess]
    parts = [np.asarray(x).tobytes() for x in jax.tree.leaves(start)] if not callable(start) else [repr(start).encode()]
    digest = files.digest(factory.source_hash.encode() + b"".join(parts))
    return replace(factory, build=build, source="", source_hash=digest)
