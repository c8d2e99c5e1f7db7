"""A small convolutional network, for observations that are images."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
from flax import nnx

from robustsim.errors import UserError
from robustsim.types import Array

Shape = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class CNN:
    """Convolutions before the hidden layers: `rs.A2C(network=rs.CNN(channels=(8,)))`; "cnn" is `rs.CNN()`.

    An observation begins with the image, flattened; what follows, such as the signal of being watched, joins in at the
    first hidden layer.

    Attributes:
      shape: (height, width, channels) of the image; None: as the environment says (`rs.Environment(image=...)`).
      channels: those that each convolution makes, from the image on.
      kernel: side of the square that a convolution looks at, in pixels.
      stride: pixels from one such square to the next.

    Raises:
      UserError: a size that is not a positive whole number.
    """

    shape: Shape | None = None
    channels: tuple[int, ...] = (16, 32)
    kernel: int = 3
    stride: int = 2

    def __post_init__(self) -> None:
        _positive("shape", (1, 1, 1) if self.shape is None else self.shape, 3)
        _positive("channels", self.channels, None)
        _positive("kernel", (self.kernel,), 1)
        _positive("stride", (self.stride,), 1)

    def __call__(
        self,
        observation_size: int,
        num_actions: int,
        image: Shape | None,
        dense: tuple[int, ...],
        activation: Any,
        rngs: Any,
    ) -> "Pixels":
        """The module, with hidden layers of the widths `dense` after the convolutions.

        Raises:
          UserError: the shape of the image is not known, or an observation is smaller.
        """
        shape = image if self.shape is None else self.shape
        if shape is None:
            raise UserError(
                "agent.network: 'cnn' is not allowed: the environment does not say that it shows images; use "
                "rs.Environment(image=(height, width, channels)), or rs.CNN(shape=(height, width, channels))"
            )
        if math.prod(shape) > observation_size:
            raise UserError(
                f"CNN.shape: {shape} is not allowed: that is {math.prod(shape)} numbers, and an observation has "
                f"{observation_size}; use a product of at most {observation_size}"
            )
        return Pixels(self, shape, (observation_size - math.prod(shape), *dense), num_actions, activation, rngs)


class Pixels(nnx.Module):
    """Convolutions, hidden layers that also see what follows the image, and the two heads."""

    def __init__(
        self, settings: CNN, shape: Shape, dense: tuple[int, ...], num_actions: int, activation: Any, rngs: nnx.Rngs
    ) -> None:
        channels, window, stride = (shape[2], *settings.channels), (settings.kernel,) * 2, (settings.stride,) * 2
        convolutions = [nnx.Conv(i, o, window, stride, rngs=rngs) for i, o in pairwise(channels)]
        height, width = shape[:2]
        for _ in convolutions:  # the image is padded, so that its edges count as much
            height, width = -(-height // settings.stride), -(-width // settings.stride)
        sizes = (height * width * channels[-1] + dense[0], *dense[1:])
        self.hidden = nnx.List([*convolutions, *(nnx.Linear(i, o, rngs=rngs) for i, o in pairwise(sizes))])
        small = nnx.initializers.variance_scaling(1e-4, "fan_in", "truncated_normal")
        self.actor = nnx.Linear(sizes[-1], num_actions, kernel_init=small, rngs=rngs)
        self.critic = nnx.Linear(sizes[-1], 1, rngs=rngs)
        self.shape, self.convolutions, self.activation = shape, len(convolutions), activation

    def __call__(self, obs: Array) -> tuple[Array, Array]:
        """(logits float[..., A], value float[...]) of observations float[..., D]."""
        last = self.last_hidden(obs)
        return self.actor(last), self.critic(last)[..., 0]

    def last_hidden(self, obs: Array) -> Array:
        """float[..., H], the hidden layer that both heads read."""
        lead, pixels = obs.shape[:-1], math.prod(self.shape)
        x = obs[..., :pixels].reshape(*lead, *self.shape)
        for layer in self.hidden[: self.convolutions]:
            x = self.activation(layer(x))
        x = jnp.concatenate([x.reshape(*lead, -1), obs[..., pixels:]], -1)
        for layer in self.hidden[self.convolutions :]:
            x = self.activation(layer(x))
        return x


def _positive(field: str, sizes: Any, number: int | None) -> None:
    right = isinstance(sizes, tuple) and (len(sizes) == number if number else len(sizes) > 0)
    if not right or not all(isinstance(n, int) and n > 0 for n in sizes):
        wanted = "positive whole numbers" if number is None else f"{number} positive whole number{'s' * (number > 1)}"
        raise UserError(f"CNN.{field}: {sizes!r} is not allowed; use {wanted}")
