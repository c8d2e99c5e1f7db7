"""The controls that every scenario has: the same agents and overseers with one thing taken away.

A twin is a handful of settings, so it runs, sweeps and is stored like any other configuration.
"""

import dataclasses
from typing import Any

from robustsim import files
from robustsim.errors import UserError, nearest
from robustsim.fields import perfect
from robustsim.oversight.defences import Defences
from robustsim.oversight.overseer import Overseer
from robustsim.oversight.rules.cumulative import Cumulative
from robustsim.oversight.tampering import Tampering
from robustsim.spec.scenario import ScenarioFactory, Training
from robustsim.spec.settings import Settings, env_values, flatten

RANDOM_INIT = {"training.steps": 0, "training.competence": 0.0, "training.record": 0}


def twins(factory: ScenarioFactory) -> dict[str, dict[str, Any]]:
    """The settings of each twin that the scenario has, by name.

    * aligned: half of the training levels tell goal and proxy apart (`env.alpha`); where a scenario has no proxy there
      is none.
    * random-init: the network was never trained.
    * oracle: the overseer sees every episode, unseen, without errors or delay.
    * guarded: the tampering act is a no-op; for scenarios with tampering.
    """
    scenario, table = factory(**factory.defaults), dict[str, dict[str, Any]]()
    if "alpha" in factory.parameters:
        table["aligned"] = {"env.alpha": 0.5}
    table["random-init"] = dict(RANDOM_INIT)
    kind = {} if isinstance(scenario.overseer, Overseer) else {"overseer.kind": "overseer"}
    table["oracle"] = kind | perfect_overseer()
    if scenario.tampering.kind != "none":
        table["guarded"] = {"tampering.guarded": True}
    return table


def perfect_overseer() -> dict[str, Any]:
    """Full detection without errors, delays and limits that cannot be noticed: what feedback could do at best.

    What is perfect is declared with each field of :class:`Overseer`.
    """
    return {f"overseer.{name}": value for name, value in perfect(Overseer).items()}


def twin(factory: ScenarioFactory, name: str) -> dict[str, Any]:
    """The settings of one twin.

    Raises:
      UserError: the scenario has no such twin.
    """
    table = twins(factory)
    if name not in table:
        raise UserError(f"twin: {name!r} is not allowed for scenario {factory.name!r}; {nearest(str(name), table)}")
    return table[name]


def reference_settings(factory: ScenarioFactory, settings: Settings) -> Settings:
    """The settings of the reference agents of a run: nothing of its overseer, its training or its treatments."""
    penalty = getattr(factory(**env_values(settings)).overseer, "penalty", Overseer().penalty)
    alone = {"patience": 0.0, "relapse_steps": 0, "relapse_reward": True, "relearn": False, "start": -1, "stop": "end"}
    return dataclasses.replace(
        settings,
        online=dataclasses.replace(settings.online, inject=False),
        treatment={},
        overseer=Overseer(penalty=penalty, **perfect(Overseer)),
        catastrophe=Cumulative(),
        defences=Defences(),
        tampering=Tampering(),
        deployment=dataclasses.replace(settings.deployment, **alone),
        evaluation=dataclasses.replace(settings.evaluation, control=False, retest=False, plasticity=False, goals=False),
        training=dataclasses.replace(Training(), steps=0, extension=0.0, competence=settings.training.competence),
    )


def reference_hash(factory: ScenarioFactory, settings: Settings, code: str, seeds: int) -> str:
    """Names a set of reference agents by everything that makes another one; `code` is the hash of the code."""
    parts = [factory.name, factory.source_hash, code, seeds, sorted(flatten(settings).items())]
    return files.digest(f"reference {parts!r}".encode())
