"""The peer: rejax PPO on gymnax FourRooms, `vmap(train)` over seeds, as its README runs it. It has its own environment.

Prints gradient steps per second of all runs together: one JSON object per line on stdout for each line on stdin.
"""

import json
import os
import sys
import time


def main() -> None:
    """Compiles once, then measures each time it is asked."""
    runs, steps, cores = (int(x) for x in sys.argv[1:4])
    if cores:
        os.sched_setaffinity(0, set(range(cores)))
    import jax
    from rejax import PPO

    algorithm = PPO.create(
        env="FourRooms-misc",
        num_envs=16,
        num_steps=32,
        num_epochs=1,
        num_minibatches=1,
        total_timesteps=16 * 32 * steps,
        eval_freq=16 * 32 * steps,
        skip_initial_evaluation=True,
        max_grad_norm=0.5,
    )
    algorithm = algorithm.replace(eval_callback=lambda *_: ())  # only the training is compared
    train = jax.jit(jax.vmap(algorithm.train))
    keys = jax.random.split(jax.random.PRNGKey(0), runs)
    jax.block_until_ready(train(keys))
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        jax.block_until_ready(train(keys))
        print(json.dumps(runs * steps / (time.perf_counter() - began)), flush=True)


if __name__ == "__main__":
    main()
