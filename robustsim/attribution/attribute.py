"""Who is responsible for a failure: the deployment's feedback, the training's, or neither?"""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from robustsim import levers
from robustsim.analysis import evidence, tree
from robustsim.attribution import prices
from robustsim.attribution.answer import Attribution
from robustsim.attribution.search import Search
from robustsim.attribution.terms import COST, Terms
from robustsim.spec import families
from robustsim.spec.loading import load
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import flatten, resolve
from robustsim.sweep.execution import Execution, Narrate


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
    flat = flatten(case)  # of the types that they have; objects of Python's as they are
    changes = {name: flat[name] if isinstance(x, str | int | float) else x for name, x in changes.items()}
    terms.check()
    families.check_case(case, math.inf, COST)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory())) / "attribution" if out is None else Path(out)
        how = {"execution": execution, "narrate": narrate}
        about = {"delta": terms.delta, "first": terms.first_seed, "how": how}
        search = Search(factory=factory, changes=changes, case=case, folder=folder, **about)
        search.grow(levers.ACTUAL, terms.seeds)
        search.choose(terms.cost)
        while True:
            exhausted = frozenset(name for name, n in search.seeds.items() if n >= terms.max_seeds)
            name = tree.next_test(search.nodes, search.tests, _tests_in(exhausted, search.nodes), terms.confidence)
            if name is None:
                break
            lever = evidence.lever_of(name)
            search.grow(lever, min(max(2 * search.seeds.get(lever, 0), terms.seeds), terms.max_seeds))
        found, label, node = search.conclude(terms.confidence)
        cheapest = prices.price(search, label, node, terms.seeds) if label == found.label else None
        if terms.full:
            search.complete(terms.seeds)
        answer = search.finish(found, label, node, cheapest)
        if out is not None:
            answer.write(folder)
    return answer


def _tests_in(exhausted: frozenset[str], nodes: tuple[tree.Node, ...]) -> frozenset[str]:
    """The tests that no more runs can be had for."""
    grown = frozenset(name for node in nodes for name in node.tests if evidence.lever_of(name) in exhausted)
    return grown | evidence.FROZEN
