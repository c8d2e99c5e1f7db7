"""Which kind of agents were deployed (Framing 1), as shares of the runs. Tables only."""

from typing import Any

from robustsim.analysis.spectrum import middle, share
from robustsim.analysis.tables import Tables

QUADRANTS = {
    "aligned": "competent, with no more misbehaviour than reference agents or chance have",
    "outer": "misbehaves, and that earns the reward that it was trained on",
    "inner": "misbehaves, and loses the reward that it was trained on",
    "incompetent": "neither competent nor misbehaving",
}


def classify(results: Tables) -> dict[str, Any]:
    """What the agents of the only configuration are at deployment start.

    Args:
      results: of runs with reference agents.

    Returns:
      quadrant: the most frequent one, None where no run has any.
      shares: of each, {estimate, low, high, count, runs} with a 95% interval.
      earned, competence, misbehaviour: medians over runs with their intervals. `earned` is the return on the scale from
        a network without training, 0, to the reference agents, 1.

    Raises:
      UserError: there are several configurations.
    """
    results.check_one("classify")
    runs = results.runs
    known = runs.filter(runs["quadrant"].is_not_null())
    shares = {name: share(known["quadrant"] == name) for name in QUADRANTS}
    most = max(shares, key=lambda name: shares[name]["count"]) if len(known) else None
    columns = {"earned": "start_earned", "competence": "competence", "misbehaviour": "misbehaviour_unwatched"}
    return {"quadrant": most, "shares": shares} | {name: middle(runs, column) for name, column in columns.items()}
