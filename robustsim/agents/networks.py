"""Networks as pure functions on a tree of parameters. flax NNX is used through split and merge only."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen, nnx

from robustsim.agents.convolution import CNN, Shape
from robustsim.agents.perceptron import known
from robustsim.errors import UserError, nearest
from robustsim.sparse import Sparse, product
from robustsim.types import Array, Tree

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"tanh": jnp.tanh, "relu": jax.nn.relu}
KINDS = ("mlp", "gru", "cnn")


class Output(NamedTuple):
    """What a network makes of observations float[..., D]."""

    logits: Array  # float[..., A]
    value: Array  # float[...]
    memory: Tree  # leaves [..., M]
    hidden: tuple[Array, ...] = ()  # float[..., H] each, the hidden layers from the first to the last, where kept


class Network(NamedTuple):
    """`init(key) -> params`, `apply(params, memory, obs float[..., D]) -> Output`, `memory(envs) -> leaves [envs, M]`.

    `hidden(params, memory, obs) -> float[..., H]` is the last hidden layer; None where it is not known.
    `layers(params, memory, obs)` are all of them, from the first to the last; None where they are not known.
    `known(params, obs float[N, D], hidden) -> (logits, value)` gives the outputs, and their gradient, where the hidden
    layers of `apply` are known; None where there is no such way. `sparse`: whether both take sparse observations.
    """

    init: Callable[[Array], Tree]
    apply: Callable[[Tree, Tree, Array], Output]
    hidden: Callable[[Tree, Tree, Array], Array] | None = None
    memory: Callable[[int], Tree] = lambda envs: ()
    known: Callable[[Tree, Array | Sparse, tuple[Array, ...]], tuple[Array, Array]] | None = None
    sparse: bool = False
    layers: Callable[[Tree, Tree, Array], tuple[Array, ...]] | None = None


class ActorCritic(nnx.Module):
    """A multi-layer perceptron with one head for the policy and one for the value."""

    def __init__(
        self, observation_size: int, num_actions: int, width: int, layers: int, activation: str, rngs: nnx.Rngs
    ) -> None:
        sizes = [observation_size] + [width] * layers
        # A scaled normal: orthogonal matrices would cost a QR factorisation for every agent.
        self.hidden = nnx.List([nnx.Linear(i, o, rngs=rngs) for i, o in pairwise(sizes)])
        small = nnx.initializers.variance_scaling(1e-4, "fan_in", "truncated_normal")
        self.actor = nnx.Linear(width, num_actions, kernel_init=small, rngs=rngs)
        self.critic = nnx.Linear(width, 1, rngs=rngs)
        self.activation = ACTIVATIONS[activation]

    def __call__(self, obs: Array | Sparse) -> Output:
        """The logits and the value of each observation, and the hidden layers."""
        hidden: list[Array] = []
        for layer in self.hidden:
            assert layer.bias is not None
            below = hidden[-1] if hidden else obs
            hidden.append(self.activation(product(below, layer.kernel[...]) + layer.bias[...]))
        return Output(self.actor(hidden[-1]), self.critic(hidden[-1])[..., 0], (), tuple(hidden))


class Recurrent(nnx.Module):
    """An encoder, a gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), and the two heads."""

    def __init__(
        self, observation_size: int, num_actions: int, width: int, layers: int, activation: str, rngs: nnx.Rngs
    ) -> None:
        sizes = [observation_size] + [width] * layers
        self.hidden = nnx.List([nnx.Linear(i, o, rngs=rngs) for i, o in pairwise(sizes)])
        self.cell = nnx.GRUCell(width, width, rngs=rngs)
        small = nnx.initializers.variance_scaling(1e-4, "fan_in", "truncated_normal")
        self.actor = nnx.Linear(width, num_actions, kernel_init=small, rngs=rngs)
        self.critic = nnx.Linear(width, 1, rngs=rngs)
        self.activation = ACTIVATIONS[activation]

    def __call__(self, memory: Array, obs: Array) -> Output:
        """The logits, the value and the memory after each observation."""
        after = self.last_hidden(memory, obs)
        return Output(self.actor(after), self.critic(after)[..., 0], after)

    def last_hidden(self, memory: Array, obs: Array) -> Array:
        """The new state of the unit, which both heads read."""
        x = obs
        for layer in self.hidden:
            x = self.activation(layer(x))
        return self.cell(memory, x)[0]


def check_network(field: str, network: Any) -> None:
    """Raises UserError if `network` is neither the name of one nor something that :func:`make_network` takes."""
    known = isinstance(network, str) and network in KINDS
    if not known and (isinstance(network, str) or not (callable(network) or isinstance(network, tuple | linen.Module))):
        raise UserError(f"{field}: {network!r} is not allowed; {nearest(str(network), KINDS)}")


def make_network(
    network: Any,
    observation_size: int,
    num_actions: int,
    width: int,
    layers: int,
    activation: str,
    image: Shape | None = None,
) -> Network:
    """A network for observations float[D] and A actions.

    Args:
      network: "mlp", "gru", "cnn" or a :class:`CNN`; a flax NNX module class, called as `network(D, A, rngs=rngs)`, or
        a flax linen module, either of which maps observations to (logits, value); or a pair (init, apply):
        `init(key, D, A) -> params` and `apply(params, obs) -> (logits, value)`.
      image: the shape of the image that an observation begins with, where the environment shows one.

    Raises:
      UserError: the sizes of a convolutional network do not fit.
    """
    if network == "mlp":
        build = partial(ActorCritic, observation_size, num_actions, width, layers, activation)
        return _perceptron(build, activation)
    if network == "gru":
        return _gru(lambda rngs: Recurrent(observation_size, num_actions, width, layers, activation, rngs), width)
    if network == "cnn" or isinstance(network, CNN):
        cnn, dense = CNN() if isinstance(network, str) else network, (width,) * layers
        return _module(lambda rngs: cnn(observation_size, num_actions, image, dense, ACTIVATIONS[activation], rngs))
    if isinstance(network, linen.Module):
        blank = jnp.zeros((observation_size,))
        return _plain(lambda key: network.init(key, blank), lambda params, obs: network.apply(params, obs))
    if isinstance(network, tuple):
        init, apply = network
        return _plain(lambda key: init(key, observation_size, num_actions), apply)
    return _module(lambda rngs: network(observation_size, num_actions, rngs=rngs))


def _plain(init: Callable[[Array], Tree], apply: Callable[[Tree, Array], Any]) -> Network:
    def with_memory(params: Tree, memory: Tree, obs: Array) -> Output:
        logits, value = apply(params, obs)
        return Output(logits, value, memory)

    return Network(init, with_memory)


def _functional(build: Callable[[nnx.Rngs], nnx.Module]) -> tuple[Callable[[Array], Tree], Callable[[Tree], Any]]:
    """(`init(key) -> params` as nested dictionaries, `module(params)` with them in place)."""
    graph, shapes = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(jax.random.key(0)))))

    def init(key: Array) -> Tree:
        return nnx.to_pure_dict(nnx.split(build(nnx.Rngs(key)))[1])

    def module(params: Tree) -> Any:
        state = jax.tree.map(lambda x: x, shapes)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state)

    return init, module


def _perceptron(build: Callable[[nnx.Rngs], ActorCritic], activation: str) -> Network:
    init, module = _functional(build)

    def apply(params: Tree, memory: Tree, obs: Array | Sparse) -> Output:
        return module(params)(obs)._replace(memory=memory)

    return Network(
        init,
        apply,
        hidden=lambda params, memory, obs: apply(params, memory, obs).hidden[-1],
        known=lambda params, obs, hidden: known(params, obs, hidden, activation),
        sparse=True,
        layers=lambda params, memory, obs: apply(params, memory, obs).hidden,
    )


def _module(build: Callable[[nnx.Rngs], nnx.Module]) -> Network:
    """A module of the user's own; `last_hidden(obs)` is its last hidden layer, where it has that method."""
    init, module = _functional(build)

    def apply(params: Tree, memory: Tree, obs: Array) -> Output:
        logits, value = module(params)(obs)
        return Output(logits, value, memory)

    has_hidden = hasattr(nnx.eval_shape(lambda: build(nnx.Rngs(jax.random.key(0)))), "last_hidden")
    return Network(init, apply, (lambda params, memory, obs: module(params).last_hidden(obs)) if has_hidden else None)


def _gru(build: Callable[[nnx.Rngs], Recurrent], width: int) -> Network:
    init, module = _functional(build)
    return Network(
        init,
        lambda params, memory, obs: module(params)(memory, obs),
        lambda params, memory, obs: module(params).last_hidden(memory, obs),
        lambda envs: jnp.zeros((envs, width)),
    )
