"""brax: continuous actions, a `done` that is a float, a time limit in a wrapper that sets `info["truncation"]`."""

import copy
from typing import Any

import numpy as np

from robustsim.envs.adapters.common import Native, Seen, Vector, no_params, unwrap

FAR = 2**30  # in steps of the wrapper; one of our steps may be several of them


def bind(env: Any, params: Any, max_steps: int) -> Native:
    """Binds an environment of brax; its auto-reset wrapper is removed, batching wrappers are rejected."""
    del max_steps  # the wrapper's limit only has to be large enough
    no_params("brax", params)

    def limitless(wrapper: Any, inner: Any) -> Any:
        # Kept, because it repeats actions.
        mine = copy.copy(wrapper)
        mine.env, mine.episode_length = inner, FAR
        return mine

    drop = {"AutoResetWrapper": None, "EpisodeWrapper": limitless}
    env = unwrap(env, "env", drop)

    def reset(key: Any, params: Any) -> tuple[Any, Any]:
        del params
        start = env.reset(key)
        return start.obs, start

    def step(key: Any, state: Any, action: Any, params: Any) -> Seen:
        del key, params
        after = env.step(state, action)
        cut = (after.info.get("truncation", np.zeros(())) > 0) | (after.info.get("time_out", np.zeros(())) > 0)
        return Seen(after.obs, after, after.reward, (after.done > 0) & ~cut, (after.done > 0) & cut)

    return Native(reset=reset, step=step, actions=Vector((int(env.action_size),), np.float32))
