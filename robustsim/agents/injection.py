"""Plasticity injection: a network goes on as it is, and all that it learns from now on is learned by a new one.

Nikishin et al. 2023 (arXiv 2305.15555): outputs are f(x; before) + f(x; fresh) - f(x; fixed), where `fresh` and `fixed`
begin as the same new network and only `fresh` learns. So nothing changes at first, as many parameters learn as did, and
whatever had made the old ones hard to move is out of the way. In theirs the encoder is shared; here nothing is.
"""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import optax

from robustsim.agents.gradient import GradientAgent
from robustsim.agents.learner import Experience, Learner
from robustsim.agents.networks import Network, Output
from robustsim.types import Array, Tree

FROZEN = ("before", "fixed")


@dataclass(frozen=True)
class Injected:
    """Stands for a network, as the settings of an agent name it, with a new one injected."""

    network: Any


def injected(network: Network) -> Network:
    """The network with a new one injected. Its hidden layer is that of the one that learns."""
    hidden = network.hidden

    def init(key: Array) -> Tree:
        key_before, key_fresh = jax.random.split(key)
        fresh = network.init(key_fresh)
        return {"before": network.init(key_before), "fresh": fresh, "fixed": fresh}

    def apply(params: Tree, memory: Tree, obs: Array) -> Output:
        params = params | {name: jax.lax.stop_gradient(params[name]) for name in FROZEN}
        outs = {name: network.apply(params[name], _part(memory, name), obs) for name in params}
        before, fresh, fixed = (outs[name] for name in ("before", "fresh", "fixed"))
        return Output(
            before.logits + (fresh.logits - fixed.logits),
            before.value + (fresh.value - fixed.value),
            {name: out.memory for name, out in outs.items()} if jax.tree.leaves(memory) else memory,
        )

    def memory(envs: int) -> Tree:
        blank = network.memory(envs)
        return {name: blank for name in ("before", "fresh", "fixed")} if jax.tree.leaves(blank) else blank

    return Network(
        init,
        apply,
        None if hidden is None else lambda params, memory, obs: hidden(params["fresh"], _part(memory, "fresh"), obs),
        memory,
        sparse=network.sparse,
    )


def _part(memory: Tree, name: str) -> Tree:
    return memory[name] if jax.tree.leaves(memory) else memory


def holding(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optimizer that leaves alone what is frozen: without a gradient it may still let weights decay."""

    def update(gradient: Tree, state: Tree, params: Tree = None) -> tuple[Tree, Tree]:
        moves, state = optimizer.update(gradient, state, params)
        still: Any = {name: jax.tree.map(jnp.zeros_like, gradient[name]) for name in FROZEN}
        return {**dict(moves), **still}, state  # pyright: ignore[reportArgumentType, reportCallIssue]

    return optax.GradientTransformation(optimizer.init, update)  # pyright: ignore[reportArgumentType]


def injecting(plain: Learner, learner: Learner) -> Learner:
    """A learner of a network that is injected at deployment start, from the same learner of the plain network.

    Args:
      learner: of the injected network.
    """

    def deploy(key: Array, agent: GradientAgent, experience: Experience) -> GradientAgent:
        key_inner, key_new = jax.random.split(key)
        agent = plain.deploy(key_inner, agent, experience)
        new = learner.init(key_new)
        return learner.restart(replace(new, params=new.params | {"before": agent.params}))

    return learner._replace(init=plain.init, deploy=deploy)
