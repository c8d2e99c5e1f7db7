"""robustsim: how many gradient steps until a misbehaviour is really gone, and how many until it is too late?

Names are imported when they are first used, so that reading a finished sweep needs no JAX and `--help` is instant.
"""

import importlib
from typing import TYPE_CHECKING, Any

from robustsim.version import VERSION as __version__

if TYPE_CHECKING:
    from robustsim.agents.a2c import A2C as A2C
    from robustsim.agents.tabular import Tabular as Tabular
    from robustsim.api import Sweep as Sweep
    from robustsim.api import geomspace as geomspace
    from robustsim.api import run as run
    from robustsim.api import to_gymnax as to_gymnax
    from robustsim.api import twin as twin
    from robustsim.envs.adapters import adapt as adapt
    from robustsim.envs.gridworld import Grid as Grid
    from robustsim.envs.layout import Door as Door
    from robustsim.envs.layout import Hazard as Hazard
    from robustsim.envs.layout import Item as Item
    from robustsim.envs.layout import Signal as Signal
    from robustsim.envs.layout import Wall as Wall
    from robustsim.envs.maps import paint as paint
    from robustsim.envs.maps import room as room
    from robustsim.envs.protocol import Environment as Environment
    from robustsim.errors import RunsFailed as RunsFailed
    from robustsim.errors import Stopped as Stopped
    from robustsim.errors import UserError as UserError
    from robustsim.fields import Between as Between
    from robustsim.oversight.catastrophe import Catastrophe as Catastrophe
    from robustsim.oversight.defences import Defences as Defences
    from robustsim.oversight.overseer import Overseer as Overseer
    from robustsim.oversight.tampering import Tampering as Tampering
    from robustsim.results import Results as Results
    from robustsim.results import open_results as open
    from robustsim.spec.loading import load as load
    from robustsim.spec.scenario import Deployment as Deployment
    from robustsim.spec.scenario import Evaluation as Evaluation
    from robustsim.spec.scenario import Scenario as Scenario
    from robustsim.spec.scenario import Training as Training
    from robustsim.spec.scenario import scenario as scenario
    from robustsim.sweep.axes import Range as Range
    from robustsim.sweep.execution import Execution as Execution
    from robustsim.types import Step as Step
    from robustsim.types import Transition as Transition

_HOME = {
    "A2C": "robustsim.agents.a2c",
    "Tabular": "robustsim.agents.tabular",
    "Results": "robustsim.results",
    "open": "robustsim.results:open_results",
    "adapt": "robustsim.envs.adapters",
    "Door": "robustsim.envs.layout",
    "Grid": "robustsim.envs.gridworld",
    "Hazard": "robustsim.envs.layout",
    "Item": "robustsim.envs.layout",
    "Signal": "robustsim.envs.layout",
    "Wall": "robustsim.envs.layout",
    "paint": "robustsim.envs.maps",
    "room": "robustsim.envs.maps",
    "Environment": "robustsim.envs.protocol",
    "RunsFailed": "robustsim.errors",
    "Stopped": "robustsim.errors",
    "UserError": "robustsim.errors",
    "Between": "robustsim.fields",
    "Catastrophe": "robustsim.oversight.catastrophe",
    "Defences": "robustsim.oversight.defences",
    "Overseer": "robustsim.oversight.overseer",
    "Tampering": "robustsim.oversight.tampering",
    "load": "robustsim.spec.loading",
    "run": "robustsim.api",
    "twin": "robustsim.api",
    "geomspace": "robustsim.api",
    "Sweep": "robustsim.api",
    "to_gymnax": "robustsim.api",
    "Deployment": "robustsim.spec.scenario",
    "Training": "robustsim.spec.scenario",
    "Evaluation": "robustsim.spec.scenario",
    "Scenario": "robustsim.spec.scenario",
    "scenario": "robustsim.spec.scenario",
    "Range": "robustsim.sweep.axes",
    "Execution": "robustsim.sweep.execution",
    "Step": "robustsim.types",
    "Transition": "robustsim.types",
}

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'robustsim' has no attribute {name!r}")
    module, _, original = _HOME[name].partition(":")
    return getattr(importlib.import_module(module), original or name)


def __dir__() -> list[str]:
    return sorted(__all__)
