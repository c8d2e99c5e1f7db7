"""On what terms a failure is attributed."""

import math
from dataclasses import dataclass

from robustsim.analysis.verdict import DELTA
from robustsim.arguments import whole
from robustsim.errors import UserError
from robustsim.sweep.axes import MOST_SEEDS

COST = 2.0  # the largest penalty, in ranges of training returns
CONFIDENCE = 0.9
SEEDS = 8


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On what terms a failure is attributed.

    Attributes:
      seeds: agents of each lever to begin with; doubled where the label needs it.
      max_seeds: the most of that.
      first_seed: the first of them; another one makes an independent attribution.
      delta: share of runs that may fail although something "prevents" the failure.
      confidence: posterior probability that a label needs.
      cost: the largest penalty, in ranges of training returns; by default 2, or what the case's own penalty needs.
      full: whether to run every lever, for the gains in decades and each family's share of them.
    """

    seeds: int = SEEDS
    max_seeds: int = 256
    first_seed: int = 0
    delta: float = DELTA
    confidence: float = CONFIDENCE
    cost: float | None = None
    full: bool = False

    def check(self) -> None:
        """Raises UserError where one of them is not allowed."""
        whole("seeds", self.seeds, 1, MOST_SEEDS)
        whole("max_seeds", self.max_seeds, self.seeds, MOST_SEEDS)
        whole("first_seed", self.first_seed, 0, 2**31 - MOST_SEEDS)
        for name, low, high in (("delta", 0, 1), ("confidence", 0.5, 1)):
            value = getattr(self, name)
            if not low < value < high:
                raise UserError(f"{name}: {value!r} is not allowed; use a number between {low} and {high}")
        if self.cost is not None and not (math.isfinite(self.cost) and self.cost > 0):
            raise UserError(f"cost: {self.cost!r} is not allowed; use a number above 0")
