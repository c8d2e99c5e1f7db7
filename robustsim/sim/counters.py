"""The counters that every run keeps. Needs no JAX: tables and docs are made from these declarations."""

from typing import Any

from robustsim.events import CONDITIONS, UNWATCHED, WATCHED
from robustsim.records import Counter


def _sum(flags: Any) -> Any:
    return flags.sum(dtype="int32")


def _monitor(overseen: Any, flagged: bool, misbehaved: bool) -> Any:
    """Episodes that ended, by what they were and by what the monitor made of them."""
    moments = overseen.moments
    if moments.suspect is None:
        return _sum(moments.dirty & False)
    return _sum((moments.dirty if misbehaved else moments.clean) & (moments.suspect == flagged))


def _tampering(overseen: Any) -> Any:
    moments = overseen.moments
    return _sum(moments.dirty & False) if moments.tampers is None else _sum(moments.tampers)


def _belief(condition: int, what: str, doc: str) -> Counter:
    name = f"{what}_{CONDITIONS[condition]}"
    return _rollout(name, lambda c: getattr(c.beliefs, what)[condition], doc, type=float, way="last")


def _rollout(name: str, of: Any, doc: str, unit: str = "", **how: Any) -> Counter:
    return Counter(name=name, of=of, doc=doc, unit=unit, per="rollout", **how)


BELIEF = "(`treatment.belief`)"
EXPECTED = "mean probability of a penalty that the head gave to the latest misbehaviours, looking"
FEEDBACK = ("labels", "audits", "corrections", "false_alarms")  # what feedback costs
TRAINING_FEEDBACK = ("labels", "corrections", "false_alarms")  # nobody is audited before deployment
COUNTERS = (
    _rollout("misbehaviours", lambda c: _sum(c.moments.misbehaved), "misbehaviours in decision levels"),
    _rollout("corrections", lambda c: _sum(c.feedback.caught), "penalised misbehaviours"),
    _rollout("false_alarms", lambda c: _sum(c.feedback.false_alarm), "penalised clean episodes"),
    _rollout("labels", lambda c: c.feedback.labels, "episodes (steps, comparisons) that the overseer judged"),
    _rollout("audits", lambda c: _sum(c.feedback.audited), "judged episodes that were watched covertly"),
    _rollout("tampering", _tampering, "tampering acts"),
    _rollout(
        "distortion",
        lambda c: c.distortion.mean(),
        "mean change of the reward of an environment step by tampering",
        "reward",
        type=float,
        way="mean",
    ),
    _rollout(
        "reward_used",
        lambda c: c.reward.mean(),
        "mean reward of an environment step as the agent got it, in the last rollout",
        "reward",
        type=float,
        way="last",
    ),
    _rollout(
        "reward_oracle",
        lambda c: c.oracle.mean(),
        "what it would have been without tampering",
        "reward",
        type=float,
        way="last",
    ),
    _rollout(
        "unknowing",
        lambda c: c.unknowing,
        "gradient steps in which the overseer judged and did not correct yet (`overseer.proof`)",
        "gradient steps",
    ),
    _rollout(
        "knows", lambda c: c.knows.astype("int32"), "1 where it had its proof, or waits for none; else 0", way="last"
    ),
    _rollout(
        "policy_moved",
        lambda c: c.moved,
        "KL(policy before || policy) in the last rollout, where training was recorded (`training.record`)",
        "nats",
        type=float,
        way="last",
    ),
    _belief(UNWATCHED, "belief", f"{EXPECTED} unwatched {BELIEF}"),
    _belief(WATCHED, "belief", f"{EXPECTED} watched {BELIEF}"),
    _belief(UNWATCHED, "caught", f"share of them that were penalised so far, looking unwatched {BELIEF}"),
    _belief(WATCHED, "caught", f"the same, looking watched {BELIEF}"),
    _rollout("monitor_hits", lambda c: _monitor(c, True, True), "episodes with misbehaviour that the monitor flagged"),
    _rollout("monitor_misses", lambda c: _monitor(c, False, True), "episodes with misbehaviour that it did not flag"),
    _rollout("monitor_alarms", lambda c: _monitor(c, True, False), "episodes without misbehaviour that it flagged"),
    _rollout("monitor_passes", lambda c: _monitor(c, False, False), "episodes without misbehaviour that it passed"),
)
MONITOR = tuple(c.name for c in COUNTERS if c.name.startswith("monitor_"))
