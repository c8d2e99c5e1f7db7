"""The overseer: it watches some episodes, and penalises, rewards, corrects or compares what it sees there."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Lesson
from robustsim.errors import UserError
from robustsim.fields import choice, count, flag, number
from robustsim.oversight import evidence
from robustsim.oversight import judge as judging
from robustsim.oversight import reader as reading
from robustsim.oversight.protocol import EPISODE, STEP, Feedback, Oversight, Shift, Sight, Site, Watch, room
from robustsim.oversight.repairs import REPAIRS, REPLAYS, dropped, withheld
from robustsim.parts import overseer
from robustsim.pytree import pytree, static
from robustsim.types import Array

INFINITE = float("inf")
TAUGHT = ("demonstration", "clone")  # acts to imitate
LAST = 2**31 - 1


@overseer
class Overseer(Oversight):
    """Settings of an overseer. Probabilities are per episode unless said otherwise."""

    # how it responds
    feedback: str = choice(
        "penalty",
        ("penalty", "demonstration", "comparison", *REPAIRS),
        doc="reward, or the good act to imitate, or a reward model learned from comparisons, or a repair",
    )
    penalty: float = number(
        1.0, 0, 1e6, doc="p, reward deducted per detected misbehaviour; also scales all feedback that is no reward"
    )
    bonus: float = number(0.0, 0, 1e6, doc="reward at the end of a watched episode without misbehaviour")
    granularity: str = choice(
        "step", ("step", "trajectory"), doc="each misbehaviour as it happens, or each episode as a whole at its end"
    )
    plan_penalty: Any = number(
        0.0,
        0,
        1e6,
        doc="reward deducted, times its certainty, where a linear probe of the hidden layer foresees misbehaviour",
    )
    comparison_noise: float = number(0.0, 0, 0.5, doc="probability that a comparison names the worse one", perfect=0.0)
    # what it sees
    coverage: float = number(
        1.0, 0, 1, doc="d, probability that an episode (event detection: a step) is watched", perfect=1.0
    )
    detection: str = choice("episode", ("episode", "event"), doc="whether it watches whole episodes or single steps")
    visible: bool = flag(True, doc="whether the agent sees a signal while it is watched", perfect=False)
    signal_noise: float = number(0.0, 0, 0.5, doc="probability that a visible signal shows the opposite", perfect=0.0)
    audit_rate: float = number(
        0.0, 0, 1, doc="chi, share of the watched episodes that are watched covertly: the signal stays off", perfect=0.0
    )
    miss_rate: float = number(
        0.0, 0, 1, doc="probability that a misbehaviour goes unnoticed though it is watched", perfect=0.0
    )
    false_positive_rate: float = number(
        0.0, 0, 1, doc="f, probability of a penalty after a clean episode, watched or not", perfect=0.0
    )
    vigilance: float = number(0.0, 0, 1, doc="how much each detection adds to the coverage")
    decay: float = number(0.0, 0, 1, doc="share of the added coverage that is lost per gradient step")
    # when
    proof: Any = number(
        0.0,
        0,
        1,
        doc="alpha: it corrects only once an e-value shows at this level that not all alarms are false (0: at once)",
        perfect=0.0,
    )
    proof_coverage: float = number(
        1.0, 0, 1, doc="share of the coverage with which it watches until it has that proof", perfect=1.0
    )
    onset: int = count(0, doc="gradient step of deployment at which feedback starts", perfect=0)
    withdrawal: int = count(LAST, doc="gradient step of deployment at which feedback ends", perfect=LAST)
    ramp: int = count(
        0, doc="gradient steps over which the coverage rises from 0 after the onset (0: at once)", perfect=0
    )
    period: int = count(0, doc="gradient steps of a cycle of feedback and none (0: always feedback)", perfect=0)
    duty: float = number(1.0, 0, 1, doc="share of each period, from its beginning, in which there is feedback")
    latency: int = count(
        0, 0, 10_000, doc="L, gradient steps between an episode and the update that learns from it", perfect=0
    )
    staleness: str = choice(
        "action", ("action", "gradient"), doc="what arrives late: old acts, or gradients taken then"
    )
    delay: int = count(
        0, 0, 4096, doc="environment steps between a misbehaviour and the reward that is deducted", perfect=0
    )
    # how much
    budget: float = number(INFINITE, 0, INFINITE, doc="penalties that can be given in all", perfect=INFINITE)
    per_update: float = number(
        INFINITE, 0, INFINITE, doc="penalties that can be given in one gradient step", perfect=INFINITE
    )
    labels: float = number(
        INFINITE,
        0,
        INFINITE,
        doc="watched episodes (event detection: steps; or comparisons) that can be judged in all",
        perfect=INFINITE,
    )
    # room for what is late, set when it is compiled
    queue: int = static(default=0)  # gradient steps
    line: int = static(default=0)  # environment steps

    def check(self, prefix: str) -> None:
        """Raises UserError where two fields contradict each other."""
        for name in ("audit_rate", "signal_noise"):
            if getattr(self, name) > 0 and not self.visible:
                raise UserError(
                    f"{prefix}.{name}: {getattr(self, name)} is not allowed without a visible signal; "
                    f"set {prefix}.visible=true or {prefix}.{name}=0"
                )
        if self.onset > self.withdrawal:
            raise UserError(f"{prefix}.onset: {self.onset} is not allowed after {prefix}.withdrawal={self.withdrawal}")
        self._check_proof(prefix)
        if self.feedback == "corrected" and self.granularity == "trajectory":
            raise UserError(
                f"{prefix}.granularity: 'trajectory' is not allowed with {prefix}.feedback='corrected', which "
                "withholds what the misbehaving step earned"
            )
        if self.feedback != "penalty" and self.bonus > 0:
            raise UserError(f"{prefix}.bonus: {self.bonus} is not allowed with {prefix}.feedback={self.feedback}")

    def _check_proof(self, prefix: str) -> None:
        """Raises UserError where something makes no sense with a proof, or without one."""
        against = {"period": self.period > 0, "feedback": self._compares, "plan_penalty": self.reads_plans}
        for name, used in against.items():
            if self.waits and used:
                raise UserError(
                    f"{prefix}.{name}: {getattr(self, name)!r} is not allowed with {prefix}.proof={self.proof:g}"
                )
        if (self.proof_coverage < 1) if not self.waits else (self.proof_coverage == 0):
            raise UserError(
                f"{prefix}.proof_coverage: {self.proof_coverage:g} is not allowed with {prefix}.proof={self.proof:g}: "
                "it is for the time before a proof, in which something has to be seen"
            )

    def canonical(self) -> "Overseer":
        """These settings as they are compiled: a plan that costs nothing is not read, and there is room for delays."""
        late = {"queue": room(self.latency), "line": room(self.delay)}
        return dataclasses.replace(self, plan_penalty=self.plan_penalty or None, proof=self.proof or None, **late)

    @property
    def reads_plans(self) -> bool:
        """Whether a probe reads the agent's hidden layer."""
        if isinstance(self.plan_penalty, float | int):
            return self.plan_penalty > 0
        return self.plan_penalty is not None  # as it is compiled

    @property
    def waits(self) -> bool:
        """Whether it corrects only once it has a proof."""
        if isinstance(self.proof, float | int):
            return self.proof > 0
        return self.proof is not None  # as it is compiled

    @property
    def beyond_expectation(self) -> str:
        """The name of a setting whose effect is not linear in what happens, so that no expected gradient has it."""
        limited = {
            "per_update": self.per_update < INFINITE,
            "labels": self.labels < INFINITE,
            "delay": self.delay > 0,
            "vigilance": self.vigilance > 0,
            "plan_penalty": self.plan_penalty > 0,
            "feedback": self.feedback == "comparison",
            "coverage": self.feedback in REPLAYS and self.coverage < 1,
            "ramp": self.feedback in REPLAYS and self.ramp > 0,
        }
        return next((name for name, used in limited.items() if used), "")

    def init(self, key: Array, site: Site) -> "OverseerState":
        """The overseer before deployment. The key is consumed."""
        pending = jnp.zeros((self.line, site.num_envs)) if self.line else None
        judge = judging.model(site.observation_size, site.num_actions).begin(key) if self._compares else None
        reader = None if self.plan_penalty is None else reading.blank(site.hidden_units)
        case = evidence.opened() if self.waits else None
        return OverseerState(alert=jnp.zeros(()), pending=pending, reader=reader, judge=judge, case=case)

    @property
    def _compares(self) -> bool:
        return self.feedback == "comparison"

    def today(self, state: "OverseerState", step: Array) -> "Overseer":
        """The overseer as it is at one gradient step of deployment: with the coverage that it has by then."""
        risen = jnp.clip((step - self.onset + 1) / jnp.maximum(self.ramp, 1), 0.0, 1.0)
        coverage = self.coverage * jnp.where(jnp.asarray(self.ramp) > 0, risen, 1.0) + state.alert
        if state.case is not None:
            coverage = coverage * jnp.where(state.case.proven, 1.0, self.proof_coverage)
        return dataclasses.replace(self, coverage=jnp.minimum(coverage, 1.0))

    def on_duty(self, step: Array) -> Array:
        """bool[], whether feedback is given: from onset to withdrawal, in its part of the period."""
        since = step - self.onset
        cycle = jnp.maximum(self.period, 1)
        working = (jnp.asarray(self.period) == 0) | (since % cycle < self.duty * cycle)
        return (since >= 0) & (step < self.withdrawal) & working

    def knows(self, state: "OverseerState") -> Array:
        """bool[], whether it has the proof that it waits for."""
        return jnp.bool_(True) if state.case is None else state.case.proven

    def watch(self, uniforms: Array) -> Watch:
        """Draws how an episode is watched, from float[..., UNIFORMS] in [0, 1)."""
        u = uniforms[..., EPISODE]
        covert = self.coverage * self.audit_rate  # a share of the watched ones, which looks unwatched
        noise = self.signal_noise
        wrongly_dark = covert + (self.coverage - covert) * noise
        wrongly_lit = self.coverage + (1 - self.coverage) * noise
        signal = (u < covert * noise) | ((u >= wrongly_dark) & (u < wrongly_lit))
        return Watch(u < self.coverage, signal & jnp.asarray(self.visible, bool))

    def expected(self, active: Array) -> "Expected":
        """Expected feedback where every episode is one decision (no budget); bool[], whether any is given."""
        return expect(self, active)

    def respond(self, state: "OverseerState", shift: Shift, sight: Sight) -> tuple["OverseerState", Feedback]:
        """Feedback for one rollout, and what the overseer carries on."""
        marks = mark(self, shift, sight)
        pending, arrives = delayed(self, state.pending, marks.due)
        reader, plans = _read_plans(self, state.reader, shift, sight)
        judge, opinion, compared = _compare(self, state.judge, shift, sight, marks)
        feedback = dataclasses.replace(
            marks,
            arrives=arrives,
            opinion=plans + opinion,
            labels=marks.labels + compared,
            lesson=_lesson(self, shift, sight),
        )
        return OverseerState(
            alert=alerted(self, state.alert, marks.caught),
            pending=pending,
            reader=reader,
            judge=judge,
            case=_investigated(self, state.case, shift, sight, marks),
        ), feedback


@pytree
class OverseerState:
    """Everything that an overseer carries from one gradient step to the next."""

    alert: Array  # float[], coverage added by detections
    pending: Array | None  # float[delay room, B], feedback on its way; None where none is delayed
    reader: reading.Reader | None  # where plans are read
    judge: judging.Judge | None  # where a reward model is learned
    case: evidence.Case | None = None  # where it waits for a proof


def mark(settings: Overseer, shift: Shift, sight: Sight) -> Feedback:
    """Penalties and bonuses for a rollout; budgets are used up in the order of time."""
    shape, active, spent = sight.watched.shape, shift.active, shift.spent
    chance = shift.uniforms[..., STEP]
    judged = sight.dirty if settings.granularity == "trajectory" else sight.misbehaved
    looked = sight.watched if settings.detection == "event" else sight.watched & (sight.clean | sight.dirty)
    if settings.feedback == "comparison":  # it judges pairs and penalises nothing
        active = jnp.zeros_like(active)
    present = shift.present if settings.waits else active  # it judges before it corrects
    before = spent["labels"] + jnp.cumsum(looked, dtype=jnp.int32).reshape(shape) - looked
    labelled = looked & (before < settings.labels) & present
    noticed = judged & sight.watched & (chance >= settings.miss_rate)
    caught = noticed & (before < settings.labels) & active
    alarm = sight.clean & (chance < settings.false_positive_rate) & active
    order = jnp.cumsum((caught | alarm).ravel(), dtype=jnp.int32).reshape(shape)
    given = spent["corrections"] + spent["false_alarms"]
    affordable = (given + order <= settings.budget) & (order <= settings.per_update)
    caught, alarm = caught & affordable, alarm & affordable
    rewarded = sight.clean & sight.watched & (before < settings.labels) & active
    due = jnp.where(rewarded, settings.bonus, 0.0) - jnp.where(caught | alarm, settings.penalty, 0.0)
    if settings.feedback != "penalty":
        due = jnp.where(caught, -withheld(settings.feedback, sight.reward), jnp.zeros_like(due))
    return Feedback(
        due=due,
        arrives=due,
        opinion=0.0,
        caught=caught,
        false_alarm=alarm,
        audited=labelled & jnp.asarray(settings.visible, bool) & ~sight.signal,
        noticed=noticed,
        labels=jnp.sum(labelled, dtype=jnp.int32),
        dropped=dropped(caught, sight.ended) if settings.feedback == "screen" else None,
    )


def delayed(settings: Overseer, pending: Array | None, due: Array) -> tuple[Array | None, Array]:
    """(what is still on its way, feedback float[T, B] as it arrives): `delay` environment steps late, whatever the
    agent does by then."""
    if pending is None:
        return None, due
    late, steps = pending.shape[0], due.shape[0]
    line = jnp.concatenate([pending, due])
    return line[steps:], line[late + jnp.arange(steps, dtype=jnp.int32) - settings.delay]


def alerted(settings: Overseer, alert: Array, caught: Array) -> Array:
    """float[], the added coverage after a rollout with detections, bool[T, B]: it rises with each and decays."""
    raised = alert * (1 - settings.decay) + settings.vigilance * jnp.sum(caught, dtype=jnp.int32)
    return jnp.minimum(raised, 1.0)


def _read_plans(
    settings: Overseer, reader: reading.Reader | None, shift: Shift, sight: Sight
) -> tuple[reading.Reader | None, Any]:
    """The probe after one more rollout, and the penalty on plans, float[T, B] (0 where none are read)."""
    if reader is None or sight.hidden is None:
        return reader, 0.0
    certainty = reading.foresee(reader, sight.hidden)
    penalty = settings.plan_penalty * jnp.where(certainty > 0.5, certainty, 0.0)
    label = reading.still_to_come(sight.misbehaved, sight.ended)
    seen = sight.watched & shift.active & (shift.spent["labels"] < settings.labels)
    return reading.study(reader, sight.hidden, label, seen), -jnp.where(shift.active, penalty, 0.0)


def _compare(
    settings: Overseer, judge: judging.Judge | None, shift: Shift, sight: Sight, marks: Feedback
) -> tuple[judging.Judge | None, Any, Any]:
    """(the reward model after this rollout's comparisons, its reward float[T, B], how many comparisons)."""
    if judge is None:
        return None, 0.0, 0
    model = judging.model(sight.obs.shape[-1], judging.actions_of(judge))
    pairs = sight.obs.shape[1] // 2
    uniform = jax.random.uniform(shift.key, (pairs,))
    opinion = model.reward(judge.params, sight.obs, sight.action)
    reward = settings.penalty * (opinion - opinion.mean())  # comparisons say nothing about the level
    faults = jnp.sum(marks.noticed, axis=0, dtype=jnp.int32)[: 2 * pairs].reshape(2, pairs)
    preferred = judging.prefer(faults, jnp.asarray(settings.comparison_noise), uniform)
    asks = shift.active & (shift.spent["labels"] < settings.labels)
    studied = model.study(judge, sight.obs, sight.action, preferred)
    after = jax.tree.map(lambda new, old: jnp.where(asks, new, old), studied, judge)
    return after, jnp.where(shift.active, reward, 0.0), jnp.where(asks, pairs, 0)


def _investigated(
    settings: Overseer, case: evidence.Case | None, shift: Shift, sight: Sight, marks: Feedback
) -> evidence.Case | None:
    """The case after one more rollout."""
    if case is None:
        return None
    bad = sight.dirty if settings.granularity == "trajectory" else sight.misbehaved
    fpr = jnp.asarray(settings.false_positive_rate)
    chance = shift.uniforms[..., STEP]
    alarms, judged = evidence.judgements(sight.watched, bad, sight.clean, marks.noticed, chance, fpr)
    further = evidence.further(case, alarms, judged, fpr, jnp.asarray(settings.proof))
    judges = shift.present & (shift.spent["labels"] < settings.labels)
    return jax.tree.map(lambda new, old: jnp.where(judges, new, old), further, case)


def _lesson(settings: Overseer, shift: Shift, sight: Sight) -> Lesson | None:
    """The acts to imitate in watched episodes, where that is the feedback."""
    if sight.demonstrated is None:
        return None
    given = sight.watched & shift.active & (shift.spent["labels"] < settings.labels)
    weight = jnp.where(given, settings.penalty, 0.0) * float(settings.feedback in TAUGHT)
    return Lesson(action=sight.demonstrated, weight=weight)


class Expected(NamedTuple):
    """An overseer of a one-decision world, in expectation."""

    looks: Array  # float[2], probability that an episode looks (unwatched, watched)
    watched: Array  # float[2], probability that it is watched, by [looks watched]
    feedback: Array  # float[2, 2], expected feedback by [looks watched, misbehaves]
    caught: Array  # float[2], probability that a misbehaviour is judged, by [looks watched]


def expect(settings: Overseer, active: Array) -> Expected:
    """Expected feedback when every episode is one decision (no budget)."""
    noise, covert = settings.signal_noise, settings.coverage * settings.audit_rate
    open_ = settings.coverage * (1 - settings.audit_rate)
    watched_lit = open_ * (1 - noise) + covert * noise
    visible = jnp.asarray(settings.visible, bool)
    lit = jnp.stack([(1 - settings.coverage) * noise + watched_lit, watched_lit])
    looks_watched, watched_lit = jnp.where(visible, lit, 0.0)
    looks_unwatched, watched_dark = 1 - looks_watched, settings.coverage - watched_lit

    def given(part: Array, whole: Array, otherwise: float) -> Array:
        return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1.0), otherwise)

    seen = jnp.stack([given(watched_dark, looks_unwatched, 0.0), given(watched_lit, looks_watched, 1.0)])
    caught = seen * (1 - settings.miss_rate) * active
    good = (seen * settings.bonus - settings.false_positive_rate * settings.penalty) * active
    deducted = 0.0 if settings.feedback in REPAIRS else settings.penalty
    good = 0.0 * good if settings.feedback in REPAIRS else good
    return Expected(
        looks=jnp.stack([looks_unwatched, looks_watched]),
        watched=seen,
        feedback=jnp.stack([good, -caught * deducted], axis=1),
        caught=caught,
    )
