"""Adapters for other libraries: no auto-reset, separate terminated and truncated flags, a flat observation.

A family of environments is one file here and one entry in the table of `families`.
"""

from robustsim.envs.adapters.build import Adapted as Adapted
from robustsim.envs.adapters.build import adapt as adapt
from robustsim.envs.adapters.build import flat as flat
from robustsim.envs.adapters.families import family as family
