"""Weights are shrunk and noise is added once, at deployment start (Ash and Adams 2020, arXiv 1910.08475)."""

from typing import ClassVar

import jax

from robustsim.agents.learner import Learner
from robustsim.fields import number
from robustsim.parts import treatment
from robustsim.treatments.wrap import changed, with_params
from robustsim.types import Array, Tree


@treatment
class ShrinkPerturb:
    """weights = (1 - shrink) * weights + noise * freshly initialised weights."""

    shrink_perturb: float = number(0.0, 0, 1, doc="share by which the weights shrink at deployment start")
    shrink_perturb_noise: float = number(0.1, 0, 1e3, doc="scale of the freshly initialised weights that are added")
    needs_slope: ClassVar[bool] = True  # of the policy by its parameters
    injectable: ClassVar[bool] = False  # it changes the very weights that an injection freezes

    @property
    def off(self) -> bool:
        """Whether the weights are left alone."""
        return self.shrink_perturb == 0

    def treat(self, learner: Learner) -> Learner:
        """The learner whose agent is shrunk and perturbed."""

        def change(key: Array, agent: Tree) -> Tree:
            fresh, noise = learner.init(key).params, self.shrink_perturb_noise
            mixed = jax.tree.map(lambda x, n: (1 - self.shrink_perturb) * x + noise * n, agent.params, fresh)
            return with_params(agent, mixed)

        return changed(learner, change)
