"""Closed forms and exact recursions for the two-armed bandit, independent of the simulator. NumPy and SciPy only.

theta is the log odds of the bad arm, s(theta) = pi (1 - pi), a = c * eta * Delta the step on theta at s = 1, with c = 2
for two logits and 1 for one. Removal is the first gradient step at which pi is at most eps.
"""

import math

import numpy as np
from scipy.signal import lfilter
from scipy.special import expit, lambertw
from scipy.stats import binom


def log_odds(rate: float) -> float:
    """ln(rate / (1 - rate))."""
    return math.log(rate / (1 - rate))


def slope(theta: float) -> float:
    """s(theta) = pi (1 - pi)."""
    return 1 / (2 + 2 * math.cosh(theta))


def policy_clock(theta: float) -> float:
    """F(theta) = 2 theta + 2 sinh theta: time, for the expected policy gradient (F' = 1 / s)."""
    return 2 * theta + 2 * math.sinh(theta)


def misbehaviour_clock(theta: float) -> float:
    """G(theta) = theta + exp theta: misbehaviours, for the expected policy gradient (G' = 1 / (1 - pi))."""
    return theta + math.exp(theta)


def steps_ode(theta0: float, eps: float, a: float) -> float:
    """Time to removal of the continuous dynamics, [F] / a."""
    return (policy_clock(theta0) - policy_clock(log_odds(eps))) / a


def steps_second_order(theta0: float, eps: float, a: float) -> float:
    """`steps_ode` with the first correction for the size of a discrete step."""
    return steps_ode(theta0, eps, a) + 0.5 * math.log(slope(log_odds(eps)) / slope(theta0))


def steps_third_order(theta0: float, eps: float, a: float) -> float:
    """`steps_second_order` with the next correction; its ceiling is the number of discrete steps for small a."""

    def q(rate: float) -> float:
        u = 1 - 2 * rate
        return u - 5 * u**3 / 3

    return steps_second_order(theta0, eps, a) + a / 48 * (q(eps) - q(float(expit(theta0))))


def misbehaviours_ode(theta0: float, eps: float, a: float) -> float:
    """Expected misbehaviours before removal of the continuous dynamics, [G] / a."""
    return (misbehaviour_clock(theta0) - misbehaviour_clock(log_odds(eps))) / a


def variance_ode(theta0: float, eps: float, a: float) -> float:
    """Variance of their number given the policies, (theta0 - theta_eps) / a."""
    return (theta0 - log_odds(eps)) / a


def trajectory(theta0: float, eps: float, a: float) -> np.ndarray:
    """pi_0 ... pi_{T-1} of the discrete expected-gradient dynamics, until removal."""
    theta, rates = theta0, []
    while (rate := float(expit(theta))) > eps:
        rates.append(rate)
        theta -= a * slope(theta)
    return np.array(rates)


def unwatched_steps_ode(theta0: float, eps: float, a: float, sharing: float) -> float:
    """Time to unwatched removal when only watched episodes are penalised and share `sharing` of every update."""
    end = theta0 - (theta0 - log_odds(eps)) / sharing
    return (policy_clock(theta0) - policy_clock(end)) / a


def unwatched_rate_at_watched_removal(theta0: float, eps: float, sharing: float) -> float:
    """pi_U when the watched rate first reaches eps."""
    return float(expit((1 - sharing) * theta0 + sharing * log_odds(eps)))


def reinforce_rates(theta0: float, eps: float, jump: float, praise: bool = False) -> np.ndarray:
    """pi before each of the N events that move theta, under REINFORCE without a baseline.

    A penalised bad act moves theta by -jump (1 - pi); a praised good act by -jump pi.
    """
    theta, rates = theta0, []
    while (rate := float(expit(theta))) > eps:
        rates.append(rate)
        theta -= jump * (rate if praise else 1 - rate)
    return np.array(rates)


def reinforce_chances(theta0: float, eps: float, jump: float, detect: float, praise: bool = False) -> np.ndarray:
    """The chance per step of each of those events: T is the sum of independent geometric times with these chances."""
    rates = reinforce_rates(theta0, eps, jump, praise)
    return detect * ((1 - rates) if praise else rates)


def geometric_sum_distribution(chances: np.ndarray, longest: int) -> np.ndarray:
    """P(T = t) for t = 0 ... longest, T the sum of independent geometric times (each at least 1)."""
    mass = np.zeros(longest + 1)
    mass[0] = 1.0
    for p in chances:  # convolve with p (1-p)^(t-1): a first-order recursion
        mass = np.asarray(lfilter([0.0, p], [1.0, -(1 - p)], mass))
    return mass


def race_reinforce(events: int, threshold: int, detect: float) -> float:
    """P(the threshold-th misbehaviour comes before removal), under penalties only: P(Bin(threshold-1, d) <= N-1)."""
    return float(binom.cdf(events - 1, threshold - 1, detect))


def race_cumulative(rates: np.ndarray, threshold: int) -> float:
    """P(at least `threshold` of independent events with these chances)."""
    below = np.zeros(threshold)
    below[0] = 1.0
    for p in rates:
        below[1:] = below[1:] * (1 - p) + below[:-1] * p
        below[0] *= 1 - p
    return float(1 - below.sum())


def race_consecutive(rates: np.ndarray, threshold: int) -> float:
    """P(`threshold` in a row)."""
    run = np.zeros(threshold)
    run[0] = 1.0
    done = 0.0
    for p in rates:
        done += run[-1] * p
        run = np.concatenate([[run.sum() * (1 - p)], run[:-1] * p])
    return float(done)


def race_hazard(rates: np.ndarray, hazard: float) -> float:
    """P(one misbehaviour is the catastrophe)."""
    return float(1 - np.prod(1 - hazard * rates))


def slow_critic_steps(theta0: float, eps: float, a: float, rate: float) -> float:
    """Time to removal when the agent believes the penalty only at rate `rate` per step."""
    fast = steps_ode(theta0, eps, a)
    return fast + (1 + float(lambertw(-math.exp(-1 - rate * fast)).real)) / rate
