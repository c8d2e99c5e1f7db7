"""What treatments share: a learner around a learner, with something kept since deployment start."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from robustsim.agents.learner import Batch, Experience, Learner, Penalty
from robustsim.pytree import pytree
from robustsim.types import Array, Tree


@pytree
class Treated:
    """An agent with what a treatment keeps beside it."""

    inner: Any
    kept: Tree

    @property
    def params(self) -> Tree:
        """Those of the agent inside."""
        return self.inner.params


def penalised(
    learner: Learner,
    keep: Callable[[Array, Any, Experience], Tree],
    penalty: Callable[[Tree, Batch, Array, Tree], Array],
) -> Learner:
    """A learner with one more term in its loss, from deployment start on.

    Args:
      keep: `keep(key, agent, experience) -> tree`, what the penalty needs to know of the agent at deployment start.
      penalty: `penalty(params, batch, log_policy, kept) -> float[]`.
    """

    def init(key: Array) -> Any:
        return learner.init(key)  # training knows no treatments

    def deploy(key: Array, agent: Any, experience: Experience) -> Treated:
        key_inner, key_keep = jax.random.split(key)
        inner = learner.deploy(key_inner, agent, experience)
        return Treated(inner=inner, kept=keep(key_keep, inner, experience))

    def update(key: Array, agent: Treated, batch: Batch, params: Tree, more: Penalty | None) -> Treated:
        def both(params: Tree, batch: Batch, log_policy: Array) -> Array:
            mine = penalty(params, batch, log_policy, agent.kept)
            return mine if more is None else more(params, batch, log_policy) + mine

        return Treated(inner=learner.update(key, agent.inner, batch, params, both), kept=agent.kept)

    def restart(agent: Treated) -> Treated:
        return Treated(inner=learner.restart(agent.inner), kept=agent.kept)

    return learner._replace(init=init, deploy=deploy, update=update, restart=restart)


def changed(learner: Learner, change: Callable[[Array, Any], Any]) -> Learner:
    """A learner whose agent is changed once, at deployment start: `change(key, agent) -> agent`."""

    def deploy(key: Array, agent: Any, experience: Experience) -> Any:
        key_inner, key_change = jax.random.split(key)
        return change(key_change, learner.deploy(key_inner, agent, experience))

    return learner._replace(deploy=deploy)


def with_params(agent: Any, params: Tree) -> Any:
    """An agent with other parameters, inside whatever treatments have put around it."""
    if isinstance(agent, Treated):
        return dataclasses.replace(agent, inner=with_params(agent.inner, params))
    return dataclasses.replace(agent, params=params)
