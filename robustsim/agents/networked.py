"""What learners with a network share: checks of their settings, the network that these describe, and its learner."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import optax

from robustsim.agents.gradient import begin
from robustsim.agents.injection import Injected, holding, injected
from robustsim.agents.learner import Act, Interface, Learner
from robustsim.agents.masking import masked
from robustsim.agents.networks import Network, check_network, make_network
from robustsim.agents.optimizers import check_optimizer, make_optimizer
from robustsim.types import Array, Tree


class Networked:
    """Base of the settings of a learner with a network: `optimizer`, `network`, `width`, `layers` and `activation`."""

    optimizer: Any
    network: Any
    width: int
    layers: int
    activation: str
    injectable: ClassVar[bool] = True  # whether a new network can be injected at deployment start

    def check(self, prefix: str) -> None:
        """Raises UserError where the optimizer or the network is none."""
        check_optimizer(f"{prefix}.optimizer", self.optimizer)
        check_network(f"{prefix}.network", self.network)

    @property
    def hidden_units(self) -> int:
        """Units of the last hidden layer."""
        return self.width


def network_of(settings: Networked, interface: Interface) -> Network:
    """The network that an agent's settings describe; where the world masks actions, its policy keeps to the mask."""
    masks = interface.num_actions if interface.masked else 0
    sizes = (interface.observation_size - masks, interface.num_actions, settings.width, settings.layers)
    named = settings.network.network if isinstance(settings.network, Injected) else settings.network
    network = make_network(named, *sizes, settings.activation, interface.image)
    if isinstance(settings.network, Injected):
        network = injected(network)
    return masked(network, interface.num_actions) if interface.masked else network


def optimizer_of(settings: Any, learning_rate: Array | float) -> optax.GradientTransformation:
    """The optimizer that an agent's settings describe; where its network is injected it leaves alone what is frozen."""
    optimizer = make_optimizer(settings.optimizer, learning_rate, settings.max_grad_norm)
    return holding(optimizer) if isinstance(settings.network, Injected) else optimizer


def gradient_learner(
    network: Network, optimizer: optax.GradientTransformation, update: Callable[..., Any], gradient_steps: int = 1
) -> Learner:
    """The learner of a :class:`robustsim.agents.gradient.GradientAgent` that acts by its network.

    Args:
      update: `update(key, agent, batch, params, penalty) -> agent`.
      gradient_steps: optimizer updates in one call of it.
    """

    def act(params: Tree, memory: Tree, obs: Array) -> Act:
        out = network.apply(params, memory, obs)
        return Act(jax.nn.log_softmax(out.logits), out.memory, out.hidden)

    return Learner(
        init=lambda key: begin(optimizer, network.init(key)),
        act=act,
        update=update,
        restart=lambda agent: begin(optimizer, agent.params),
        memory=network.memory,
        sparse=network.sparse,
        gradient_steps=gradient_steps,
        hidden=network.hidden,
        layers=network.layers,
        value=lambda params, memory, obs: network.apply(params, memory, obs).value,
    )
