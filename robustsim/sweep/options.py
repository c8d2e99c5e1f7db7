"""The options of a sweep that are numbers and words: the same in Python and on the command line. Needs no JAX."""

from collections.abc import Sequence
from dataclasses import dataclass

Seeds = int | Sequence[int]
"""How many seeds (0, 1, ...), or which."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a sweep consists of, apart from its scenario and its values.

    Attributes:
      seeds: number of independently trained agents per configuration.
      design: grid (every combination), zip (values paired in order), random or sobol (drawn from ranges).
      samples: number of configurations that random and sobol draw.
      design_seed: seed of that draw.
      shard_size: number of runs that are stored together; 0 chooses.
    """

    seeds: Seeds = 32
    design: str = "grid"
    samples: int = 0
    design_seed: int = 0
    shard_size: int = 0
