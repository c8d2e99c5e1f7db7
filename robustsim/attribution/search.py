"""What an attribution has run so far, and what it says: one lever after the other grows until a label is sure."""

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from robustsim import api, files, levers
from robustsim.analysis import evidence, tree
from robustsim.analysis.gains import gain, shapley
from robustsim.analysis.measures import bounded
from robustsim.analysis.spectrum import middle
from robustsim.attribution.answer import Attribution
from robustsim.attribution.terms import COST
from robustsim.errors import RunsFailed
from robustsim.sim.agents import is_finding
from robustsim.sim.returns import return_range
from robustsim.spec import families
from robustsim.spec.families import Lever
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings, flatten
from robustsim.sweep.axes import MOST_SEEDS

NONE = "none of them"  # the node where no question is answered with yes


@dataclass
class Search:
    """What was run so far, and what it says."""

    factory: ScenarioFactory
    changes: dict[str, Any]
    case: Settings
    folder: Path
    delta: float
    first: int
    how: dict[str, Any]
    levers: dict[str, Lever] = field(default_factory=dict)
    nodes: tuple[tree.Node, ...] = ()
    cost: float | None = COST
    strong: float = 0.0
    seeds: dict[str, int] = field(default_factory=dict)
    runs: dict[str, pl.DataFrame] = field(default_factory=dict)
    failed: dict[str, frozenset[int]] = field(default_factory=dict)
    tests: dict[str, tree.Share] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def choose(self, cost: float | None) -> None:
        """Chooses the families: the largest penalty is a number of ranges of training returns."""
        own, wanted = families.own_penalty(self.case), COST if cost is None else cost
        kept = (files.cache_folder() / "agents", self.folder / levers.ACTUAL / "agents")
        reach = return_range(self.factory, self.case, kept)
        self.strong = _rounded(wanted * reach)
        if cost is None and self.strong < own:
            self.strong, self.cost = own, _rounded(own / reach) if reach else None
        else:
            self.cost = wanted
        families.check_case(self.case, self.strong, wanted)
        self.levers = families.families(self.factory, self.case, self.changes, self.strong)
        self.nodes = evidence.tree_of(self.levers, self.runs[levers.ACTUAL]["reference_learned"].is_not_null().any())

    def grow(self, name: str, seeds: int) -> None:
        """Brings a lever to so many seeds, or leaves it at more; of what its folder holds only those are looked at."""
        seeds = max(seeds, self.seeds.get(name, 0))
        changes = self.levers[name].changes if self.levers else self.changes
        execution = self.how["execution"]
        anew = execution.overwrite and name not in self.seeds
        there = 0 if anew else api.grown_to(self.folder / name, MOST_SEEDS)
        how = {**self.how, "execution": replace(execution, overwrite=anew)}
        numbers = range(self.first, self.first + max(seeds, there))
        try:
            results = api.Sweep(self.factory, {}, seeds=numbers, settings=changes).run(self.folder / name, **how)
        except RunsFailed as error:
            results = error.results
            if results is None or not all(map(is_finding, results.failed["why"])):
                raise
            if name == levers.ACTUAL and results.runs.is_empty():
                raise
        asked = pl.col("seed") < self.first + seeds
        failed = frozenset(seed for seed in results.failed["seed"] if seed < self.first + seeds)
        self.seeds[name], self.failed[name], self.runs[name] = seeds, failed, results.runs.filter(asked)
        if failed and self._trains(name) and self.seeds[levers.ACTUAL] < seeds:
            self.grow(levers.ACTUAL, seeds)  # would those agents have become competent without the lever?
        self._judge()

    def _judge(self) -> None:
        """What all runs so far say; those of the case are what the others are held against."""
        actual, case = self.runs[levers.ACTUAL], flatten(self.case)
        for name, runs in self.runs.items():
            self.tests |= evidence.tests_of(name, runs, len(self.charged(name)), actual, case, self.delta)

    def _trains(self, name: str) -> bool:
        """Whether a lever trains agents anew, with the task before them that the case has."""
        own = self.levers[name].changes if self.levers else self.changes
        anew = {key: x for key, x in own.items() if key.startswith(("training.", "env."))}
        return name != levers.REFERENCE and not anew.items() <= self.changes.items()

    def charged(self, name: str) -> frozenset[int]:
        """The seeds whose agents a lever kept from becoming competent; others that are not are no runs of the case."""
        return self.failed[name] - self.failed[levers.ACTUAL] if self._trains(name) else frozenset()

    def complete(self, seeds: int) -> None:
        """Runs every lever that was not needed for the label, and less and less of the best ones."""
        online = levers.STRONG if levers.STRONG in self.levers else levers.BEST
        less = families.coverages(online, self.levers[online])
        if levers.REWARDS_BEST in self.levers:
            steps = self.case.training.steps
            less |= families.starts(levers.REWARDS_BEST, self.levers[levers.REWARDS_BEST], steps)
        self.levers = less | self.levers
        for name in self.levers:
            if name not in self.runs and name != levers.REFERENCE:
                self.grow(name, seeds)

    def _contributions(self) -> dict[str, float] | None:
        """Each family's share of the gain of all of them together; None where a gain is not identified."""
        online = levers.STRONG if levers.STRONG in self.levers else levers.BEST
        names = {some: online if name == levers.STRONG else name for some, name in levers.SETS.items()}
        actual = self.runs[levers.ACTUAL]
        gains = {some: gain(actual, self.runs[name])["estimate"] for some, name in names.items() if name in self.runs}
        return shapley(gains) if len(gains) > 1 else None

    def conclude(self, confidence: float) -> tuple[tree.Answer, str, str]:
        """(what the tree says, the label, the question that gave it)."""
        found = tree.answer(self.nodes, self.tests)
        label = found.label
        if found.confidence < confidence or label == tree.OPEN:
            label = f"undetermined({'|'.join(sorted(list(found.shares)[:2]))})"
        gave = [node.name for node in self.nodes if node.label == found.label and found.yes[node.name] > tree.HALF]
        return found, label, gave[0] if gave else NONE

    def finish(self, found: tree.Answer, label: str, node: str, cheapest: str | None) -> Attribution:
        """The answer."""
        chances = {name: tree.probability(name, self.tests) for name in self.runs if name in self.tests}
        return Attribution(
            scenario=self.factory.name,
            settings={key: plain(value) for key, value in self.changes.items()},
            label=label,
            confidence=found.confidence,
            node=node,
            flags={} if label != found.label else evidence.flags_of(label, node, self.runs, cheapest, self.delta),
            cheapest=cheapest,
            path=self._path(found, node),
            shares=found.shares,
            levers={name: self._tried(name, chances) for name in self.runs},
            delta=self.delta,
            threshold=float(self.case.catastrophe.stakes),
            horizon=self.case.deployment.budget,
            cost=self.cost,
            largest_penalty=self.strong,
            contributions=self._contributions(),
            seconds=time.monotonic() - self.began,
        )

    def _path(self, found: tree.Answer, last: str) -> list[dict[str, Any]]:
        names = [node.name for node in self.nodes]
        asked = names.index(last) + 1 if last in names else len(names)
        path = []
        for i, node in enumerate(self.nodes):
            made = {name: list(self.tests[name]) for name in node.tests if name in self.tests and i < asked}
            yes = found.yes[node.name] if i < asked else None
            path.append({"node": node.name, "label": node.label, "yes": yes, "tests": made})
        return path

    def _tried(self, name: str, chances: dict[str, float]) -> dict[str, Any]:
        lever, runs, alone = self.levers[name], self.runs[name], (levers.ACTUAL, levers.REFERENCE)
        return {
            "said": lever.said,
            "settings": {key: plain(value) for key, value in lever.changes.items()},
            "runs": len(runs),
            "failed": len(self.failed[name]),
            "in_time": self.tests[name].hits if name in self.tests else None,
            "judged": self.tests[name].runs if name in self.tests else None,
            "prevents": chances.get(name),
            "k50": bounded(runs, "harm"),
            "feedback": middle(runs.with_columns(cost=pl.col("feedback_cost") + pl.col("training_feedback")), "cost"),
            "gain": None if name in alone else gain(self.runs[levers.ACTUAL], runs),
        }


def _rounded(x: float) -> float:
    """To two digits: a penalty that can be written down."""
    return float(f"{x:.2g}")


def plain(value: Any) -> Any:
    """A setting as JSON has it, and as it can be set again, where it is no object of Python's."""
    kept = value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
    return value if kept else str(value)
