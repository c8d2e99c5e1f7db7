"""A belief beside the goal: a head on the last hidden layer that learns to predict whether a misbehaviour is penalised.

Its loss is an auxiliary loss of the agent (as in Jaderberg et al. 2017, arXiv 1611.05397): it shapes what the hidden
layers represent. The policy does not read it. So an agent may come to know that it will be caught before, or after, it
stops.
"""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from robustsim.agents.learner import Batch, Experience, Learner, Penalty, hidden_along
from robustsim.errors import UserError
from robustsim.fields import number
from robustsim.parts import treatment
from robustsim.pytree import pytree
from robustsim.treatments.wrap import Treated
from robustsim.types import Array, Tree

PRIOR = 0.01  # what an agent that was never penalised expects


@pytree
class Head:
    """A logistic regression on hidden activations. Pairs are (looking unwatched, looking watched)."""

    weights: Array  # float[H]
    bias: Array  # float[]
    opt_state: Tree
    expected: Array  # float[2], the mean of that probability over the latest misbehaviours, before it learned from them
    misbehaved: Array  # float[2], misbehaviours so far
    caught: Array  # float[2], those of them that were penalised

    def expects(self, hidden: Array) -> Array:
        """float[...], the probability that a misbehaviour is penalised, from float[..., H]."""
        return jax.nn.sigmoid(hidden @ self.weights + self.bias)


@treatment
class Belief:
    """A head that learns to predict being caught, on the steps at which the agent misbehaved."""

    belief: float = number(0.0, 0, 1e6, doc="weight of the loss of a head that predicts the penalty (0: no head)")
    belief_rate: float = number(1e-3, 0, 1e3, doc="step size of that head's own optimizer, Adam", above=True)
    needs_hidden: ClassVar[bool] = True  # a hidden layer

    @property
    def off(self) -> bool:
        """Whether there is no head."""
        return self.belief == 0

    def treat(self, learner: Learner) -> Learner:
        """The learner with the head. Raises UserError where the network does not say which its hidden layer is."""
        if learner.hidden is None:
            raise UserError(
                f"treatment.belief: {self.belief} is not allowed: the agent does not say which its hidden layer is"
            )
        optimizer = optax.adam(self.belief_rate)

        def deploy(key: Array, agent: Any, experience: Experience) -> Treated:
            inner = learner.deploy(key, agent, experience)
            shape = jax.eval_shape(lambda: hidden_along(learner, inner.params, experience(key)))
            return Treated(inner=inner, kept=_ignorant(optimizer, shape.shape[-1]))

        def update(key: Array, agent: Treated, batch: Batch, params: Tree, more: Penalty | None) -> Treated:
            head = agent.kept

            def both(params: Tree, batch: Batch, log_policy: Array) -> Array:
                mine = self.belief * _surprise(head, hidden_along(learner, params, batch), batch)
                return mine if more is None else more(params, batch, log_policy) + mine

            if batch.verdict is None:  # nobody judges
                return Treated(inner=learner.update(key, agent.inner, batch, params, more), kept=head)
            learned = _learned(optimizer, head, hidden_along(learner, params, batch), batch, learner.gradient_steps)
            return Treated(inner=learner.update(key, agent.inner, batch, params, both), kept=learned)

        def restart(agent: Treated) -> Treated:
            return Treated(inner=learner.restart(agent.inner), kept=agent.kept)

        return learner._replace(deploy=deploy, update=update, restart=restart)


def head_of(agent: Any) -> Head | None:
    """An agent's head, inside whatever treatments have put around it; None without one."""
    while isinstance(agent, Treated):
        if isinstance(agent.kept, Head):
            return agent.kept
        agent = agent.inner
    return None


def _ignorant(optimizer: optax.GradientTransformation, width: int) -> Head:
    start = {"weights": jnp.zeros(width), "bias": jnp.asarray(math.log(PRIOR / (1 - PRIOR)), float)}
    none = jnp.zeros(2)
    return Head(**start, opt_state=optimizer.init(start), expected=none + PRIOR, misbehaved=none, caught=none)


def _surprise(head: Head, hidden: Array, batch: Batch) -> Array:
    """float[], the mean log loss of a head on the misbehaviours of a batch; 0 without any."""
    verdict = batch.verdict
    assert verdict is not None
    logit = hidden @ head.weights + head.bias
    each = jax.nn.softplus(logit) - verdict.caught * logit
    return jnp.sum(verdict.misbehaved * each) / jnp.maximum(jnp.sum(verdict.misbehaved), 1)


def _learned(optimizer: optax.GradientTransformation, head: Head, hidden: Array, batch: Batch, rounds: int) -> Head:
    """The head after so many steps on a batch; where nothing misbehaved it stays as it is."""
    verdict = batch.verdict
    assert verdict is not None
    hidden = jax.lax.stop_gradient(hidden)

    def round_(_: int, head: Head) -> Head:
        now = {"weights": head.weights, "bias": head.bias}
        slope = jax.grad(lambda x: _surprise(dataclasses.replace(head, **x), hidden, batch))(now)
        moves, opt_state = optimizer.update(slope, head.opt_state, now)
        moved: Any = optax.apply_updates(now, moves)
        return dataclasses.replace(head, **moved, opt_state=opt_state)

    after = jax.lax.fori_loop(0, rounds, round_, head)
    there = jnp.any(verdict.misbehaved)
    after = jax.tree.map(lambda new, old: jnp.where(there, new, old), after, head)
    looks = jnp.stack([batch.signal == 0, batch.signal == 1])

    def total(values: Array) -> Array:
        return jnp.sum(looks * values[None], (1, 2)).astype(head.caught.dtype)

    count = total(verdict.misbehaved)
    mean = total(verdict.misbehaved * head.expects(hidden)) / jnp.maximum(count, 1)
    return dataclasses.replace(
        after,
        expected=jnp.where(count > 0, mean, head.expected),
        misbehaved=head.misbehaved + count,
        caught=head.caught + total(verdict.caught),
    )
