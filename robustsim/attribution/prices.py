"""What would have been enough: the least of the levers of the kind that prevents a failure.

No order is assumed: with false positives, an entropy bonus or little sharing, more feedback can be worse. So the
candidates are tried from the least on, and the first that passes a screening and holds up on further seeds is the
answer; if none does, it is the lever that gave the label.
"""

from robustsim import levers
from robustsim.analysis import evidence, tree
from robustsim.analysis.tree import Share
from robustsim.attribution.search import NONE, Search
from robustsim.spec import families
from robustsim.spec.families import Lever

FRESH = 32  # runs with other seeds that have to confirm a candidate, or twice as many
LATER = {levers.REWARDS: (levers.REWARDS_LATE,), levers.REWARDS_BEST: (levers.REWARDS_LATE_BEST,)}
LATEST = (levers.REWARDS_LATE, levers.REWARDS_LATE_BEST)


def price(search: Search, label: str, node: str, seeds: int) -> str | None:
    """The name of the least lever that would have prevented a failure; None: none of them, or nothing to prevent.

    Args:
      search: with the label of the case, and the `node` that gave it.
      seeds: with which candidates are screened.
    """
    if node == NONE and label == tree.INNER:
        table, winner = {name: search.levers[name] for name in levers.LEVELS if name in search.levers}, None
    elif node == evidence.BY_DEPLOYMENT:
        winner = _winner(search, levers.IN_DEPLOYMENT)
        table = families.coverages(winner, search.levers[winner])
    elif node == evidence.BY_TRAINING:
        winner = _winner(search, levers.IN_TRAINING)
        table = _earlier(search, winner)
    else:
        return None
    search.levers |= table
    return next((name for name in table if _holds_up(search, name, seeds)), winner)


def _winner(search: Search, names: tuple[str, ...]) -> str:
    """The lever of a kind that most probably prevents the failure."""
    tried = [name for name in names if name in search.runs]
    return max(tried, key=lambda name: tree.probability(name, search.tests))


def _earlier(search: Search, winner: str) -> dict[str, Lever]:
    """Feedback in training that begins as late as can be, and then earlier and earlier."""
    if winner in LATEST:
        return {}
    late = {name: search.levers[name] for name in LATER.get(winner, ())}
    return late | families.starts(winner, search.levers[winner], search.case.training.steps)


def _holds_up(search: Search, name: str, seeds: int) -> bool:
    """Whether a candidate passes a screening, and is then confirmed by other seeds."""
    search.grow(name, seeds)
    if tree.probability(name, search.tests) <= 1 - tree.DECIDED:
        return False
    for fresh in (FRESH, 2 * FRESH):
        search.grow(name, seeds + fresh)
        chance = tree.chance(_others(search, name, seeds))
        if not 1 - tree.DECIDED < chance < tree.DECIDED:
            break
    return chance >= tree.DECIDED


def _others(search: Search, name: str, seeds: int) -> Share:
    """How often a lever prevented the failure with the seeds that come after the first ones."""
    begin, runs = search.first + seeds, search.runs[name]
    fresh = runs["seed"] >= begin
    spoiled = sum(seed >= begin for seed in search.charged(name))
    good = evidence.prevented(runs, search.runs[levers.ACTUAL]) & fresh
    return Share(int(good.sum()), int(fresh.sum()) + spoiled, 1 - search.delta)
