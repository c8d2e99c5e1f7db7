"""The peer's returns while it learns: rejax PPO on a game of gymnax. It has its own Python environment.

Prints one JSON object: the mean return of 32 episodes for each seed and each of some equally spaced moments.
"""

import argparse
import json

import jax
from rejax import PPO
from rejax.evaluate import evaluate

EPISODES = 32


def main() -> None:
    """Trains all seeds together, as the peer's README does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("game")
    for name in ("--envs", "--rollout-steps", "--updates", "--moments", "--seeds", "--episode-steps"):
        parser.add_argument(name, type=int, required=True)
    args = parser.parse_args()
    steps = args.envs * args.rollout_steps * args.updates
    algorithm = PPO.create(
        env=args.game,
        total_timesteps=steps,
        eval_freq=steps // args.moments,
        skip_initial_evaluation=True,
        num_envs=args.envs,
        num_steps=args.rollout_steps,
        num_epochs=4,
        num_minibatches=4,
        learning_rate=5e-4,
        gamma=0.99,
        gae_lambda=0.95,
        clip_eps=0.2,
        ent_coef=0.01,
        vf_coef=0.5,
        max_grad_norm=0.5,
        agent_kwargs={"activation": "tanh"},
    )

    def returns(algorithm, state, key):
        act = algorithm.make_act(state)
        return evaluate(act, key, algorithm.env, algorithm.env_params, EPISODES, args.episode_steps)[1].mean()

    algorithm = algorithm.replace(eval_callback=returns)
    keys = jax.random.split(jax.random.PRNGKey(0), args.seeds)
    print(json.dumps(jax.jit(jax.vmap(algorithm.train))(keys)[1].tolist()))


if __name__ == "__main__":
    main()
