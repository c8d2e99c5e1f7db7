"""Who is responsible for a failure: the deployment's feedback, the training's, or neither? (theory C)

The case and what might have prevented it are run as one resumable plan: each lever is a sweep of one configuration in
its own folder, which grows by seeds until the tree of :mod:`robustsim.analysis.tree` is sure of its label.
"""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from robustsim import api, files, levers
from robustsim.analysis import evidence, tree
from robustsim.analysis.gains import gain, shapley
from robustsim.analysis.measures import bounded
from robustsim.analysis.verdict import DELTA
from robustsim.arguments import whole
from robustsim.errors import RunsFailed, UserError
from robustsim.report import attributed
from robustsim.results import to_json
from robustsim.sim.returns import return_range
from robustsim.spec import families
from robustsim.spec.families import Lever
from robustsim.spec.loading import load
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings, flatten, resolve
from robustsim.sweep.axes import MOST_SEEDS
from robustsim.sweep.execution import Execution, Narrate

COST = 2.0  # the largest penalty, in ranges of training returns
CONFIDENCE = 0.9
SEEDS = 8
FILE = "attribution.json"
NONE = "none of them"  # the node where no question is answered with yes


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On what terms a failure is attributed.

    Attributes:
      seeds: agents of each lever to begin with; doubled where the label needs it.
      max_seeds: the most of that.
      delta: share of runs that may fail although something "prevents" the failure.
      confidence: posterior probability that a label needs.
      cost: the largest penalty, in ranges of training returns; by default 2, or what the case's own penalty needs.
      full: whether to run every lever, for the gains in decades and each family's share of them.
    """

    seeds: int = SEEDS
    max_seeds: int = 256
    delta: float = DELTA
    confidence: float = CONFIDENCE
    cost: float | None = None
    full: bool = False

    def check(self) -> None:
        """Raises UserError where one of them is not allowed."""
        whole("seeds", self.seeds, 1, MOST_SEEDS)
        whole("max_seeds", self.max_seeds, self.seeds, MOST_SEEDS)
        for name, low, high in (("delta", 0, 1), ("confidence", 0.5, 1)):
            value = getattr(self, name)
            if not low < value < high:
                raise UserError(f"{name}: {value!r} is not allowed; use a number between {low} and {high}")
        if self.cost is not None and not (math.isfinite(self.cost) and self.cost > 0):
            raise UserError(f"cost: {self.cost!r} is not allowed; use a number above 0")


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """The answer, with what it rests on.

    Attributes:
      scenario: its name; `settings` what differs from its defaults.
      label: one of the labels of the tree; "undetermined(a|b)" where the seeds ran out.
      confidence: the posterior probability of the label, or of the more probable of both.
      node: the question that gave it.
      flags: what else was found, in words, by name.
      path: each node up to there: {node, yes, tests: {name: [hits, runs, least share]}}.
      shares: the probability of each label.
      levers: what was tried, by name. {said, settings}: what it is; {runs, failed, in_time}: how many ran, had no
        competent agent, were in time; prevents: the probability that it prevents the failure; k50: the median harm
        until the removal; gain: log10(k50 of the case / k50 of the lever), decades.
      contributions: of feedback in deployment, feedback in training and other levels to their gain together (Shapley
        1953), in decades; None where a gain is not identified, or not every lever was run.
      delta, threshold, horizon, cost, largest_penalty: share of runs that may fail, k, gradient steps, ranges of
        training returns, and what those come to.
    """

    scenario: str
    settings: dict[str, Any]
    label: str
    confidence: float
    node: str
    flags: dict[str, str]
    path: list[dict[str, Any]]
    shares: dict[str, float]
    levers: dict[str, dict[str, Any]]
    delta: float
    threshold: float | None
    horizon: int
    cost: float
    largest_penalty: float
    contributions: dict[str, float] | None = None

    def in_words(self) -> str:
        """What happened, what would have prevented it and what would not have: for a colleague."""
        return attributed.in_words(asdict(self))

    def __str__(self) -> str:
        return self.in_words()

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, as `attribution.json` has it."""
        return asdict(self)


def attribute(
    scenario: str | ScenarioFactory,
    *,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    terms: Terms = Terms(),
    execution: Execution = Execution(),
    narrate: Narrate | None = None,
) -> Attribution:
    """Says who is responsible for a failure, and what would have prevented it.

    Args:
      scenario: what `load` returns or takes.
      settings: dotted names with values that differ from the scenario's defaults.
      out: directory for all runs. What is finished there is kept, so the same call resumes after an interruption.
      terms: how sure a label has to be, and what the levers may cost.
      execution, narrate: as in :func:`robustsim.run`.

    Raises:
      UserError: bad input. RunsFailed: agents of the case itself cannot be deployed.
    """
    factory, changes = load(scenario), dict(settings or {})
    case = resolve(factory, changes)
    changes = {name: flatten(case)[name] for name in changes}  # of the types that they have
    terms.check()
    families.check_case(case, math.inf, COST)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory())) / "attribution" if out is None else Path(out)
        how = {"execution": execution, "narrate": narrate}
        search = _Search(factory=factory, changes=changes, case=case, folder=folder, delta=terms.delta, how=how)
        search.grow(levers.ACTUAL, terms.seeds)
        search.choose(terms.cost)
        while True:
            exhausted = frozenset(name for name, n in search.seeds.items() if n >= terms.max_seeds)
            name = tree.next_test(search.nodes, search.tests, _tests_in(exhausted, search.nodes), terms.confidence)
            if name is None:
                break
            lever = evidence.lever_of(name)
            search.grow(lever, min(max(2 * search.seeds.get(lever, 0), terms.seeds), terms.max_seeds))
        if terms.full:
            search.complete(terms.seeds)
        found = search.finish(terms.confidence, terms.seeds)
        if out is not None:
            files.write_atomically(folder / FILE, (to_json(found.to_dict()) + "\n").encode())
    return found


def _tests_in(exhausted: frozenset[str], nodes: tuple[tree.Node, ...]) -> frozenset[str]:
    """The tests that no more runs can be had for."""
    return frozenset(name for node in nodes for name in node.tests if evidence.lever_of(name) in exhausted)


@dataclass
class _Search:
    """What was run so far, and what it says."""

    factory: ScenarioFactory
    changes: dict[str, Any]
    case: Settings
    folder: Path
    delta: float
    how: dict[str, Any]
    levers: dict[str, Lever] = field(default_factory=dict)
    nodes: tuple[tree.Node, ...] = ()
    cost: float = COST
    strong: float = 0.0
    seeds: dict[str, int] = field(default_factory=dict)
    runs: dict[str, pl.DataFrame] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    tests: dict[str, tree.Share] = field(default_factory=dict)

    def choose(self, cost: float | None) -> None:
        """Chooses the families: the largest penalty is a number of ranges of training returns."""
        own, self.cost = families.own_penalty(self.case), COST if cost is None else cost
        kept = (files.cache_folder() / "agents", self.folder / levers.ACTUAL / "agents")
        reach = self.cost * return_range(self.factory, self.case, kept)
        self.strong = max(own, _rounded(reach)) if cost is None else _rounded(reach)
        families.check_case(self.case, self.strong, self.cost)
        self.levers = families.families(self.factory, self.case, self.changes, self.strong)
        self.nodes = evidence.tree_of(self.levers)

    def grow(self, name: str, seeds: int) -> None:
        """Brings a lever to so many seeds; what is in its folder is kept."""
        changes = self.levers[name].changes if self.levers else self.changes
        execution = self.how["execution"]
        anew = execution.overwrite and name not in self.seeds
        if not anew:
            seeds = max(seeds, api.grown_to(self.folder / name, MOST_SEEDS))
        how = {**self.how, "execution": replace(execution, overwrite=anew)}
        sweep = api.Sweep(self.factory, {}, seeds=seeds, settings=changes)
        try:
            results = sweep.run(self.folder / name, **how)
        except RunsFailed as error:
            results = error.results
            if results is None or (name == levers.ACTUAL and results.runs.is_empty()):
                raise
        self.seeds[name], self.failed[name] = seeds, len(results.failed)
        self.runs[name] = results.runs
        actual, flat = self.runs[levers.ACTUAL], flatten(self.case)
        self.tests |= evidence.tests_of(name, results.runs, len(results.failed), actual, flat, self.delta)

    def complete(self, seeds: int) -> None:
        """Runs every lever that was not needed for the label."""
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

    def finish(self, confidence: float, seeds: int) -> Attribution:
        """The answer."""
        found = tree.answer(self.nodes, self.tests)
        label = found.label
        if found.confidence < confidence:
            label = f"undetermined({'|'.join(sorted(list(found.shares)[:2]))})"
        gave = [node.name for node in self.nodes if node.label == found.label and found.yes[node.name] > tree.HALF]
        node = gave[0] if gave else NONE
        if label == tree.INNER and node == NONE:
            self._price(seeds)
        chances = {name: tree.probability(name, self.tests) for name in self.runs if name in self.tests}
        flags = evidence.flags_of(found.label, node, self.runs, chances)
        flat = flatten(self.case)
        return Attribution(
            scenario=self.factory.name,
            settings=self.changes,
            label=label,
            confidence=found.confidence,
            node=node,
            flags=flags,
            path=self._path(found, node),
            shares=found.shares,
            levers={name: self._tried(name, chances) for name in self.runs},
            delta=self.delta,
            threshold=flat.get("catastrophe.threshold"),
            horizon=self.case.deployment.budget,
            cost=self.cost,
            largest_penalty=self.strong,
            contributions=self._contributions(),
        )

    def _price(self, seeds: int) -> None:
        """How many other training levels would have prevented it: the least share that does."""
        for name in levers.LEVELS:
            n = seeds
            while name in self.levers and n <= max(32, seeds):
                self.grow(name, n)
                chance = tree.probability(name, self.tests)
                if not 1 - tree.DECIDED < chance < tree.DECIDED:
                    break
                n *= 2
            if name in self.tests and tree.probability(name, self.tests) >= tree.DECIDED:
                return

    def _path(self, found: tree.Answer, last: str) -> list[dict[str, Any]]:
        path = []
        for node in self.nodes:
            asked = {name: list(self.tests[name]) for name in node.tests if name in self.tests}
            path.append({"node": node.name, "yes": found.yes[node.name], "tests": asked})
            if node.name == last:
                break
        return path

    def _tried(self, name: str, chances: dict[str, float]) -> dict[str, Any]:
        lever, alone = self.levers[name], (levers.ACTUAL, levers.REFERENCE)
        return {
            "said": lever.said,
            "settings": {key: _plain(value) for key, value in lever.changes.items()},
            "runs": len(self.runs[name]),
            "failed": self.failed[name],
            "in_time": self.tests[name].hits if name in self.tests else None,
            "prevents": chances.get(name),
            "k50": bounded(self.runs[name], "harm"),
            "gain": None if name in alone else gain(self.runs[levers.ACTUAL], self.runs[name]),
        }


def _rounded(x: float) -> float:
    """To two digits: a penalty that can be written down."""
    return float(f"{x:.2g}")


def _plain(value: Any) -> Any:
    """A setting as JSON has it, and as it can be set again."""
    return str(value) if isinstance(value, float) and math.isinf(value) else value
