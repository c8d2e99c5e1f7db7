"""What a sweep consists of, before anything runs: configurations times seeds, in groups and shards.

A group shares one compiled program. A shard is the unit of work and of storage: a fixed set of runs of one group.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import jax

from robustsim import numerics
from robustsim.arguments import whole
from robustsim.errors import UserError
from robustsim.fields import typed
from robustsim.sim import agents, batched, reference
from robustsim.sim.follow import Demand, demand_of
from robustsim.spec import twins
from robustsim.spec.loading import load
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import (
    Run,
    Settings,
    check_together,
    declared_as,
    env_values,
    flatten,
    for_training,
    resolve,
)
from robustsim.sweep import axes
from robustsim.sweep.axes import Design
from robustsim.sweep.store import KINDS

SHARDS = 16  # a sweep is cut into about this many shards at least, so that several workers finish together
NARROW, WIDE = (8, 64), (256, 4096)  # fewest and most runs of a shard, for runs in turn and side by side


TRAIN, REFERENCE, DEPLOY = "train", "reference", "deploy"
NAMES = {TRAIN: "train", REFERENCE: "reference", DEPLOY: "shard"}


@dataclasses.dataclass(frozen=True)
class Shard:
    """A unit of work, and for deployments of storage.

    Attributes:
      kind: DEPLOY, some runs of one group; TRAIN, the agents that they start from, each named by one of its runs; or
        REFERENCE, one set of reference agents, named by one of the runs that are held against it.
      runs: by their index in the plan.
    """

    kind: str
    index: int
    runs: tuple[int, ...]

    @property
    def name(self) -> str:
        """The name under which its files are kept."""
        return f"{NAMES[self.kind]}-{self.index:05d}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep: run `i` is configuration `i // len(seeds)` with seed `seeds[i % len(seeds)]`.

    Attributes:
      spec: how a worker loads the scenario.
      settings: dotted names with one value for all.
      over: dotted names that are swept.
      shard_size: runs in a shard; 0 chooses.
    """

    factory: ScenarioFactory
    spec: str
    settings: Mapping[str, Any]
    over: axes.Axes
    design: Design
    seeds: tuple[int, ...]
    shard_size: int = 0

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """What each configuration sets beyond `settings`."""
        counts = {name for name in self.over if self._declared(name).get("type") is int}
        return axes.points(self.over, self.settings, self.design, counts)

    def _declared(self, name: str) -> Mapping[str, Any]:
        return declared_as(self.factory, name, kinds_of(self.settings, self.over))

    @cached_property
    def kinds(self) -> dict[str, Any]:
        """The polars type of each swept column."""

        def kind(meta: Mapping[str, Any]) -> Any:
            return KINDS[meta["type"] if "type" in meta else type(meta["options"][0]) if "options" in meta else str]

        return {name: kind(self._declared(name)) for name in self.over}

    @property
    def swept(self) -> tuple[str, ...]:
        """The dotted names that are swept."""
        return tuple(self.over)

    def __len__(self) -> int:
        return len(self.points) * len(self.seeds)

    @cached_property
    def _resolved(self) -> Any:
        @lru_cache(maxsize=1024)  # memory stays flat however many configurations wait
        def resolved(point: int) -> Settings:
            return resolve(self.factory, {**self.settings, **self.points[point]}, trusted=True)

        return resolved

    def about(self, index: int) -> dict[str, Any]:
        """What tells a run from the others: the values of the swept names, and its seed."""
        point, position = divmod(index, len(self.seeds))
        return {**{n: axes.plain(v) for n, v in self.points[point].items()}, "seed": self.seeds[position]}

    def run(self, index: int) -> Run:
        """One run by its index."""
        point, position = divmod(index, len(self.seeds))
        return Run(self._resolved(point), self.seeds[position])

    @cached_property
    def groups(self) -> list[tuple[int, ...]]:
        """Runs that share a compiled program; in a group, runs of one agent are next to each other."""
        members: dict[Any, list[int]] = {}
        for point in range(len(self.points)):
            members.setdefault(structure(self._resolved(point)), []).append(point)
        table = []
        for found in members.values():
            by_training: dict[str, list[int]] = {}
            for point in found:
                by_training.setdefault(self._training_hashes[point], []).append(point)
            table.append(
                tuple(
                    point * len(self.seeds) + position
                    for similar in by_training.values()
                    for position in range(len(self.seeds))
                    for point in similar
                )
            )
        return table

    @cached_property
    def size(self) -> int:
        """Runs in a shard."""
        if self.shard_size:
            return self.shard_size
        least, most = WIDE if batched.side_by_side(self._resolved(0)) else NARROW
        return min(max(-(-len(self) // SHARDS), least), most)

    @cached_property
    def shards(self) -> list[Shard]:
        """The groups, cut into pieces of the shard size."""
        pieces = [group[i : i + self.size] for group in self.groups for i in range(0, len(group), self.size)]
        return [Shard(DEPLOY, i, piece) for i, piece in enumerate(pieces)]

    def agent_name(self, index: int) -> str:
        """The name of the agent that a run starts from."""
        return agents.name_of(*self.training_of(index), self.demand(index))

    def training_of(self, index: int) -> tuple[str, int]:
        """(the hash, the seed) of the training of a run's agent; agents of one training are on one way."""
        point, position = divmod(index, len(self.seeds))
        return self._training_hashes[point], self.seeds[position]

    def demand(self, index: int) -> Demand:
        """Which of the agents on that way a run starts from."""
        return demand_of(self._resolved(index // len(self.seeds)))

    @cached_property
    def _training_hashes(self) -> list[str]:
        return [agents.training_hash(self.factory, self._resolved(point)) for point in range(len(self.points))]

    @cached_property
    def trainings(self) -> list[Shard]:
        """The agents of all runs, in pieces; those of one training, with all its steps, are in one piece."""
        first: dict[tuple[str, int], dict[Demand, int]] = {}
        for group in self.groups:
            for index in group:
                if self.demand(index).steps:  # an agent without training is made where it is needed
                    first.setdefault(self.training_of(index), {}).setdefault(self.demand(index), index)
        groups: dict[Any, list[tuple[int, ...]]] = {}
        for wanted in first.values():
            indices = tuple(wanted.values())
            groups.setdefault(structure(for_training(self.run(indices[0]).settings)), []).append(indices)
        least, most = WIDE if batched.side_by_side(self._resolved(0)) else (1, NARROW[1])
        size = min(max(-(-len(first) // SHARDS), least), most)
        pieces = [sum(group[i : i + size], ()) for group in groups.values() for i in range(0, len(group), size)]
        return [Shard(TRAIN, i, piece) for i, piece in enumerate(pieces)]

    def reference_name(self, index: int) -> str:
        """The name of the reference agents of a run; "" where it has none."""
        return self._reference_names[index // len(self.seeds)]

    @cached_property
    def _reference_names(self) -> list[str]:
        code, names = agents.code_hash(self.factory.packages), []
        for point in range(len(self.points)):
            settings = self._resolved(point)
            one_decision = self.factory(**env_values(settings)).env.outcomes is not None
            if not reference.wanted(settings, one_decision):
                names.append("")
                continue
            mine = twins.reference_settings(self.factory, settings)
            names.append(twins.reference_hash(self.factory, mine, code, reference.SEEDS))
        return names

    @cached_property
    def references(self) -> list[Shard]:
        """The sets of reference agents of all runs."""
        first: dict[str, int] = {}
        for point in range(len(self.points)):
            first.setdefault(self._reference_names[point], point * len(self.seeds))
        found = [index for name, index in first.items() if name]
        return [Shard(REFERENCE, i, (index,)) for i, index in enumerate(found)]

    def to_plain(self) -> dict[str, Any]:
        """The plan as JSON holds it; with :func:`from_plain`, how it travels to workers."""
        return {
            "spec": self.spec,
            "source_sha256": self.factory.source_hash,
            "settings": dict(self.settings),
            "over": axes.to_plain(self.over, finite=False),
            "design": dataclasses.asdict(self.design),
            "seeds": list(self.seeds),
            "shard_size": self.size,
        }

    def what(self) -> dict[str, Any]:
        """What identifies the results: a change in any of it makes other results."""
        table = flatten(self._resolved(0))
        return {
            "scenario": self.factory.name,
            "claim": self.factory.claim,
            "source_sha256": self.factory.source_hash,
            "settings": {n: axes.plain(v) for n, v in table.items() if n not in self.over},
            "swept": axes.to_plain(self.over),
            "design": dataclasses.asdict(self.design),
            "seeds": list(self.seeds),
        }


def structure(settings: Settings) -> Any:
    """What two runs must have in common to share a compiled program."""
    return jax.tree.structure(batched.as_arrays(settings))


def make_plan(
    scenario: str | ScenarioFactory,
    settings: Mapping[str, Any],
    over: axes.Axes,
    design: Design,
    seeds: int | Sequence[int],
    shard_size: int = 0,
) -> Plan:
    """A plan with everything checked.

    Raises:
      UserError: bad input.
    """
    numerics.check_backend()
    factory = load(scenario)
    if not isinstance(settings, Mapping):
        raise UserError(f"settings: {settings!r} is not allowed; use a dictionary from dotted names to values")
    fixed = {str(name): axes.plain_number(value) for name, value in settings.items()}
    listed = axes.as_lists(over)
    kinds = kinds_of(fixed, listed)
    plan = Plan(
        factory=factory,
        spec=f"{factory.source}@{factory.name}" if factory.source else "",
        settings={name: _value(factory, kinds, name, value) for name, value in fixed.items()},
        over={
            name: values if isinstance(values, axes.Range) else [_value(factory, kinds, name, v) for v in values]
            for name, values in listed.items()
        },
        design=design,
        seeds=tuple(seed_list(seeds)),
        shard_size=whole("shard_size", shard_size),
    )
    with batched.precision(plan_precision(plan)):
        for index in range(0, len(plan), len(plan.seeds)):
            check_together(factory, plan.run(index).settings)
        assert plan.groups
    return plan


def _value(factory: ScenarioFactory, kinds: Mapping[str, Sequence[str]], name: str, value: Any) -> Any:
    """A value as the type of its name, so that it has one spelling."""
    found = typed(name, value, declared_as(factory, name, kinds))
    if not isinstance(found, str | int | float | None):
        raise UserError(f"{name}: {value!r} is not allowed here; give it to the scenario's own file")
    return found


def kinds_of(settings: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """The kinds of agent, overseer and catastrophe that are set or swept."""
    swept: dict[str, Sequence[str]] = {name: values for name, values in over.items() if name.endswith(".kind")}
    return {name: [value] for name, value in settings.items() if name.endswith(".kind")} | swept


def plan_precision(plan: Plan) -> str:
    """float32 or float64, as the scenario wants it."""
    return plan.factory(**plan.factory.defaults).precision


def from_plain(table: Mapping[str, Any]) -> Plan:
    """The plan that :meth:`Plan.to_plain` wrote.

    Raises:
      UserError: the scenario's file is not the one that the plan was made with.
    """
    factory = load(table["spec"])
    if factory.source_hash != table["source_sha256"]:
        raise UserError(f"{factory.source}: has changed since the sweep began")
    return Plan(
        factory=factory,
        spec=table["spec"],
        settings=table["settings"],
        over=axes.from_plain(table["over"]),
        design=Design(**table["design"]),
        seeds=tuple(table["seeds"]),
        shard_size=table["shard_size"],
    )


def seed_list(seeds: int | Sequence[int]) -> list[int]:
    """`n` as 0 ... n-1, or the seeds as they are.

    Raises:
      UserError: none, a negative one, or one named twice.
    """
    try:
        chosen = [whole("seeds", seed, 0, 2**63 - 1) for seed in seeds]  # pyright: ignore[reportGeneralTypeIssues]
    except TypeError:  # not a list
        chosen = list(range(whole("seeds", seeds, 1, axes.MOST_SEEDS)))
    if not chosen or isinstance(seeds, str):
        raise UserError(f"seeds: {seeds!r} is not allowed; use a whole number of at least 1, or a list of seeds")
    if len(set(chosen)) != len(chosen):
        raise UserError(f"seeds: {seeds!r} names a seed twice")
    return chosen
