"""Layers that do not learn in deployment."""

from typing import ClassVar

from robustsim.agents.learner import Batch, Learner, Penalty
from robustsim.errors import UserError
from robustsim.fields import size
from robustsim.parts import treatment
from robustsim.treatments.wrap import with_params
from robustsim.types import Array, Tree


@treatment
class FrozenLayers:
    """The first hidden layers keep the weights that they had at deployment start."""

    frozen_layers: int = size(0, 0, 16, doc="hidden layers, from the observation on, that do not learn")
    injectable: ClassVar[bool] = False  # it changes the very weights that an injection freezes

    @property
    def off(self) -> bool:
        """Whether all layers learn."""
        return self.frozen_layers == 0

    def treat(self, learner: Learner) -> Learner:
        """The learner with the frozen layers.

        Raises:
          UserError: the network has fewer hidden layers, or its parameters do not say which they are.
        """

        def update(key: Array, agent: Tree, batch: Batch, params: Tree, penalty: Penalty | None) -> Tree:
            after = learner.update(key, agent, batch, params, penalty)
            return with_params(after, thawed(agent.params, after.params, self.frozen_layers))

        return learner._replace(update=update)


def thawed(before: Tree, after: Tree, frozen: int) -> Tree:
    """`after`, with the first hidden layers as they were before."""
    layers = before.get("hidden") if isinstance(before, dict) else None
    if layers is None or len(layers) < frozen:
        have = "the network does not list its hidden layers" if layers is None else f"the network has {len(layers)}"
        raise UserError(f"treatment.frozen_layers: {frozen} is not allowed: {have}")
    kept = {name: layers[name] if i < frozen else after["hidden"][name] for i, name in enumerate(sorted(layers))}
    return {**after, "hidden": kept}
