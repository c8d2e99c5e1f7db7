"""A linear softmax policy for one-decision worlds: the learner whose behaviour is known exactly.

The logit of the bad action in a context is the product of the context's features with the weights, so two contexts with
features of inner product rho (`env.sharing`) share that much of every update.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from robustsim.agents.gradient import normalised
from robustsim.agents.learner import Act, Batch, Interface, Learner, Penalty
from robustsim.agents.natural import natural
from robustsim.agents.optimizers import check_optimizer, make_optimizer
from robustsim.errors import UserError
from robustsim.fields import choice, number, size, word
from robustsim.parts import learner
from robustsim.pytree import pytree
from robustsim.types import Array, Tree


@learner
class Tabular:
    """Settings of the tabular agent. Its expected gradient is taken over the policy and over the overseer."""

    initial_logit: float = number(4.0, -700, 700, doc="theta0, log odds of the bad action before any training")
    learning_rate: float = number(0.5, 0, 1e6, doc="eta, step size", above=True)
    logits: int = choice(2, (1, 2), doc="parameters per context: 2 (softmax) or 1 (sigmoid)")
    gradient: str = choice("exact", ("exact", "sampled"), doc="expected gradient, or REINFORCE without a baseline")
    optimizer: Any = word("sgd", doc="name of an optax optimizer, or an optax transformation")
    natural: bool = choice(False, (False, True), doc="whether steps follow the natural gradient (Kakade 2001)")
    entropy: float = number(0.0, 0, 1e6, doc="beta of an entropy bonus")
    normalise_advantages: bool = choice(
        False, (True, False), doc="whether a batch's rewards get mean 0, deviation 1 (over all outcomes, where exact)"
    )
    critic_rate: float = number(1.0, 0, 1, doc="rate at which the believed reward of an act follows the real one")
    num_envs: int = size(1, 1, 4096, doc="episodes per gradient step")
    rollout_steps: int = size(1, 1, 1, doc="decisions per episode: 1")

    def check(self, prefix: str) -> None:
        """Raises UserError where the optimizer is none."""
        check_optimizer(f"{prefix}.optimizer", self.optimizer)

    @property
    def small_steps(self) -> bool:
        """Whether one run's gradient step is too small to keep a CPU core busy: yes, a few numbers."""
        return True

    @property
    def expected(self) -> bool:
        """Whether the gradient is the expected one."""
        return self.gradient == "exact"

    def learner(self, interface: Interface) -> Learner:
        """Raises UserError in a world of more than one decision."""
        contexts = interface.contexts
        if contexts is None or interface.num_actions != 2:
            raise UserError("agent: the tabular agent needs a world of one decision between two actions")
        if contexts.dtype != jnp.float64:
            raise UserError(
                "precision: the tabular agent needs rs.Scenario(precision='float64'): float32 fakes robustness"
            )
        optimizer = make_optimizer(self.optimizer, self.learning_rate)

        def init(key: Array) -> TabularAgent:
            del key
            params = _initial(self, contexts)
            belief = jnp.zeros((2, 2), params.dtype)
            return TabularAgent(params=params, opt_state=optimizer.init(params), belief=belief)

        def update(key: Array, agent: TabularAgent, batch: Batch, params: Tree, penalty: Penalty | None) -> Any:
            del key
            belief = _believe(agent.belief, batch, self.critic_rate)
            credit = belief[batch.signal, batch.action]
            if self.normalise_advantages:
                credit = normalised(credit, batch)
            gradient = jax.grad(lambda p: _loss(self, p, batch, credit, penalty))(params)
            if self.natural:
                gradient = _natural(self, gradient, params, batch)
            updates, opt_state = optimizer.update(gradient, agent.opt_state, agent.params)
            new = optax.apply_updates(agent.params, updates)
            return TabularAgent(params=new, opt_state=opt_state, belief=belief)

        return Learner(
            init=init,
            act=lambda params, memory, obs: Act(_log_policy(self, params, obs), memory),
            update=update,
            restart=lambda agent: dataclasses.replace(agent, opt_state=optimizer.init(agent.params)),
            expected=self.expected,
        )


@pytree
class TabularAgent:
    """State of the tabular agent."""

    params: Tree  # float[D, logits]
    opt_state: Tree
    belief: Array  # float[2, 2], believed reward by [looks watched, action]


def _initial(settings: Tabular, contexts: Array) -> Array:
    """The least-norm weights that give both contexts (unit features) the same logit."""
    watched, unwatched = contexts
    direction = settings.initial_logit * (watched + unwatched) / (1 + watched @ unwatched)
    signs = jnp.array([1.0] if settings.logits == 1 else [-0.5, 0.5], contexts.dtype)
    return direction[:, None] * signs[None]


def _log_policy(settings: Tabular, params: Tree, obs: Array) -> Array:
    logits = obs @ params
    if settings.logits == 2:
        return jax.nn.log_softmax(logits)
    return jnp.concatenate([jax.nn.log_sigmoid(-logits), jax.nn.log_sigmoid(logits)], axis=-1)


def _loss(settings: Tabular, params: Tree, batch: Batch, credit: Array, penalty: Penalty | None) -> Array:
    log_pi = _log_policy(settings, params, batch.obs)
    taken = jnp.take_along_axis(log_pi, batch.action[..., None], -1)[..., 0]
    entropy = -jnp.sum(jnp.exp(log_pi) * log_pi, -1)
    total = -batch.mean(credit * taken + settings.entropy * entropy)
    return total if penalty is None else total + penalty(params, batch, log_pi)


def _natural(settings: Tabular, gradient: Tree, params: Tree, batch: Batch) -> Tree:
    obs, steps = batch.obs.reshape(-1, batch.obs.shape[-1]), batch.reward.size
    each = jnp.full(steps, 1.0 / steps, obs.dtype) if batch.weight is None else batch.weight.reshape(-1)
    return natural(gradient, lambda p: _log_policy(settings, p, obs), params, each, 0.0, params.size)


def _believe(belief: Array, batch: Batch, rate: Array | float) -> Array:
    """Moves the believed reward of each (looks watched, action) toward its mean in the batch; float[2, 2]."""
    cell = (batch.signal * 2 + batch.action).ravel()
    uniform = jnp.full(batch.reward.shape, 1.0 / batch.reward.size, belief.dtype)
    each = uniform if batch.weight is None else batch.weight
    weight = jnp.zeros(4, belief.dtype).at[cell].add(each.ravel())
    total = jnp.zeros(4, belief.dtype).at[cell].add((each * batch.reward).ravel())
    mean = (total / jnp.where(weight > 0, weight, 1)).reshape(2, 2)
    return jnp.where((weight > 0).reshape(2, 2), belief + rate * (mean - belief), belief)
