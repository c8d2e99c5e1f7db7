"""The peer's returns while it learns: rejax PPO or DQN on a game of gymnax. It has its own Python environment.

Prints one JSON object: the mean return of 32 episodes for each seed and each of some equally spaced moments.
"""

import argparse
import json

import jax
from rejax import DQN, PPO
from rejax.evaluate import evaluate

EPISODES = 32


def ppo(args, **common):
    """PPO as `scripts/_returns.py` describes ours."""
    return PPO.create(
        num_steps=args.rollout_steps,
        num_epochs=4,
        num_minibatches=4,
        learning_rate=5e-4,
        gae_lambda=0.95,
        clip_eps=0.2,
        ent_coef=0.01,
        vf_coef=0.5,
        max_grad_norm=0.5,
        agent_kwargs={"activation": "tanh"},
        **common,
    )


def dqn(args, **common):
    """DQN likewise: one gradient step for every step of all environments."""
    steps = args.envs * args.updates
    return DQN.create(
        num_epochs=1,
        learning_rate=5e-4,
        batch_size=128,
        buffer_size=12_500 * args.envs,
        fill_buffer=128,
        polyak=0.99,
        target_update_freq=1,
        eps_end=0.02,
        exploration_fraction=5000 * args.envs / steps,
        max_grad_norm=10.0,
        agent_kwargs={"activation": "relu"},
        **common,
    )


def main() -> None:
    """Trains all seeds together, as the peer's README does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("ppo", "dqn"))
    parser.add_argument("game")
    for name in ("--envs", "--rollout-steps", "--updates", "--moments", "--seeds", "--episode-steps"):
        parser.add_argument(name, type=int, required=True)
    args = parser.parse_args()
    steps = args.envs * args.rollout_steps * args.updates
    algorithm = {"ppo": ppo, "dqn": dqn}[args.kind](
        args,
        env=args.game,
        total_timesteps=steps,
        eval_freq=steps // args.moments,
        skip_initial_evaluation=True,
        num_envs=args.envs,
        gamma=0.99,
    )

    def returns(algorithm, state, key):
        act = algorithm.make_act(state)
        return evaluate(act, key, algorithm.env, algorithm.env_params, EPISODES, args.episode_steps)[1].mean()

    algorithm = algorithm.replace(eval_callback=returns)
    keys = jax.random.split(jax.random.PRNGKey(0), args.seeds)
    print(json.dumps(jax.jit(jax.vmap(algorithm.train))(keys)[1].tolist()))


if __name__ == "__main__":
    main()
