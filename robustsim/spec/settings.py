"""Every setting of a run, under its dotted name."""

import dataclasses
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from robustsim.errors import UserError, nearest
from robustsim.fields import check_all, declared, typed
from robustsim.oversight.defences import Defences
from robustsim.oversight.rules.cumulative import Cumulative
from robustsim.oversight.tampering import Tampering
from robustsim.oversight.tutor import tutor
from robustsim.parts import bundled, find, name_of, own
from robustsim.pytree import pytree, static
from robustsim.spec import contradictions
from robustsim.spec.scenario import (
    Deployment,
    Evaluation,
    Online,
    Scenario,
    ScenarioFactory,
    Training,
    declaration,
)


class Section(NamedTuple):
    """One part of the dotted names.

    Attributes:
      name: the part before the dot.
      shapes_training: the fields that make another agent in training; None stands for all of them.
      part: the kind of part whose `NAME.kind` chooses the class; "" where the class is fixed.
    """

    name: str
    shapes_training: tuple[str, ...] | None = ()
    part: str = ""


SECTIONS = (
    Section("agent", None, "learner"),
    Section("online"),
    Section("treatment"),
    Section("overseer", (), "overseer"),
    Section("catastrophe", (), "catastrophe"),
    Section("defences"),
    Section("tampering"),
    Section("evaluation", ("episodes",)),
    Section("deployment"),
    Section(
        "training",
        ("watched", "signal", "penalty", "penalty_share", "penalty_looks", "penalty_from", "penalty_until", "record"),
    ),
)


KINDS = tuple(f"{section.name}.kind" for section in SECTIONS if section.part)


@pytree
class Settings:
    """All numbers and choices of a run.

    Numbers are leaves and vary inside one compiled program; choices are structure. So two runs can share a program
    exactly if their settings have the same tree structure.
    """

    env: dict[str, Any]  # the scenario's parameters of type float
    env_static: tuple[tuple[str, Any], ...] = static()  # and its other parameters
    agent: Any
    online: Online
    treatment: dict[str, Any]  # by name; once compiled, those that are on
    overseer: Any
    catastrophe: Any
    defences: Defences | None  # None, once compiled, where there are none
    tampering: Tampering
    evaluation: Evaluation
    deployment: Deployment
    training: Training

    def canonical(self) -> "Settings":
        """These settings as they are compiled: what is switched off is gone, which is structure."""
        defences = None if self.defences is None or self.defences.off else self.defences
        return dataclasses.replace(
            self,
            treatment={name: part for name, part in self.treatment.items() if not part.off},
            overseer=self.overseer.canonical(),
            catastrophe=self.catastrophe.canonical(),
            defences=defences,
            deployment=dataclasses.replace(self.deployment, stop="end", relearn=False),  # the host's business alone,
            evaluation=dataclasses.replace(self.evaluation, reference=True),  # and this as well
        )


class Run(NamedTuple):
    """One run: a configuration and a seed."""

    settings: Settings
    seed: int


def env_values(settings: Settings) -> dict[str, Any]:
    """The scenario's parameters, as its factory takes them."""
    return {**dict(settings.env_static), **settings.env}


def for_training(settings: Settings) -> Settings:
    """The settings of the training: nothing that only deployment knows, and the overseer of training."""
    return dataclasses.replace(
        settings,
        online=Online(),
        treatment={},
        overseer=tutor(settings.training),
        catastrophe=Cumulative(),
        defences=Defences(),
        tampering=Tampering(),
    )


def training_identity(settings: Settings) -> list[tuple[str, Any]]:
    """Every dotted name that makes another agent in training, with its value."""
    shaping = {section.name: section.shapes_training for section in SECTIONS} | {"env": None}
    return [
        (name, value)
        for name, value in flatten(settings).items()
        for section, _, rest in [name.partition(".")]
        if (fields := shaping[section]) is None or rest in fields
    ]


def sections_of(factory: ScenarioFactory, scenario: Scenario) -> dict[str, Any]:
    """A scenario's default settings by section; that of treatments is a table by name, the bundled ones included."""
    table: dict[str, Any] = {s.name: getattr(scenario, s.name) for s in SECTIONS if s.name != "treatment"}
    mine = {name_of(part): part for part in scenario.treatments}
    known = {name: find("treatment", name, {}) for name in bundled("treatment")} | own("treatment", factory.namespace)
    table["treatment"] = {name: mine.get(name) or cls() for name, cls in known.items()} | mine
    return {s.name: table[s.name] for s in SECTIONS}


def _parts(section: str, value: Any) -> list[Any]:
    return list(value.values()) if section == "treatment" else [value]


def flat(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Sections as a table from dotted names to plain values."""
    kinds = {section.name for section in SECTIONS if section.part}
    table: dict[str, Any] = {}
    for section, value in sections.items():
        if section in kinds:
            table[f"{section}.kind"] = name_of(value)
        for part in _parts(section, value):
            table |= {f"{section}.{f.name}": described(getattr(part, f.name)) for f in declared(part)}
    return table


def flatten(settings: Settings) -> dict[str, Any]:
    """The settings as a table from dotted names to plain values."""
    env = {f"env.{name}": value for name, value in env_values(settings).items()}
    return env | flat({section.name: getattr(settings, section.name) for section in SECTIONS})


def described(value: Any) -> Any:
    """A setting as tables hold it: a network or an optimizer of the user's own by its name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return "(" + ", ".join(str(described(part)) for part in value) + ")"
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}:{kind.__qualname__}"


def names(factory: ScenarioFactory) -> dict[str, Any]:
    """Every dotted name of a scenario with its default value, of its type."""
    scenario = factory(**factory.defaults)
    sections = {s: _checked(s, value) for s, value in sections_of(factory, scenario).items()}
    return {f"env.{name}": value for name, value in factory.defaults.items()} | flat(sections)


def documented(factory: ScenarioFactory) -> dict[str, str]:
    """What each dotted name means."""
    return {name: declared["doc"] for name, declared in _declarations(factory).items()}


def declared_as(factory: ScenarioFactory, name: str, kinds: Mapping[str, Collection[str]]) -> Mapping[str, Any]:
    """How a dotted name is declared, as :func:`robustsim.fields.typed` takes it.

    Args:
      kinds: for `agent.kind` and its like, the values that are set or swept.

    Raises:
      UserError: the name is unknown; the nearest is offered.
    """
    section, _, rest = name.partition(".")
    if section == "env" and rest in factory.parameters:
        return declaration(factory.parameters[rest])
    table = _declarations(factory)
    if name in table:
        return table[name]
    part = next((s.part for s in SECTIONS if s.name == section), "")
    for kind in kinds.get(f"{section}.kind", ()) if part else ():
        for f in declared(find(part, kind, factory.namespace)):
            if f.name == rest:
                return f.metadata
    raise UserError(f"{name}: is unknown; {nearest(name, names(factory))}")


@lru_cache(maxsize=32)
def _declarations(factory: ScenarioFactory) -> dict[str, Mapping[str, Any]]:
    """How each dotted name of a scenario is declared, with the parts that it has by default."""
    sections = sections_of(factory, factory(**factory.defaults))
    table: dict[str, Mapping[str, Any]] = {
        f"{s.name}.kind": {"word": True, "doc": f"the {s.name}, by its name"} for s in SECTIONS if s.part
    }
    for section, value in sections.items():
        table |= {f"{section}.{f.name}": f.metadata for part in _parts(section, value) for f in declared(part)}
    return table


def resolve(factory: ScenarioFactory, changes: Mapping[str, Any], trusted: bool = False) -> Settings:
    """The settings of one run: the scenario's defaults with `changes` (dotted name -> value), all checked.

    Args:
      trusted: the changes are of the types of their names, and are checked together elsewhere (:func:`check_together`).

    Raises:
      UserError: an unknown name (the nearest is offered), or a value of the wrong type or out of range.
    """
    if not trusted:
        kinds = {name: [value] for name, value in changes.items() if name.endswith(".kind")}
        changes = {name: typed(name, value, declared_as(factory, name, kinds)) for name, value in changes.items()}
    env = factory.defaults | {name[4:]: value for name, value in changes.items() if name.startswith("env.")}
    sections = sections_of(factory, factory(**env))
    for section in SECTIONS:
        kind = changes.get(f"{section.name}.kind", "")
        if section.part and kind and kind != name_of(sections[section.name]):
            sections[section.name] = _as_kind(sections[section.name], find(section.part, kind, factory.namespace))
    sections = {section: _checked(section, value) for section, value in sections.items()}
    for name, value in changes.items():
        section, _, rest = name.partition(".")
        if section != "env" and name not in KINDS:
            sections[section] = _with(factory, sections[section], name, rest, value)
    dynamic = {n for n, p in factory.parameters.items() if declaration(p)["type"] is float}
    settings = Settings(
        env={n: v for n, v in env.items() if n in dynamic},
        env_static=tuple((n, v) for n, v in env.items() if n not in dynamic),
        **sections,
    )
    if not trusted:
        check_together(factory, settings)
    return settings


def _as_kind(value: Any, cls: type) -> Any:
    """Settings of another kind. What the scenario chose, and the other kind has too, stays as chosen."""
    default = type(value)()
    shared = {f.name for f in declared(cls)}
    chosen = {f.name: getattr(value, f.name) for f in declared(value) if f.name in shared}
    return cls(**{name: x for name, x in chosen.items() if x != getattr(default, name)})


def _with(factory: ScenarioFactory, section: Any, name: str, field: str, value: Any) -> Any:
    """A section with one value changed."""
    for part in section.values() if isinstance(section, dict) else [section]:
        if any(f.name == field for f in declared(part)):
            if described(getattr(part, field)) == value:  # also what a manifest says of a network of the user's own
                return section
            changed = dataclasses.replace(part, **{field: value})
            return {**section, name_of(part): changed} if isinstance(section, dict) else changed
    raise UserError(f"{name}: is unknown; {nearest(name, names(factory))}")


def _checked(section: str, value: Any) -> Any:
    """A section in which every value has the type that is declared."""
    if section == "treatment":
        return {name: check_all(part, lambda field: f"treatment.{field}") for name, part in value.items()}
    return check_all(value, lambda field: f"{section}.{field}")


def check_together(factory: ScenarioFactory, settings: Settings) -> None:
    """Raises UserError where settings contradict each other, or a setting and the scenario do."""
    contradictions.check(factory(**env_values(settings)), settings)
