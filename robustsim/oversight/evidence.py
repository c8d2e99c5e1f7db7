"""When an overseer knows that something is wrong: an e-value of the episodes that it has judged.

If all alarms are false, each judged episode raises one with probability f. The e-value is the likelihood of what was
seen, mixed over all rates above f with equal weight, over the likelihood under f: a test martingale, so the probability
that it ever reaches 1/alpha is at most alpha, however often one looks (Ville 1939; Ramdas et al. 2023, Statistical
Science 38:576). The overseer begins to correct once it does, and goes on.
"""

import jax.numpy as jnp
from jax.scipy.special import betainc, betaln

from robustsim.pytree import pytree
from robustsim.types import Array


@pytree
class Case:
    """What an overseer has judged so far."""

    alarms: Array  # int32[], misbehaviours that it saw, rightly or wrongly
    judged: Array  # int32[], those, and the misbehaviours and clean episodes in which it saw none
    proven: Array  # bool[], whether it knows


def opened() -> Case:
    """Nothing judged yet."""
    return Case(alarms=jnp.int32(0), judged=jnp.int32(0), proven=jnp.bool_(False))


def further(case: Case, alarms: Array, judged: Array, false_positive_rate: Array, alpha: Array) -> Case:
    """The case after more judgements, int32[]; alpha: the level at which it is proven."""
    alarms, judged = case.alarms + alarms, case.judged + judged
    proven = case.proven | (log_e_value(alarms, judged, false_positive_rate) >= -jnp.log(alpha))
    return Case(alarms=alarms, judged=judged, proven=proven)


def log_e_value(alarms: Array, judged: Array, false_positive_rate: Array) -> Array:
    """float[...], the logarithm of the e-value against "every alarm is false".

    Without false positives one alarm is proof.
    """
    f = jnp.asarray(false_positive_rate)
    some = jnp.maximum(f, jnp.finfo(f.dtype).tiny)
    hits, misses = alarms.astype(f.dtype), (judged - alarms).astype(f.dtype)
    above = jnp.log(betainc(misses + 1, hits + 1, 1 - some))  # P(Beta(hits + 1, misses + 1) > f)
    mixed = betaln(hits + 1, misses + 1) + above - jnp.log1p(-some)
    under = hits * jnp.log(some) + misses * jnp.log1p(-some)
    certain = jnp.where(hits > 0, jnp.inf, -jnp.log1p(misses))
    return jnp.where(f > 0, mixed - under, certain)


def judgements(
    watched: Array, bad: Array, clean: Array, noticed: Array, chance: Array, false_positive_rate: Array
) -> tuple[Array, Array]:
    """(alarms, judgements) among what was watched, int32[].

    Args:
      watched, bad, clean: bool[T, B], it was watched; it misbehaved, or an episode ended without.
      noticed: bool[T, B], a misbehaviour was seen.
      chance: float[T, B] in [0, 1).
    """
    false = watched & clean & (chance < false_positive_rate)
    total = jnp.sum(watched & (bad | clean), dtype=jnp.int32)
    return jnp.sum(noticed | false, dtype=jnp.int32), total
