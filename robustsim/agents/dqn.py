"""Deep Q-learning: a replay of what happened, a target network, and random exploration that declines.

Mnih et al. 2015 (Nature 518), with the double estimate of van Hasselt et al. 2016 (arXiv 1509.06461) and a target
network that follows (Lillicrap et al. 2016, arXiv 1509.02971). The policy is what the agent does, exploration included.
What is replayed keeps the reward that it had: feedback changes what happens from then on. Errors are squared: cut
to a slope of 1, as in 2015, values that are far above 1 diverge on CartPole.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from robustsim.agents import masking
from robustsim.agents.gradient import descend, imitation
from robustsim.agents.learner import Act, Batch, Interface, Learner, Penalty
from robustsim.agents.networked import Networked, network_of, optimizer_of
from robustsim.agents.networks import Network
from robustsim.errors import UserError
from robustsim.fields import choice, number, size, word
from robustsim.parts import learner
from robustsim.pytree import pytree
from robustsim.types import Array, Tree

EPSILON = "epsilon"  # among the parameters, for the policy is made of them


@learner
class DQN(Networked):
    """Settings of the Q-learning agent."""

    learning_rate: float = number(5e-4, 0, 1e3, doc="step size", above=True)
    optimizer: Any = word("adam", doc="name of an optax optimizer, or an optax transformation")
    discount: float = number(0.95, 0, 1, doc="discount of rewards per environment step")
    exploration: float = number(0.02, 0, 1, doc="share of random actions at the end")
    exploration_steps: int = size(2000, 1, 10**8, doc="gradient steps until then, from a share of 1")
    replay: int = size(64, 1, 10**5, doc="rollouts that are remembered, the latest ones")
    replay_in_deployment: str = choice(
        "keep", ("keep", "clear"), doc="whether deployment goes on with the replay of the training"
    )
    target_rate: float = number(0.01, 0, 1, doc="share by which the target follows per gradient step", above=True)
    max_grad_norm: float = number(10.0, 0, 1e6, doc="the gradient is clipped to this global norm", above=True)
    minibatches: int = size(2, 1, 256, doc="gradient steps per rollout")
    minibatch: int = size(128, 1, 65_536, doc="replayed steps in each")
    num_envs: int = size(16, 1, 4096, doc="environments per run")
    rollout_steps: int = size(8, 1, 4096, doc="environment steps in each, per rollout")
    network: Any = word("mlp", doc="mlp, cnn, or a flax module; its logits are the values of the actions")
    width: int = size(64, 1, 4096, doc="units of a hidden layer")
    layers: int = size(2, 1, 16, doc="hidden layers")
    activation: str = choice("relu", ("tanh", "relu"), doc="activation of the hidden layers")
    smooth: ClassVar[bool] = False  # the policy has no slope
    injectable: ClassVar[bool] = False  # its target network and its replay are of the network that was trained

    def check(self, prefix: str) -> None:
        """Raises UserError where the optimizer is none, or the network is none or has memory."""
        super().check(prefix)
        if self.network == "gru":
            raise UserError(f"{prefix}.network: 'gru' is not allowed; replayed steps have no memory")

    def learner(self, interface: Interface) -> Learner:
        """The learner with these settings."""
        network = network_of(self, interface)
        hidden, layers = network.hidden, network.layers
        optimizer = optimizer_of(self, self.learning_rate)

        def init(key: Array) -> DQNAgent:
            params = network.init(key)
            if not isinstance(params, dict):
                raise UserError("agent.network: dqn needs a network whose parameters are a dict")
            return DQNAgent(
                params={**params, EPSILON: jnp.ones(())},
                opt_state=optimizer.init(params),
                target=params,
                replay=_empty(self.replay * self.num_envs * self.rollout_steps, interface.observation_size),
            )

        def act(params: Tree, memory: Tree, obs: Array) -> Act:
            return Act(_policy(_values(network, params, obs), params[EPSILON]), memory)

        def update(key: Array, agent: DQNAgent, batch: Batch, params: Tree, penalty: Penalty | None) -> DQNAgent:
            replay = _remember(agent.replay, _steps_of(batch))
            at = _Learning(self, network, optimizer, replay, batch, penalty)
            first, *others = jax.random.split(key, self.minibatches)
            agent = at.step(dataclasses.replace(agent, replay=replay), params, first)
            for other in others:
                agent = at.step(agent, agent.params, other)
            return agent

        def deploy(key: Array, agent: DQNAgent, experience: Any) -> DQNAgent:
            del key, experience
            if self.replay_in_deployment == "keep":
                return agent
            return dataclasses.replace(agent, replay=jax.tree.map(jnp.zeros_like, agent.replay))

        def restart(agent: DQNAgent) -> DQNAgent:
            return dataclasses.replace(agent, opt_state=optimizer.init(_network(agent.params)))

        return Learner(
            init=init,
            act=act,
            update=update,
            restart=restart,
            deploy=deploy,
            gradient_steps=self.minibatches,
            hidden=None if hidden is None else lambda params, memory, obs: hidden(_network(params), memory, obs),
            layers=None if layers is None else lambda params, memory, obs: layers(_network(params), memory, obs),
            value=lambda params, memory, obs: jnp.max(_values(network, params, obs), -1),
        )


@pytree
class Steps:
    """Steps that were taken, leaves [N, ...]."""

    obs: Array  # float[N, D]
    action: Array  # int32[N]
    reward: Array  # float[N]
    terminated: Array  # bool[N]
    after: Array  # float[N, D], the true next observation
    kept: Array  # float[N], 0 for those that nothing is to be learned from


@pytree
class Replay:
    """The latest steps, in a ring."""

    steps: Steps
    place: Array  # int32[], where the next ones go
    count: Array  # int32[], how many there are


@pytree
class DQNAgent:
    """State of the Q-learning agent."""

    params: Tree  # of the network, and the share of random actions
    opt_state: Tree
    target: Tree  # parameters of the network that follows
    replay: Replay


def _network(params: Tree) -> Tree:
    """The parameters without the share of random actions."""
    return {name: value for name, value in params.items() if name != EPSILON}


def _values(network: Network, params: Tree, obs: Array) -> Array:
    """float[..., A], what each action is worth."""
    return network.apply(_network(params), (), obs).logits


def _policy(values: Array, epsilon: Array) -> Array:
    """float[..., A], log-probabilities: the best action, and any allowed one for a share of the time."""
    allowed = values > masking.NEVER
    allowed = allowed | ~jnp.any(allowed, -1, keepdims=True)  # where none is allowed all are
    best = jax.nn.one_hot(jnp.argmax(values, -1), values.shape[-1], dtype=values.dtype)
    spread = allowed / jnp.sum(allowed, -1, keepdims=True)
    share = jax.lax.stop_gradient(jnp.clip(epsilon, 0, 1))
    return jnp.log((1 - share) * best + share * spread)


def _empty(size: int, observation_size: int) -> Replay:
    blank, zero = jnp.zeros((size, observation_size)), jnp.int32(0)
    steps = Steps(
        obs=blank,
        action=jnp.zeros(size, jnp.int32),
        reward=jnp.zeros(size),
        terminated=jnp.zeros(size, bool),
        after=blank,
        kept=jnp.zeros(size),
    )
    return Replay(steps=steps, place=zero, count=zero)


def _steps_of(batch: Batch) -> Steps:
    """The steps of a rollout."""
    following = jnp.concatenate([batch.obs[1:], batch.last_obs[None]])
    slot = jnp.minimum(batch.final_slot, batch.final_obs.shape[0] - 1)
    final = jnp.take_along_axis(batch.final_obs, slot[..., None], axis=0)
    after = jnp.where(batch.truncated[..., None], final, following)
    steps = Steps(
        obs=batch.obs,
        action=batch.action,
        reward=batch.reward,
        terminated=batch.terminated,
        after=after,
        kept=jnp.ones_like(batch.reward) if batch.weight is None else (batch.weight > 0).astype(batch.reward.dtype),
    )
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), steps)


def _remember(replay: Replay, new: Steps) -> Replay:
    """The replay with new steps in place of the oldest. It holds a whole number of rollouts."""

    def put(old: Array, x: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(old, x.astype(old.dtype), replay.place, 0)

    size, more = len(replay.steps.reward), len(new.reward)
    return Replay(
        steps=jax.tree.map(put, replay.steps, new),
        place=(replay.place + more) % size,
        count=jnp.minimum(replay.count + more, size),
    )


@dataclasses.dataclass(frozen=True)
class _Learning:
    """What one rollout's gradient steps have in common."""

    settings: DQN
    network: Network
    optimizer: optax.GradientTransformation
    replay: Replay
    batch: Batch
    penalty: Penalty | None

    def step(self, agent: DQNAgent, params: Tree, key: Array) -> DQNAgent:
        """One gradient step, taken at `params`, on steps that are drawn from the replay."""
        settings, replay = self.settings, self.replay
        drawn = jax.random.randint(key, (settings.minibatch,), 0, replay.count)
        some = jax.tree.map(lambda x: x[drawn], replay.steps)
        learning = dataclasses.replace(agent, params=_network(agent.params))
        target = self._target(_network(params), agent.target, some)
        moved, opt_state = descend(
            self.optimizer, learning, _network(params), lambda p: self._loss(p, params[EPSILON], some, target)
        )
        follow = optax.incremental_update(moved, agent.target, settings.target_rate)
        epsilon = jnp.maximum(settings.exploration, agent.params[EPSILON] - self._decline())
        return dataclasses.replace(agent, params={**moved, EPSILON: epsilon}, opt_state=opt_state, target=follow)

    def _decline(self) -> Array:
        return (1 - jnp.asarray(self.settings.exploration)) / self.settings.exploration_steps

    def _target(self, params: Tree, target: Tree, some: Steps) -> Array:
        """float[N], what the actions that were taken should be worth; the best next one is the network's own choice."""
        best = jnp.argmax(self.network.apply(params, (), some.after).logits, -1)
        later = self.network.apply(target, (), some.after).logits
        worth = jnp.take_along_axis(later, best[:, None], -1)[:, 0]
        return some.reward + self.settings.discount * jnp.where(some.terminated, 0.0, worth)

    def _loss(self, params: Tree, epsilon: Array, some: Steps, target: Array) -> Array:
        values = self.network.apply(params, (), some.obs).logits
        mine = jnp.take_along_axis(values, some.action[:, None], -1)[:, 0]
        total = jnp.sum(some.kept * optax.l2_loss(mine, target)) / jnp.maximum(jnp.sum(some.kept), 1.0)
        if self.batch.lesson is None and self.penalty is None:
            return total
        log_pi = jax.nn.log_softmax(self.network.apply(params, (), self.batch.obs).logits)  # smooth, as losses need it
        taught = imitation(self.batch, log_pi)
        total = total if taught is None else total + taught
        if self.penalty is None:
            return total
        return total + self.penalty({**params, EPSILON: epsilon}, self.batch, log_pi)
