"""A linear softmax policy for one-decision worlds: the learner whose behaviour is known exactly.

The logit of the bad arm in a context is the product of the context's features with the weights, so two contexts with
features of inner product rho (`env.sharing`) share that much of every update.
"""

import dataclasses

import jax
import jax.numpy as jnp

from robustsim.agents.learner import Batch, Interface, Learner
from robustsim.agents.optimizers import check_optimizer, make_optimizer
from robustsim.errors import UserError
from robustsim.fields import choice, number, size, word
from robustsim.pytree import pytree
from robustsim.types import Array, Tree


@pytree
class Tabular:
    """Settings of the tabular agent. Its exact gradient is the expectation over the policy and over the overseer."""

    initial_logit: float = number(4.0, -700, 700, doc="theta0, log odds of the bad arm before any training")
    learning_rate: float = number(0.5, 0, 1e6, doc="eta, step size", above=True)
    logits: int = choice(2, (1, 2), doc="parameters per context: 2 (softmax) or 1 (sigmoid)")
    gradient: str = choice("exact", ("exact", "sampled"), doc="expected gradient, or REINFORCE without a baseline")
    optimizer: str = word("sgd", doc="name of an optax optimizer")
    kl_anchor: float = number(0.0, 0, 1e6, doc="beta of a penalty beta * KL(policy || policy at deployment)")
    entropy: float = number(0.0, 0, 1e6, doc="beta of an entropy bonus")
    critic_rate: float = number(1.0, 0, 1, doc="rate at which the believed reward of an act follows the real one")
    num_envs: int = size(1, 1, 4096, doc="episodes per gradient step")
    rollout_steps: int = size(1, 1, 1, doc="decisions per episode: 1")

    def __check__(self, prefix: str) -> None:
        check_optimizer(f"{prefix}.optimizer", self.optimizer)

    @property
    def small_steps(self) -> bool:
        """Whether one run's gradient step is too small to keep a CPU core busy: yes, a few numbers."""
        return True

    @property
    def exact(self) -> bool:
        """Whether the gradient is the expected one."""
        return self.gradient == "exact"

    @property
    def hidden_units(self) -> int:
        """A linear policy has no hidden layer."""
        return 0

    def canonical(self) -> "Tabular":
        """These settings as they are compiled."""
        return self

    def learner(self, interface: Interface) -> Learner:
        """Raises UserError in a world of more than one decision."""
        if interface.contexts is None or interface.num_actions != 2:
            raise UserError("agent: the tabular agent needs a world of one decision between two actions")
        if interface.contexts.dtype != jnp.float64:
            raise UserError(
                "precision: the tabular agent needs rs.Scenario(precision='float64'): float32 fakes robustness"
            )
        return _learner(self, interface.contexts)


@pytree
class TabularAgent:
    """State of the tabular agent."""

    params: Tree  # float[D, logits]
    opt_state: Tree
    reference: Tree  # float[D, logits], the weights at deployment: what the KL anchor holds on to
    anchor: Array  # float[], how strongly; 0 before deployment
    belief: Array  # float[2, 2], believed reward by [looks watched, action]


def _learner(settings: Tabular, contexts: Array) -> Learner:
    optimizer = make_optimizer(settings.optimizer, settings.learning_rate)

    def init(key: Array) -> TabularAgent:
        del key
        watched, unwatched = contexts
        # The least-norm weights that give both contexts (unit features) the same logit.
        direction = settings.initial_logit * (watched + unwatched) / (1 + watched @ unwatched)
        signs = jnp.array([1.0] if settings.logits == 1 else [-0.5, 0.5], contexts.dtype)
        params = direction[:, None] * signs
        return TabularAgent(
            params=params,
            opt_state=optimizer.init(params),
            reference=params,
            anchor=jnp.zeros((), params.dtype),
            belief=jnp.zeros((2, 2), params.dtype),
        )

    def log_policy(params: Tree, obs: Array) -> Array:
        logits = obs @ params
        if settings.logits == 2:
            return jax.nn.log_softmax(logits)
        return jnp.concatenate([jax.nn.log_sigmoid(-logits), jax.nn.log_sigmoid(logits)], axis=-1)

    def loss(params: Tree, batch: Batch, credit: Array, agent: TabularAgent) -> Array:
        log_pi, log_reference = log_policy(params, batch.obs), log_policy(agent.reference, batch.obs)
        chosen = jnp.take_along_axis(log_pi, batch.action[..., None], -1)[..., 0]
        pi = jnp.exp(log_pi)
        entropy = -jnp.sum(pi * log_pi, -1)
        divergence = jnp.sum(pi * (log_pi - log_reference), -1)
        objective = credit * chosen + settings.entropy * entropy - agent.anchor * divergence
        return -jnp.sum(batch.weight * objective)

    def update(agent: TabularAgent, batch: Batch, params: Tree) -> TabularAgent:
        belief = _believe(agent.belief, batch, settings.critic_rate)
        credit = belief[batch.signal, batch.action]
        gradient = jax.grad(loss)(params, batch, credit, agent)
        updates, opt_state = optimizer.update(gradient, agent.opt_state, agent.params)
        new = jax.tree.map(jnp.add, agent.params, updates)
        return dataclasses.replace(agent, params=new, opt_state=opt_state, belief=belief)

    def hand_over(agent: TabularAgent) -> TabularAgent:
        anchor = jnp.asarray(settings.kl_anchor, agent.anchor.dtype)
        return dataclasses.replace(agent, reference=agent.params, anchor=anchor)

    return Learner(init, log_policy, update, hand_over, exact=settings.exact)


def _believe(belief: Array, batch: Batch, rate: Array | float) -> Array:
    """Moves the believed reward of each (looks watched, action) toward its mean in the batch; float[2, 2]."""
    cell = (batch.signal * 2 + batch.action).ravel()
    weight = jnp.zeros(4, belief.dtype).at[cell].add(batch.weight.ravel())
    total = jnp.zeros(4, belief.dtype).at[cell].add((batch.weight * batch.reward).ravel())
    mean = (total / jnp.where(weight > 0, weight, 1)).reshape(2, 2)
    return jnp.where((weight > 0).reshape(2, 2), belief + rate * (mean - belief), belief)
