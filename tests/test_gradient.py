"""The actor-critic's gradient against finite differences of a loss written again, in NumPy, from its papers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import robustsim as rs
from robustsim.agents.learner import Batch, Interface

T, B, D, A, H = 7, 3, 4, 3, 5
GAMMA, LAMBDA, ENTROPY, VALUE = 0.9, 0.8, 0.07, 0.6


def batch_with_every_kind_of_end() -> Batch:
    """A rollout: ends inside, two truncations in one environment, an end at the last step, and one without any."""
    rng = np.random.default_rng(0)
    terminated, truncated = np.zeros((2, T, B), bool)
    terminated[2, 0] = truncated[1, 1] = truncated[4, 1] = True
    terminated[T - 1, 1] = truncated[T - 1, 0] = True
    return Batch(
        obs=jnp.asarray(rng.normal(size=(T, B, D))),
        action=jnp.asarray(rng.integers(0, A, (T, B)), jnp.int32),
        reward=jnp.asarray(rng.normal(size=(T, B))),
        signal=jnp.zeros((T, B), jnp.int32),
        terminated=jnp.asarray(terminated),
        truncated=jnp.asarray(truncated),
        last_obs=jnp.asarray(rng.normal(size=(B, D))),
        final_obs=jnp.asarray(rng.normal(size=(3, B, D))),
        final_slot=jnp.asarray(np.cumsum(truncated, axis=0) - truncated, jnp.int32),
    )


def forward(params: Any, obs: np.ndarray) -> tuple[np.ndarray, float]:
    """(log-policy float[A], value) of one observation."""
    x = obs
    for layer in ("0", "1"):
        x = np.tanh(x @ params["hidden"][layer]["kernel"] + params["hidden"][layer]["bias"])
    logits = x @ params["actor"]["kernel"] + params["actor"]["bias"]
    value = (x @ params["critic"]["kernel"] + params["critic"]["bias"])[0]
    return logits - np.log(np.sum(np.exp(logits))), value


def targets(params: Any, batch: Batch) -> np.ndarray:
    """Advantages float[T, B], step by step from the end (Schulman et al. 2016)."""
    found = np.zeros((T, B))
    for b in range(B):
        ahead = 0.0
        for t in reversed(range(T)):
            if batch.truncated[t, b]:
                following = forward(params, np.asarray(batch.final_obs[batch.final_slot[t, b], b]))[1]
            else:
                following = forward(params, np.asarray(batch.last_obs[b] if t == T - 1 else batch.obs[t + 1, b]))[1]
            follows = 0.0 if batch.terminated[t, b] else following
            delta = float(batch.reward[t, b]) + GAMMA * follows - forward(params, np.asarray(batch.obs[t, b]))[1]
            goes_on = not (batch.terminated[t, b] or batch.truncated[t, b])
            ahead = found[t, b] = delta + GAMMA * LAMBDA * ahead * goes_on
    return found


def loss(params: Any, batch: Batch, advantage: np.ndarray, target: np.ndarray) -> float:
    """The loss of Mnih et al. 2016, with targets that carry no gradient."""
    total = 0.0
    for t in range(T):
        for b in range(B):
            log_pi, value = forward(params, np.asarray(batch.obs[t, b]))
            total -= advantage[t, b] * log_pi[int(batch.action[t, b])]
            total += VALUE * (value - target[t, b]) ** 2 + ENTROPY * np.sum(np.exp(log_pi) * log_pi)
    return total / (T * B)


@pytest.mark.parametrize("seed", [0, 1])
def test_a2c_steps_along_the_gradient_of_its_loss(seed: int) -> None:
    with jax.enable_x64(True):
        batch = batch_with_every_kind_of_end()
        settings = rs.A2C(
            optimizer="sgd", learning_rate=1.0, max_grad_norm=1e6, width=H, layers=2, discount=GAMMA,
            gae_lambda=LAMBDA, entropy=ENTROPY, value_coefficient=VALUE,
        )  # fmt: skip
        learner = settings.learner(Interface(D, A))
        agent = learner.init(jax.random.key(seed))
        large = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) * 3 + 0.1, agent.params)
        agent = learner.restart(type(agent)(params=large, opt_state=agent.opt_state))
        learned = learner.update(jax.random.key(9), agent, batch, agent.params, None)
        ours = jax.tree.map(lambda a, b: np.asarray(a - b), agent.params, learned.params)

        params = jax.tree.map(np.array, agent.params)
        params["hidden"] = {str(k): v for k, v in params["hidden"].items()}
        advantage = targets(params, batch)
        values = np.array([[forward(params, np.asarray(batch.obs[t, b]))[1] for b in range(B)] for t in range(T)])
        leaves, ends = jax.tree.leaves(params), 1e-5
        for leaf, gradient in zip(leaves, jax.tree.leaves(ours), strict=True):
            for at in np.ndindex(leaf.shape):
                here, sides = leaf[at], []
                for side in (ends, -ends):
                    leaf[at] = here + side
                    sides.append(loss(params, batch, advantage, advantage + values))
                leaf[at] = here
                assert abs((sides[0] - sides[1]) / (2 * ends) - gradient[at]) < 1e-6
