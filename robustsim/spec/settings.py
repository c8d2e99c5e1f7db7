"""Every setting of a run, under its dotted name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from robustsim.errors import UserError, nearest
from robustsim.fields import check_all, checked
from robustsim.oversight import catastrophe
from robustsim.oversight.catastrophe import Catastrophe
from robustsim.oversight.defences import Defences
from robustsim.oversight.overseer import Overseer
from robustsim.oversight.tampering import Tampering
from robustsim.pytree import pytree, static
from robustsim.spec.scenario import Deployment, Evaluation, Scenario, ScenarioFactory, Training, kind_of

SECTIONS = ("agent", "overseer", "catastrophe", "defences", "tampering", "evaluation", "deployment", "training")


@pytree
class Settings:
    """All numbers and choices of a run.

    Numbers are leaves and vary inside one compiled program; choices are structure. So two runs can share a program
    exactly if their settings have the same tree structure.
    """

    env: dict[str, Any]  # the scenario's parameters of type float
    env_static: tuple[tuple[str, Any], ...] = static()  # and its other parameters
    agent: Any
    overseer: Overseer
    catastrophe: Catastrophe
    defences: Defences | None  # None, once compiled, where there are none
    tampering: Tampering
    evaluation: Evaluation
    deployment: Deployment
    training: Training
    queue: int = static(default=0)  # room for late feedback, in gradient steps (0: none is late)
    line: int = static(default=0)  # room for delayed penalties, in environment steps (0: none is delayed)
    ring: int = static(default=0)  # room for what the windowed rule looks back on, in gradient steps

    def canonical(self) -> "Settings":
        """These settings as they are compiled: what is switched off becomes None, which is structure."""
        changed = {n: getattr(self, n).canonical() for n in ("agent", "overseer", "defences") if getattr(self, n)}
        return dataclasses.replace(self, **changed)


def env_values(settings: Settings) -> dict[str, Any]:
    """The scenario's parameters, as its factory takes them."""
    return {**dict(settings.env_static), **settings.env}


def names(factory: ScenarioFactory) -> dict[str, Any]:
    """Every dotted name of a scenario with its default value, of its type."""
    scenario = factory(**factory.defaults)
    table = {f"env.{name}": value for name, value in factory.defaults.items()}
    for section, value in sections_of(scenario).items():
        for f in dataclasses.fields(value):
            name = f"{section}.{f.name}"
            table[name] = checked(name, getattr(value, f.name), f)
    return table


def typed(factory: ScenarioFactory, sections: Mapping[str, Any], name: str, value: Any) -> Any:
    """`value` as the type of the dotted name.

    Args:
      sections: the scenario's settings, as :func:`sections_of` gives them.

    Raises:
      UserError: an unknown name (the nearest is offered), or a value of the wrong type or out of range.
    """
    section, _, rest = name.partition(".")
    if section == "env" and rest in factory.parameters:
        return factory.value(rest, value)
    for f in dataclasses.fields(sections[section]) if section in sections else ():
        if f.name == rest:
            return checked(name, value, f)
    raise UserError(f"{name}: is unknown; {nearest(name, names(factory))}")


def documented(factory: ScenarioFactory) -> dict[str, str]:
    """What each dotted name means."""
    scenario = factory(**factory.defaults)
    return {
        f"{section}.{f.name}": f.metadata["doc"]
        for section, value in sections_of(scenario).items()
        for f in dataclasses.fields(value)
    }


def sections_of(scenario: Scenario) -> dict[str, Any]:
    """A scenario's default settings, by the first part of their dotted names."""
    return {name: getattr(scenario, name) for name in SECTIONS}


def resolve(factory: ScenarioFactory, changes: Mapping[str, Any]) -> Settings:
    """The settings of one run: the scenario's defaults with `changes` (dotted name -> value), all checked.

    Raises:
      UserError: an unknown name (the nearest is offered), or a value of the wrong type or out of range.
    """
    env = dict(factory.defaults)
    for name, value in changes.items():
        if name.startswith("env."):
            env[name[4:]] = typed(factory, {}, name, value)
    scenario = factory(**env)
    sections = sections_of(scenario)
    for name, value in changes.items():
        section, _, rest = name.partition(".")
        if section != "env":
            new = typed(factory, sections, name, value)
            sections[section] = dataclasses.replace(sections[section], **{rest: new})
    sections = {name: check_all(name, value) for name, value in sections.items()}
    for name in ("agent", "overseer"):
        sections[name].__check__(name)
    _check_together(scenario, sections)
    dynamic = {n for n, p in factory.parameters.items() if kind_of(p)[0] is float}
    return Settings(
        env={n: v for n, v in env.items() if n in dynamic},
        env_static=tuple((n, v) for n, v in env.items() if n not in dynamic),
        queue=_room(sections["overseer"].latency),
        line=_room(sections["overseer"].delay),
        ring=catastrophe.room(sections["catastrophe"]),
        **sections,
    )


def _check_together(scenario: Scenario, sections: dict[str, Any]) -> None:
    """Raises UserError where settings of two sections, or a setting and the scenario, contradict each other."""
    overseer, agent = sections["overseer"], sections["agent"]
    demonstrated = {"overseer.feedback": overseer.feedback, "training.signal": sections["training"].signal}
    for name, value in demonstrated.items():
        if value == "demonstration" and scenario.demonstrate is None:
            raise UserError(f"{name}: 'demonstration' is not allowed: this scenario does not say which act to imitate")
    if sections["catastrophe"].kind == "event" and scenario.event is None:
        raise UserError("catastrophe.kind: 'event' is not allowed: this scenario does not define an event")
    kind = sections["tampering"].kind
    if kind != "none" and scenario.tampers is None:
        raise UserError(f"tampering.kind: {kind!r} is not allowed: this scenario has no act that tampers")
    if agent.exact and overseer.beyond_expectation:
        name = f"overseer.{overseer.beyond_expectation}"
        value = getattr(overseer, overseer.beyond_expectation)
        raise UserError(f"{name}: {value!r} is not allowed with the exact gradient; set agent.gradient=sampled")
    if overseer.plan_penalty > 0 and not agent.hidden_units:
        raise UserError(f"overseer.plan_penalty: {overseer.plan_penalty} is not allowed: the agent has no hidden layer")
    if overseer.feedback == "comparison" and agent.num_envs < 2:
        raise UserError("overseer.feedback: 'comparison' is not allowed with agent.num_envs=1; it compares two of them")


def _room(latency: int) -> int:
    """The smallest power of two that holds what is `latency` late."""
    return 0 if latency == 0 else 1 << (latency - 1).bit_length()


def flatten(settings: Settings) -> dict[str, Any]:
    """The settings as a table from dotted names to plain values."""
    table = {f"env.{name}": value for name, value in env_values(settings).items()}
    for section in SECTIONS:
        value = getattr(settings, section)
        table |= {f"{section}.{f.name}": getattr(value, f.name) for f in dataclasses.fields(value)}
    return table
