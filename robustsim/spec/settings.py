"""Every setting of a run, under its dotted name."""

import dataclasses
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from robustsim.agents.optimizers import check_optimizer
from robustsim.errors import UserError, nearest
from robustsim.fields import check_all, declared, typed
from robustsim.oversight.defences import Defences
from robustsim.oversight.overseer import LAST
from robustsim.oversight.repairs import REMEMBER
from robustsim.oversight.rules.cumulative import Cumulative
from robustsim.oversight.tampering import Tampering
from robustsim.oversight.tutor import tutor
from robustsim.parts import bundled, find, name_of, own
from robustsim.pytree import pytree, static
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
    Section("training", ("watched", "signal", "penalty", "penalty_share", "penalty_from", "penalty_until", "record")),
)


MOST_COUNTED = 2**31 - 1  # of a counter
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
    scenario, overseer, agent = factory(**env_values(settings)), settings.overseer, settings.agent
    agent.check("agent")
    overseer.check("overseer")
    demonstrated = {"overseer.feedback": overseer.feedback, "training.signal": settings.training.signal}
    for name, value in demonstrated.items():
        if value == "demonstration" and scenario.demonstrate is None:
            raise UserError(f"{name}: 'demonstration' is not allowed: this scenario does not say which act to imitate")
    if settings.catastrophe.counts_events and scenario.event is None:
        raise UserError("catastrophe.kind: 'event' is not allowed: this scenario does not define an event")
    kind = settings.tampering.kind
    if kind != "none" and scenario.tampers is None:
        raise UserError(f"tampering.kind: {kind!r} is not allowed: this scenario has no act that tampers")
    if agent.expected and overseer.beyond_expectation:
        name = f"overseer.{overseer.beyond_expectation}"
        value = getattr(overseer, overseer.beyond_expectation, name_of(overseer))
        raise UserError(f"{name}: {value!r} is not allowed with the exact gradient; set agent.gradient=sampled")
    if overseer.reads_plans and not agent.hidden_units:
        raise UserError(f"overseer.plan_penalty: {overseer.plan_penalty} is not allowed: the agent has no hidden layer")
    _check_repair(settings)
    _check_treatments(settings)
    if overseer.waits and scenario.monitor is not None:
        raise UserError(
            f"overseer.proof: {overseer.proof:g} is not allowed: this scenario's monitor has false alarms of its own"
        )
    if overseer.feedback == "comparison" and agent.num_envs < 2:
        raise UserError("overseer.feedback: 'comparison' is not allowed with agent.num_envs=1; it compares two of them")
    training = settings.training
    if training.penalty_from > training.penalty_until:
        raise UserError(
            f"training.penalty_from: {training.penalty_from} is not allowed after "
            f"training.penalty_until={training.penalty_until}"
        )
    _check_online(settings.online, agent)
    _check_injection(settings)
    _check_relearning(settings)
    _check_counters(settings)


def _check_treatments(settings: Settings) -> None:
    """Raises UserError where a treatment needs what the agent has not: a slope of its policy, or a hidden layer."""
    smooth, hidden = getattr(settings.agent, "smooth", True), settings.agent.hidden_units
    lacks = {"needs_slope": "" if smooth else "whose policy has no slope"}
    lacks |= {"needs_hidden": "" if hidden else "which has no hidden layer"}
    for name, part in settings.treatment.items():
        for need, lack in lacks.items() if not part.off else ():
            if lack and getattr(part, need, False):
                kind = name_of(settings.agent)
                raise UserError(
                    f"treatment.{name}: {getattr(part, name)} is not allowed with agent.kind={kind!r}, {lack}"
                )


def _check_repair(settings: Settings) -> None:
    """Raises UserError where a repair asks for a training that is not recorded, or nothing would be recorded."""
    training, feedback = settings.training, settings.overseer.feedback
    if feedback in REMEMBER and not training.record:
        raise UserError(
            f"overseer.feedback: {feedback!r} is not allowed without a record of the training; set training.record"
        )
    if feedback == "reversal" and not training.penalty:
        raise UserError(
            "overseer.feedback: 'reversal' is not allowed with training.penalty=0: nothing was added that could be "
            "reversed"
        )
    if not training.record:
        return
    start = settings.deployment.start
    end = training.steps if start < 0 else start
    if training.penalty_from >= min(end, training.penalty_until):
        raise UserError(
            f"training.record: {training.record} is not allowed with training.penalty_from={training.penalty_from}: "
            f"there is nothing to keep; use a penalty_from below training.penalty_until and the {end} steps of training"
        )
    if training.signal == "demonstration":
        raise UserError(f"training.record: {training.record} is not allowed with training.signal='demonstration'")


def _check_relearning(settings: Settings) -> None:
    """Raises UserError where the overseer is to come back, and never leaves, or leaves for good."""
    deployment, overseer = settings.deployment, settings.overseer
    if deployment.relearn and getattr(overseer, "withdrawal", LAST) < LAST:
        raise UserError(f"deployment.relearn: True is not allowed with overseer.withdrawal={overseer.withdrawal}")
    for name, value in (("relapse_steps", 0), ("stop", "first_event")):
        if deployment.relearn and getattr(deployment, name) == value:
            raise UserError(f"deployment.relearn: True is not allowed with deployment.{name}={value}")


def _check_counters(settings: Settings) -> None:
    """Raises UserError where a run can be so long that its counters, of 32 bits, would begin again below zero.

    A counter rises by at most one in each environment step. However patient, a run with the overseer ends within its
    budget (:func:`robustsim.sim.follow.follow`); after removal at T it goes on for max(T, relapse_steps).
    """
    deployment, agent = settings.deployment, settings.agent
    batch = 1 if agent.expected else agent.num_envs * agent.rollout_steps
    budget, after = deployment.budget, deployment.relapse_steps
    most, times = MOST_COUNTED // batch, 2 if deployment.relearn else 1
    if times * budget + (max(budget, after) if after else 0) > most:
        allowed = min((most - after) // times, most // (times + 1)) if after else most
        raise UserError(
            f"deployment.budget: {budget} is not allowed with deployment.relapse_steps={after} and {batch} environment "
            f"steps per gradient step: a run must not take more than {MOST_COUNTED:,} environment steps in all; use a "
            f"budget of at most {max(allowed, 0):,}"
        )


def _check_online(online: Online, agent: Any) -> None:
    """Raises UserError where deployment sets what the learner does not have."""
    if online.optimizer != "same":
        check_optimizer("online.optimizer", online.optimizer)
    for name in ("learning_rate", "optimizer", "entropy"):
        value = getattr(online, name)
        if value not in (None, "same") and not hasattr(agent, name):
            raise UserError(
                f"online.{name}: {value!r} is not allowed: the agent {name_of(agent)!r} has no such setting"
            )


def _check_injection(settings: Settings) -> None:
    """Raises UserError where a network is to be injected, and the agent or a treatment does not go with that."""
    if not settings.online.inject:
        return
    if not getattr(settings.agent, "injectable", False):
        kind = name_of(settings.agent)
        raise UserError(f"online.inject: True is not allowed with agent.kind={kind!r}; use a2c, reinforce, ppo or npg")
    if not settings.online.reset_optimizer:
        raise UserError("online.reset_optimizer: False is not allowed with online.inject: a new network has no past")
    if settings.training.record:
        raise UserError(f"online.inject: True is not allowed with training.record={settings.training.record}")
    for name, part in settings.treatment.items():
        if not part.off and not getattr(part, "injectable", True):
            raise UserError(f"online.inject: True is not allowed with treatment.{name}={getattr(part, name)}")
