"""The factors of the study of what makes a goal hard to move: each level as settings, and ranges for a Saltelli design.

What names `online` or `treatment` changes deployment alone: its agents are those of the base. All else trains others.
"""

import dataclasses
import inspect
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import optax

import robustsim as rs
from robustsim.parts import find
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import flat, names
from robustsim.types import Array, Tree

SCENARIOS = ("coin_corridor", "childhood_drive", "camera_vault")  # in the last it pays for as long as nobody objects
OWN: dict[str, dict[str, Any]] = {
    "childhood_drive": {"training.steps": 2000},  # a third of its childhood, so that twelve trainings can be afforded
    "camera_vault": {"overseer.visible": False},
}
SEEDS = 32
BASE = "as it is"


class Level(NamedTuple):
    """One value of a factor.

    Attributes:
      settings: what differs from the scenario's defaults.
      possible: share of the deployment levels that differ from those of training, where it is not 1.
      decay: of the weights, at each gradient step of deployment and times the learning rate.
    """

    factor: str
    label: str
    settings: Mapping[str, Any] = MappingProxyType({})
    possible: float = 1.0
    decay: float = 0.0

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"{self.factor}: {self.label}"


def _of(factor: str, setting: str, *values: Any) -> list[Level]:
    labels = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return [Level(factor, label, {setting: value}) for label, value in zip(labels, values, strict=True)]


def _natural() -> dict[str, Any]:
    return {"agent.kind": "npg", "agent.learning_rate": 0.1, "agent.largest_step": 0.01}


def training_steps(scenario: str) -> int:
    """Gradient steps of training of the base."""
    plain = rs.load(scenario)
    return int(OWN.get(scenario, {}).get("training.steps", plain(**plain.defaults).training.steps))


def levels(scenario: str) -> list[Level]:
    """Every level of every factor, the base first."""
    plain = rs.load(scenario)
    made, steps = plain(**plain.defaults), training_steps(scenario)
    telling = []
    if "alpha" in plain.defaults:
        telling = _of("training levels that tell", "env.alpha", 0.001, 0.01)
        telling.append(Level("deployment levels where possible", "a quarter", possible=0.25))
    found = [
        Level("base", BASE),
        Level("learner", "REINFORCE", {"agent.kind": "reinforce"}),
        Level("learner", "PPO", {"agent.kind": "ppo", "agent.entropy": 0.02}),
        Level("learner", "natural gradient", _natural()),
        Level("learner", "DQN", {"agent.kind": "dqn"}),
        Level("learner", "DQN, replay cleared", {"agent.kind": "dqn", "agent.replay_in_deployment": "clear"}),
        Level("baseline", "none (REINFORCE)", {"agent.kind": "reinforce", "agent.baseline": 0.0}),
        Level("optimizer online", "SGD at 0.1", {"online.optimizer": "sgd", "online.learning_rate": 0.1}),
        Level("optimizer online", "RMSprop", {"online.optimizer": "rmsprop", "online.learning_rate": 1e-3}),
        Level("optimizer online", "Lion at 1e-4", {"online.optimizer": "lion", "online.learning_rate": 1e-4}),
        Level("optimizer state", "kept", {"online.reset_optimizer": False}),
        *_of("learning rate online", "online.learning_rate", 1e-4, 3e-4, 3e-3, 1e-2),
        Level("normalised advantages", "yes", {"agent.normalise_advantages": True}),
        *_of("entropy online", "online.entropy", 0.0, 0.1),
        *_of("KL anchor", "treatment.kl_anchor", 0.03, 0.3),
        *_of("cross-entropy anchor", "treatment.cross_entropy_anchor", 0.03, 0.3),
        *_of("L2 anchor", "treatment.l2_anchor", 1e-3, 1e-2),
        *_of("EWC", "treatment.ewc", 1.0, 100.0),
        *_of("rehearsal", "treatment.rehearsal", 0.1, 1.0),
        *_of("frozen layers", "treatment.frozen_layers", 1, 2),
        *_of("low rank", "treatment.low_rank", 1, 8),
        *_of("shrink and perturb", "treatment.shrink_perturb", 0.5),
        Level("weight decay online", "1", decay=1.0),
        Level("weight decay online", "10", decay=10.0),
        *_of("width", "agent.width", 16, 256),
        *_of("depth", "agent.layers", 1, 4),
        *(
            Level("training length", label, {"training.steps": round(times * steps)})
            for label, times in (("half", 0.5), ("twice", 2), ("four times", 4))
        ),
        *telling,
        Level("feedback", "bonus of 1", {"overseer.penalty": 0.0, "overseer.bonus": 1.0}),
        Level("penalty", "0.3", {"overseer.penalty": 0.3}),
        Level("penalty", "3", {"overseer.penalty": 3.0}),
        Level("coverage", "a quarter", {"overseer.coverage": 0.25}),
    ]
    if made.demonstrate is not None:
        found.append(Level("feedback", "demonstration", {"overseer.feedback": "demonstration"}))
    return found


class Decaying:
    """An optimizer whose weights decay: Adam with decoupled decay (Loshchilov and Hutter 2019)."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def __call__(self, learning_rate: Array | float) -> optax.GradientTransformation:
        """The transformation at a learning rate."""
        return optax.adamw(learning_rate, weight_decay=self.decay)


def variant(scenario: str, possible: float, decay: float) -> ScenarioFactory:
    """A bundled scenario with fewer deployment levels in which it is possible, or with weights that decay."""
    plain = rs.load(scenario)
    if possible == 1 and decay == 0:
        return plain

    def build(**values: Any) -> rs.Scenario:
        made = plain(**values)

        def mixed(training: Tree, deployment: Tree) -> Tree:
            return jax.tree.map(lambda a, b: (1 - possible) * a + possible * b, training, deployment)

        return dataclasses.replace(
            made,
            deployment_levels=mixed(made.training_levels, made.deployment_levels),
            online=dataclasses.replace(made.online, optimizer=Decaying(decay)) if decay else made.online,
        )

    build.__signature__ = inspect.signature(plain.build)  # pyright: ignore[reportFunctionMemberAccess]
    build.__name__ = f"{scenario}_{possible:g}_{decay:g}".replace(".", "_")
    build.__doc__ = plain.claim
    return rs.scenario(build)


Members = list[tuple[Level, dict[str, Any]]]
"""The levels of a sweep, each with the values of what is swept."""


def sweeps(
    scenario: str, chosen: Sequence[Level], common: Mapping[str, Any], seeds: int
) -> dict[str, tuple[rs.Sweep, Members]]:
    """Sweeps that hold a configuration for each level, by a name for their folders.

    A sweep lists every setting that any of its levels changes, so learners, which have other settings, have their own.
    """
    groups: dict[tuple[float, float, str], list[Level]] = defaultdict(list)
    for level in chosen:
        groups[level.possible, level.decay, level.settings.get("agent.kind", "")].append(level)
    found = {}
    for (possible, decay, kind), members in groups.items():
        factory = variant(scenario, possible, decay)
        varied = list(dict.fromkeys(name for level in members for name in level.settings if name != "agent.kind"))
        defaults = (
            names(factory) | OWN.get(scenario, {}) | (flat({"agent": find("learner", kind, {})()}) if kind else {})
        )
        points = [{name: level.settings.get(name, defaults[name]) for name in varied} for level in members]
        over = {name: [point[name] for point in points] for name in varied}
        fixed = {name: value for name, value in OWN.get(scenario, {}).items() if name not in over}
        settings = {**common, **fixed, **({"agent.kind": kind} if kind else {})}
        sweep = rs.Sweep(factory, over=over, seeds=seeds, settings=settings, design="zip")
        found[f"{possible:g}-{decay:g}-{kind or 'base'}"] = sweep, list(zip(members, points, strict=True))
    return found


class Dimension(NamedTuple):
    """A factor of the Saltelli design: from `low` to `high`, evenly on a logarithmic scale."""

    setting: str
    low: float
    high: float
    whole: bool = False

    def at(self, share: float) -> float | int:
        """The value at a share in [0, 1] of the way."""
        value = self.low * (self.high / self.low) ** share
        return round(value) if self.whole else value


def dimensions(scenario: str) -> list[Dimension]:
    """The factors of the design; all but the length of training are of deployment alone, so agents are shared."""
    steps = training_steps(scenario)
    return [
        Dimension("online.learning_rate", 1e-4, 1e-2),
        Dimension("online.entropy", 1e-3, 0.1),
        Dimension("treatment.kl_anchor", 1e-3, 0.1),
        Dimension("treatment.l2_anchor", 1e-5, 1e-3),
        Dimension("overseer.penalty", 0.3, 3.0),
        Dimension("overseer.coverage", 0.25, 1.0),
        Dimension("training.steps", steps / 2, 2 * steps, whole=True),
    ]
