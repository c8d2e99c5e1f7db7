"""The families of levers that attribution searches, as settings (theory C)."""

from typing import Any, NamedTuple

from robustsim import levers as names
from robustsim.errors import UserError
from robustsim.oversight.overseer import LAST, Overseer
from robustsim.oversight.repairs import REPAIRS
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings, env_values
from robustsim.spec.twins import RANDOM_INIT, perfect_overseer

# Runs go on beyond the race: to the removal, for all harm, and until the agent does its work again (theory G.2).
NO_RELAPSE = {"deployment.stop": "catastrophe", "deployment.relapse_steps": 0}
TO_THE_END = {"deployment.patience": 100.0}
NEW = {"deployment.start": -1, "tampering.guarded": True}
LATE = 0.9  # of the training, where late feedback begins

Changes = dict[str, Any]


class Lever(NamedTuple):
    """One change of a case.

    Attributes:
      said: what it is, in words.
      changes: all settings, by dotted name, that differ from the scenario's defaults.
    """

    said: str
    changes: Changes


def families(factory: ScenarioFactory, settings: Settings, changes: Changes, strong: float) -> dict[str, Lever]:
    """Every lever that a case has, by name.

    Args:
      settings: of the case, with the `changes` from the scenario's defaults that make it.
      strong: the largest penalty.
    """
    table = _online(settings, strong) | _rewards(settings, strong) | _levels(factory, settings)
    table |= _together(settings, strong, table)
    if factory(**env_values(settings)).tampering.kind != "none":
        table[names.GUARDED] = Lever("tampering has no effect", {"tampering.guarded": True})
    levers = {name: Lever(said, {**_kept(changes, own), **NO_RELAPSE, **own}) for name, (said, own) in table.items()}
    return {names.ACTUAL: Lever("as it was", dict(changes)), **levers}


def _kept(changes: Changes, own: Changes) -> Changes:
    """What stays of a case's changes: with an overseer of another kind, nothing of its own overseer."""
    replaced = "overseer.kind" in own
    return {name: x for name, x in changes.items() if not (replaced and name.startswith("overseer."))}


def _best(settings: Settings, penalty: float) -> Changes:
    """A perfect overseer."""
    kind = {} if isinstance(settings.overseer, Overseer) else {"overseer.kind": "overseer"}
    if getattr(settings.overseer, "feedback", "") in REPAIRS:  # a penalty is what the family has
        kind |= {"overseer.feedback": "penalty"}
    return kind | perfect_overseer() | {"overseer.penalty": penalty}


COVERT = "every episode judged covertly and without error"


def _online(settings: Settings, strong: float) -> dict[str, Lever]:
    penalty, best = own_penalty(settings), _best(settings, strong)
    table = {
        names.REFERENCE: Lever(f"new agents, {COVERT}, penalty {strong:g}", TO_THE_END | RANDOM_INIT | NEW | best),
        names.BEST: Lever(f"{COVERT}, penalty {penalty:g}", _best(settings, penalty)),
    }
    if strong > penalty:
        table[names.STRONG] = Lever(f"{COVERT}, penalty {strong:g}", best)
    return table


def _rewards(settings: Settings, strong: float) -> dict[str, Lever]:
    steps = settings.training.steps
    if not steps or settings.training.signal != "reward":  # demonstrations are no rewards that could be changed
        return {}
    own, table = own_penalty(settings), {}
    variants = [(names.REWARDS, names.REWARDS_BEST, strong, 0)]
    variants += [(names.REWARDS_LATE, names.REWARDS_LATE_BEST, strong, round(LATE * steps))]
    variants += [(names.REWARDS_MILD, names.REWARDS_MILD_BEST, own, 0)] if 0 < own < strong else []
    for alone, both, penalty, since in variants:
        when = f"from step {since:,} on" if since else "from its start on"
        said, training = f"penalty {penalty:g} in training, {when}", {"training.penalty": penalty}
        training |= {"training.penalty_from": since, "training.penalty_until": LAST}
        best = _best(settings, penalty)
        table |= {alone: Lever(said, training), both: Lever(f"{said}; and in deployment {COVERT}", training | best)}
    return table


def _levels(factory: ScenarioFactory, settings: Settings) -> dict[str, Lever]:
    """Other levels in training, where the scenario can tell goal and proxy apart."""
    if "alpha" not in factory.parameters:
        return {}
    there = float(env_values(settings)["alpha"])
    return {
        name: Lever(f"{share:.0%} of other training levels", {"env.alpha": share})
        for name, share in names.LEVELS.items()
        if share > there
    }


def _together(settings: Settings, strong: float, table: dict[str, Lever]) -> dict[str, Lever]:
    """Other levels together with the other levers, where there are both."""
    if names.SOME_LEVELS not in table or names.REWARDS not in table:
        return {}
    said, levels = table[names.SOME_LEVELS]
    best = Lever(COVERT, _best(settings, strong))
    others = {
        names.LEVELS_BEST: best,
        names.LEVELS_REWARDS: table[names.REWARDS],
        names.LEVELS_BOTH: table[names.REWARDS_BEST],
    }
    return {name: Lever(f"{said}; and {other.said}", levels | other.changes) for name, other in others.items()}


def coverages(name: str, winner: Lever) -> dict[str, Lever]:
    """Feedback in deployment that sees less, the least first; `name` is that of the winner."""
    table = {}
    for share in names.COVERAGES:
        said = winner.said.replace("every episode", f"{share:.0%} of the episodes")
        table[f"{name}-{share:g}"] = Lever(said, {**winner.changes, "overseer.coverage": share})
    return table


def starts(name: str, winner: Lever, steps: int) -> dict[str, Lever]:
    """Feedback in training that begins later, the latest first.

    Args:
      name: of the winner.
      steps: of the training.
    """
    table = {}
    for share in names.STARTS:
        since = round(share * steps)
        said = f"{winner.said}, but only from step {since:,} on"
        table[f"{name}-from-{share:g}"] = Lever(said, {**winner.changes, "training.penalty_from": since})
    return table


def own_penalty(settings: Settings) -> float:
    """The penalty of the case's own overseer; that of any overseer where its kind has none."""
    return float(getattr(settings.overseer, "penalty", Overseer().penalty))


def check_case(settings: Settings, strong: float, cost: float) -> None:
    """Raises UserError where a case cannot be attributed, or its overseer lies outside of the family."""
    if settings.deployment.stop == "first_event":
        raise UserError("deployment.stop: 'first_event' is not allowed: attribution needs the unopposed arm")
    if strong < own_penalty(settings):
        raise UserError(
            f"cost: {cost!r} is not allowed: the largest penalty would be {strong:.3g}, below "
            f"overseer.penalty={own_penalty(settings):g}, which the family has to contain"
        )
