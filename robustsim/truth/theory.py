"""Closed forms and exact recursions for the two-armed bandit, independent of the simulator. NumPy and SciPy only.

theta is the log odds of the bad arm, s(theta) = pi (1 - pi), a = c * eta * Delta the step on theta at s = 1, with c = 2
for two logits and 1 for one. Removal is the first gradient step at which pi is at most eps.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
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


def misbehaviours_second_order(theta0: float, eps: float, a: float) -> float:
    """`misbehaviours_ode` with the first correction for the size of a discrete step."""
    rate = float(expit(theta0))
    return misbehaviours_ode(theta0, eps, a) - (rate - eps) / 2 + 0.5 * math.log((1 - eps) / (1 - rate))


def variance_ode(theta0: float, eps: float, a: float) -> float:
    """Variance of the number of misbehaviours given the policies, (theta0 - theta_eps) / a."""
    return (theta0 - log_odds(eps)) / a


def trajectory(theta0: float, eps: float, a: float) -> np.ndarray:
    """pi_0 ... pi_{T-1} of the discrete expected-gradient dynamics, until removal."""
    return np.array(list(rates(theta0, eps, a)))


def rates(theta0: float, eps: float, a: float) -> Iterator[float]:
    """The same one by one, for clocks that are too long."""
    theta = theta0
    while (rate := float(expit(theta))) > eps:
        yield rate
        theta -= a * slope(theta)


def unwatched_steps_ode(theta0: float, eps: float, a: float, sharing: float) -> float:
    """Time to unwatched removal when only watched episodes are penalised and share `sharing` of every update."""
    end = theta0 - (theta0 - log_odds(eps)) / sharing
    return (policy_clock(theta0) - policy_clock(end)) / a


def unwatched_rate_at_watched_removal(theta0: float, eps: float, sharing: float) -> float:
    """pi_U when the watched rate first reaches eps."""
    return float(expit((1 - sharing) * theta0 + sharing * log_odds(eps)))


def reinforce_rates(theta0: float, eps: float, jump: float, bonus: bool = False) -> np.ndarray:
    """pi before each of the N events that move theta, under REINFORCE without a baseline.

    A penalty on a bad act moves theta by -jump (1 - pi); a bonus on a good act by -jump pi.
    """
    theta, rates = theta0, []
    while (rate := float(expit(theta))) > eps:
        rates.append(rate)
        theta -= jump * (rate if bonus else 1 - rate)
    return np.array(rates)


def reinforce_chances(theta0: float, eps: float, jump: float, detect: float, bonus: bool = False) -> np.ndarray:
    """The probability per step of each of these events: T is a sum of independent geometric times with these rates."""
    rates = reinforce_rates(theta0, eps, jump, bonus)
    return detect * ((1 - rates) if bonus else rates)


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
    """P(at least `threshold` of independent events with these probabilities)."""
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


def race_chain(rates: np.ndarray, steps: int, back: float) -> float:
    """P(`steps` net steps): an event is a step forward, otherwise a step back with probability `back` (not below 0)."""
    at = np.zeros(steps)
    at[0] = 1.0
    done = 0.0
    for p in rates:
        done += at[-1] * p
        stay, down = at * (1 - p) * (1 - back), at * (1 - p) * back
        at = stay + np.concatenate([[0.0], at[:-1] * p]) + np.concatenate([down[1:], [0.0]])
        at[0] += down[0]
    return float(done)


def race_windowed(rates: np.ndarray, threshold: int, window: int) -> float:
    """P(`threshold` of independent events within some `window` trials in a row), over all 2^(window - 1) histories."""
    pasts = 1 << (window - 1)
    many = np.array([bin(past).count("1") for past in range(pasts)])
    following = (np.arange(pasts) << 1) % pasts
    mass, done = np.zeros(pasts), 0.0
    mass[0] = 1.0
    for p in rates:
        happens, fires = mass * p, many + 1 >= threshold
        done += happens[fires].sum()
        new = np.zeros(pasts)
        np.add.at(new, following, mass * (1 - p))
        np.add.at(new, (following | 1) % pasts, np.where(fires, 0.0, happens))
        mass = new
    return float(done)


def race_consecutive_reinforce(rates: np.ndarray, threshold: int, detect: float) -> float:
    """P(`threshold` misbehaviours in a row before removal) under REINFORCE with penalties only.

    Args:
      rates: pi before each of the N penalties, as :func:`reinforce_rates` gives them.
    """
    run, done = np.zeros(threshold), 0.0
    run[0] = 1.0
    for p in rates:
        arrived = np.zeros(threshold)
        while run.sum() > 1e-14:  # the episodes between two penalties
            done += run[-1] * p  # penalised or not: ties go to the catastrophe
            longer = np.concatenate([[0.0], run[:-1] * p])
            arrived += longer * detect
            clean = run.sum() * (1 - p)
            run = longer * (1 - detect)
            run[0] = clean
        run = arrived
    return float(done)


def race_blocked(events: int, threshold: int, detect: float, block: float) -> float:
    """P(`threshold` unblocked misbehaviours no later than the `events`-th penalised one); blocking is independent."""
    harm = 1 - block
    both, caught, harmed = detect * harm, detect * block, (1 - detect) * harm
    moves = both + caught + harmed
    first = np.zeros((events + 1, threshold + 1))  # P from here, by penalties and harm still to come
    first[:, 0] = 1.0
    for n in range(1, events + 1):
        for k in range(1, threshold + 1):
            # 0 if no penalties are left and harm is; 1 if neither is left: ties go to the catastrophe.
            after = both * first[n - 1, k - 1] + caught * first[n - 1, k]
            first[n, k] = (after + harmed * first[n, k - 1]) / moves
    return float(first[events, threshold])


def half_race_detection(events: int, threshold: int) -> float:
    """The detection rate at which :func:`race_reinforce` is 1/2: (N - 1/3) / (k - 2/3) to 4 digits, a Beta median."""
    root: Any = brentq(lambda d: race_reinforce(events, threshold, d) - 0.5, 1e-9, 1 - 1e-12)
    return float(root)


def rebound(theta0: float, down: float, up: float, sharing: float, steps: int) -> np.ndarray:
    """Log odds (watched, unwatched) at steps 0 ... `steps`, float[steps + 1, 2]: watched acts are penalised, and
    unwatched ones stay profitable (rebound theorem: dl_W = -down s_W + sharing up s_U, and likewise for l_U)."""
    path = np.empty((steps + 1, 2))
    path[0] = theta0
    for t in range(steps):
        watched, unwatched = (slope(x) for x in path[t])
        path[t + 1, 0] = path[t, 0] - down * watched + sharing * up * unwatched
        path[t + 1, 1] = path[t, 1] - sharing * down * watched + up * unwatched
    return path


def rebound_ode(theta0: float, down: float, up: float, sharing: float, end: float) -> tuple[float, float, float | None]:
    """(time of the minimal unwatched rate, that rate, time of its return to 1/2 or None) for the continuous dynamics of
    :func:`rebound`."""

    def flow(_: float, theta: np.ndarray) -> list[float]:
        watched, unwatched = slope(theta[0]), slope(theta[1])
        return [-down * watched + sharing * up * unwatched, -sharing * down * watched + up * unwatched]

    solved = solve_ivp(flow, (0, end), [theta0, theta0], rtol=1e-9, atol=1e-11, dense_output=True)
    times = np.arange(end + 1)
    rates = expit(solved.sol(times)[1])
    least = int(rates.argmin())
    back = np.flatnonzero(rates[least:] >= 0.5)
    return float(times[least]), float(rates[least]), float(times[least + back[0]]) if len(back) else None


def slow_critic_steps(theta0: float, eps: float, a: float, rate: float) -> float:
    """Time to removal when the critic learns the penalty at `rate` per step."""
    fast = steps_ode(theta0, eps, a)
    return fast + (1 + float(lambertw(-math.exp(-1 - rate * fast)).real)) / rate
