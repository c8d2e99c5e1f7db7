"""Settings that are allowed one by one and not together."""

from typing import Any

from robustsim.agents.optimizers import check_optimizer
from robustsim.errors import UserError
from robustsim.oversight.overseer import LAST
from robustsim.oversight.repairs import REMEMBER
from robustsim.parts import name_of
from robustsim.spec.scenario import Online, Scenario

MOST_COUNTED = 2**31 - 1  # of a counter


def check(scenario: Scenario, settings: Any) -> None:
    """Raises UserError where settings contradict each other, or a setting and the scenario do."""
    overseer, agent = settings.overseer, settings.agent
    agent.check("agent")
    overseer.check("overseer")
    demonstrated = {"overseer.feedback": overseer.feedback, "training.signal": settings.training.signal}
    for name, value in demonstrated.items():
        if value == "demonstration" and scenario.demonstrate is None:
            raise UserError(f"{name}: 'demonstration' is not allowed: this scenario does not say which act to imitate")
    if settings.catastrophe.counts_events and scenario.event is None:
        raise UserError("catastrophe.kind: 'event' is not allowed: this scenario does not define an event")
    kind = settings.tampering.kind
    if kind != "none" and scenario.tampers is None:
        raise UserError(f"tampering.kind: {kind!r} is not allowed: this scenario has no act that tampers")
    if agent.expected and overseer.beyond_expectation:
        name = f"overseer.{overseer.beyond_expectation}"
        value = getattr(overseer, overseer.beyond_expectation, name_of(overseer))
        raise UserError(f"{name}: {value!r} is not allowed with the exact gradient; set agent.gradient=sampled")
    if overseer.reads_plans and not agent.hidden_units:
        raise UserError(f"overseer.plan_penalty: {overseer.plan_penalty} is not allowed: the agent has no hidden layer")
    _check_repair(settings)
    _check_treatments(settings)
    if overseer.waits and scenario.monitor is not None:
        raise UserError(
            f"overseer.proof: {overseer.proof:g} is not allowed: this scenario's monitor has false alarms of its own"
        )
    if overseer.feedback == "comparison" and agent.num_envs < 2:
        raise UserError("overseer.feedback: 'comparison' is not allowed with agent.num_envs=1; it compares two of them")
    training = settings.training
    if training.penalty_from > training.penalty_until:
        raise UserError(
            f"training.penalty_from: {training.penalty_from} is not allowed after "
            f"training.penalty_until={training.penalty_until}"
        )
    _check_online(settings.online, agent)
    _check_injection(settings)
    _check_relearning(settings)
    _check_counters(settings)


def _check_treatments(settings: Any) -> None:
    """Raises UserError where a treatment needs what the agent has not: a slope of its policy, or a hidden layer."""
    smooth, hidden = getattr(settings.agent, "smooth", True), settings.agent.hidden_units
    lacks = {"needs_slope": "" if smooth else "whose policy has no slope"}
    lacks |= {"needs_hidden": "" if hidden else "which has no hidden layer"}
    for name, part in settings.treatment.items():
        for need, lack in lacks.items() if not part.off else ():
            if lack and getattr(part, need, False):
                kind = name_of(settings.agent)
                raise UserError(
                    f"treatment.{name}: {getattr(part, name)} is not allowed with agent.kind={kind!r}, {lack}"
                )


def _check_repair(settings: Any) -> None:
    """Raises UserError where a repair asks for a training that is not recorded, or nothing would be recorded."""
    training, feedback = settings.training, settings.overseer.feedback
    if feedback in REMEMBER and not training.record:
        raise UserError(
            f"overseer.feedback: {feedback!r} is not allowed without a record of the training; set training.record"
        )
    if feedback == "reversal" and not training.penalty:
        raise UserError(
            "overseer.feedback: 'reversal' is not allowed with training.penalty=0: nothing was added that could be "
            "reversed"
        )
    if not training.record:
        return
    start = settings.deployment.start
    end = training.steps if start < 0 else start
    if training.penalty_from >= min(end, training.penalty_until):
        raise UserError(
            f"training.record: {training.record} is not allowed with training.penalty_from={training.penalty_from}: "
            f"there is nothing to keep; use a penalty_from below training.penalty_until and the {end} steps of training"
        )
    if training.signal == "demonstration":
        raise UserError(f"training.record: {training.record} is not allowed with training.signal='demonstration'")


def _check_relearning(settings: Any) -> None:
    """Raises UserError where the overseer is to come back, and never leaves, or leaves for good."""
    deployment, overseer = settings.deployment, settings.overseer
    if deployment.relearn and getattr(overseer, "withdrawal", LAST) < LAST:
        raise UserError(f"deployment.relearn: True is not allowed with overseer.withdrawal={overseer.withdrawal}")
    for name, value in (("relapse_steps", 0), ("stop", "first_event")):
        if deployment.relearn and getattr(deployment, name) == value:
            raise UserError(f"deployment.relearn: True is not allowed with deployment.{name}={value}")


def _check_counters(settings: Any) -> None:
    """Raises UserError where a run can be so long that its counters, of 32 bits, would begin again below zero.

    A counter rises by at most one in each environment step. However patient, a run with the overseer ends within its
    budget (:func:`robustsim.sim.follow.follow`); after removal at T it goes on for max(T, relapse_steps).
    """
    deployment, agent = settings.deployment, settings.agent
    batch = 1 if agent.expected else agent.num_envs * agent.rollout_steps
    budget, after = deployment.budget, deployment.relapse_steps
    most, times = MOST_COUNTED // batch, 2 if deployment.relearn else 1
    if times * budget + (max(budget, after) if after else 0) > most:
        allowed = min((most - after) // times, most // (times + 1)) if after else most
        raise UserError(
            f"deployment.budget: {budget} is not allowed with deployment.relapse_steps={after} and {batch} environment "
            f"steps per gradient step: a run must not take more than {MOST_COUNTED:,} environment steps in all; use a "
            f"budget of at most {max(allowed, 0):,}"
        )


def _check_online(online: Online, agent: Any) -> None:
    """Raises UserError where deployment sets what the learner does not have."""
    if online.optimizer != "same":
        check_optimizer("online.optimizer", online.optimizer)
    for name in ("learning_rate", "optimizer", "entropy"):
        value = getattr(online, name)
        if value not in (None, "same") and not hasattr(agent, name):
            raise UserError(
                f"online.{name}: {value!r} is not allowed: the agent {name_of(agent)!r} has no such setting"
            )


def _check_injection(settings: Any) -> None:
    """Raises UserError where a network is to be injected, and the agent or a treatment does not go with that."""
    if not settings.online.inject:
        return
    if not getattr(settings.agent, "injectable", False):
        kind = name_of(settings.agent)
        raise UserError(f"online.inject: True is not allowed with agent.kind={kind!r}; use a2c, reinforce, ppo or npg")
    if not settings.online.reset_optimizer:
        raise UserError("online.reset_optimizer: False is not allowed with online.inject: a new network has no past")
    if settings.training.record:
        raise UserError(f"online.inject: True is not allowed with training.record={settings.training.record}")
    for name, part in settings.treatment.items():
        if not part.off and not getattr(part, "injectable", True):
            raise UserError(f"online.inject: True is not allowed with treatment.{name}={getattr(part, name)}")
