"""A policy of the user's own that never learns: a script, or a network from elsewhere."""

from typing import Any

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Act, Batch, Interface, Learner, Penalty
from robustsim.agents.masking import only, split
from robustsim.errors import UserError
from robustsim.fields import size, word
from robustsim.parts import learner
from robustsim.pytree import pytree
from robustsim.types import Array, Tree


@learner
class Scripted:
    """Settings of an agent that follows a function `policy(obs float[D]) -> logits float[A]`."""

    policy: Any = word("none", doc="a function from observations to logits; given in Python only")
    num_envs: int = size(16, 1, 4096, doc="environments per run")
    rollout_steps: int = size(32, 1, 4096, doc="environment steps in each, per gradient step (which changes nothing)")

    def check(self, prefix: str) -> None:
        """Raises UserError where there is no function."""
        if not callable(self.policy):
            raise UserError(
                f"{prefix}.policy: {self.policy!r} is not allowed; use a function from observations to logits"
            )

    def learner(self, interface: Interface) -> Learner:
        """The learner that learns nothing."""
        policy = self.policy
        assert callable(policy)

        def act(params: Tree, memory: Tree, obs: Array) -> Act:
            del params
            seen, allowed = split(obs, interface.num_actions) if interface.masked else (obs, None)
            logits = jnp.asarray(jax.vmap(policy)(seen.reshape(-1, seen.shape[-1])))
            logits = logits.reshape(*obs.shape[:-1], interface.num_actions)
            return Act(jax.nn.log_softmax(logits if allowed is None else only(logits, allowed)), memory)

        def update(key: Array, agent: Any, batch: Batch, params: Tree, penalty: Penalty | None) -> Any:
            del key, batch, params, penalty
            return agent

        return Learner(init=lambda key: ScriptedAgent(params=()), act=act, update=update, restart=lambda agent: agent)


@pytree
class ScriptedAgent:
    """An agent without parameters."""

    params: Tree
