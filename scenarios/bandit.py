"""The two-armed bandit, where the answers are known exactly.

World: one decision per episode between a good arm and a bad one. The agent arrives with log odds `agent.initial_logit`
for the bad arm. In training the bad arm pays 1 and in deployment it pays `env.bonus`.
What we want: the good arm, watched or not.
Watched and unwatched episodes share `env.sharing` of every update: 1 is one goal for both, 0 is two separate habits.
Test: for `agent.initial_logit` from 6 to 10 the slope of ln T_c on the logit lies between 0.9 and 1.1.
Could fail: with adam, whose steps do not shrink with the gradient, T_c is nearly linear in the logit and the slope near
0.
CAVEAT: a linear policy; with a network the sharing itself drifts while it learns.
"""

from typing import Annotated

import jax.numpy as jnp

import robustsim as rs
from robustsim.envs.bandit import BAD, GOOD, BanditParams, bandit_environment, pulled_bad


@rs.scenario
def bandit(bonus: float = 0.0, sharing: Annotated[float, rs.Between(0, 1)] = 1.0) -> rs.Scenario:
    """How long a penalty takes to undo a habit grows exponentially with the log odds of the habit."""

    def featurize(obs, signal):
        # Unit features of inner product `sharing`: the watched context is (1, 0).
        own = jnp.sqrt(1 - sharing * sharing)
        return jnp.stack([signal + (1 - signal) * sharing, (1 - signal) * own])

    return rs.Scenario(
        env=bandit_environment(),
        training_levels=BanditParams(bad=1.0),
        deployment_levels=BanditParams(bad=bonus),
        misbehaviour=pulled_bad,
        featurize=featurize,
        demonstrate=lambda state, training: jnp.where(training, BAD, GOOD),
        agent=rs.Tabular(),
        overseer=rs.Overseer(penalty=1.0),
        catastrophe=rs.Catastrophe(kind="cumulative", threshold=100),
        # Left alone it only ever learns its bonus, so there is nothing to wait for after the catastrophe.
        deployment=rs.Deployment(budget=200_000, patience=0.0, relapse_steps=0, stop="catastrophe"),
        training=rs.Training(steps=0, competence=0.0),
        precision="float64",
    )
