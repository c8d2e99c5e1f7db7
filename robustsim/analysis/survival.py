"""Survival estimators on arrays: Kaplan-Meier, Aalen-Johansen, restricted mean. NumPy only.

Times are gradient steps. `event` is 0 where a run was censored at its time, and the number of its cause otherwise.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, ndtri

ROUNDING = 1e-12  # of a product of as many factors as there are runs: a half may come out as 0.5000000000000001


class Survival(NamedTuple):
    """A step function; each array has one entry per distinct time at which an event happened."""

    time: np.ndarray  # float[n]
    survival: np.ndarray  # float[n], S(t) from each time on
    low: np.ndarray  # float[n], pointwise confidence limits
    high: np.ndarray
    n_at_risk: np.ndarray  # int[n], just before each time
    n_events: np.ndarray  # int[n]


def _counts(
    time: np.ndarray, event: np.ndarray, times: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct event times (or the given ones), the number at risk just before each, and the number of events of any
    cause at each."""
    time, event = np.asarray(time, float), np.asarray(event)
    if time.shape != event.shape or time.ndim != 1:
        raise ValueError(f"time and event must be vectors of one length; got shapes {time.shape} and {event.shape}")
    times = np.unique(time[event > 0]) if times is None else times
    return times, (time >= times[:, None]).sum(1), ((time == times[:, None]) & (event > 0)).sum(1)


def kaplan_meier(time: np.ndarray, event: np.ndarray, confidence: float = 0.95) -> Survival:
    """The Kaplan-Meier estimator with log-log limits (Kalbfleisch and Prentice 1980, section 1.4).

    Where S reaches 0 the log-log limits do not exist; there the lower limit is 0 and the upper one that of a binomial
    rate with no survivor, 1 - (1 - (1 - confidence) / 2) ^ (1 / n). With no event at all, the arrays are empty.
    """
    times, at_risk, events = _counts(time, event)
    survival = np.cumprod(1 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (at_risk * (at_risk - events)))
        log_survival = np.log(survival)
        width = ndtri(0.5 + confidence / 2) * np.sqrt(greenwood) / np.abs(log_survival)
        low, high = survival ** np.exp(width), survival ** np.exp(-width)
    gone = survival == 0
    none_left = 1 - ((1 - confidence) / 2) ** (1 / max(len(np.atleast_1d(time)), 1))
    low, high = np.where(gone, 0.0, low), np.where(gone, none_left, high)
    return Survival(times, survival, low, high, at_risk, events)


def quantile(curve: Survival, p: float = 0.5) -> tuple[float | None, float | None, float | None]:
    """(estimate, low, high) of the time by which a share `p` has had the event; None where not identified.

    The estimate is the first time at which S <= 1 - p. Where S is equal to 1 - p, up to rounding, the curve is flat
    until the next event, and the estimate is the mid-point of that stretch: without censoring and at p = 1/2, the
    sample median. If no event ends the stretch, nothing bounds it on the right, and the estimate is its left end (R's
    `survival` does the same). It is None only if S never falls to 1 - p.

    The limits invert the pointwise limits of the curve (Brookmeyer and Crowley 1982). Where all events fell on one
    time and none was censored, that time is all there is to know, and the limits are it.
    """

    def first(values: np.ndarray, most: float) -> float | None:
        below = np.flatnonzero(values <= most)
        return float(curve.time[below[0]]) if below.size else None

    estimate = first(curve.survival, 1 - p + ROUNDING)
    if len(curve.time) == 1 and curve.survival[0] == 0:
        return estimate, estimate, estimate
    after = first(curve.survival, 1 - p - ROUNDING)
    if estimate is not None and after is not None:  # the same time, unless there is a flat stretch between them
        estimate = (estimate + after) / 2
    return estimate, first(curve.low, 1 - p + ROUNDING), first(curve.high, 1 - p + ROUNDING)


def aalen_johansen(time: np.ndarray, event: np.ndarray, causes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative incidences of competing causes (Aalen and Johansen 1978): (times[n], incidence[causes, n]).

    Ties are exact: events of several causes at one time share the risk set. A cause without events has incidence 0.
    """
    times, at_risk, events = _counts(time, event)
    before = np.concatenate([[1.0], np.cumprod(1 - events / at_risk)[:-1]]) if len(times) else np.zeros(0)
    hits = [_counts(time, np.asarray(event) == cause, times)[2] for cause in range(1, causes + 1)]
    return times, np.cumsum(before * np.array(hits).reshape(causes, len(times)) / at_risk, 1)


def restricted_mean(time: np.ndarray, event: np.ndarray, horizon: float) -> tuple[float, float]:
    """(mean, standard error) of min(T, horizon): the area under the curve, with Greenwood's variance."""
    curve = kaplan_meier(time, event)
    inside = curve.time < horizon
    knots = np.concatenate([[0.0], curve.time[inside], [horizon]])
    heights = np.concatenate([[1.0], curve.survival[inside]])
    areas = heights * np.diff(knots)
    rest = areas[::-1].cumsum()[::-1][1:]  # area to the right of each event time
    d, n = curve.n_events[inside], curve.n_at_risk[inside]
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(n > d, rest**2 * d / (n * (n - d)), 0.0)
    return float(areas.sum()), float(np.sqrt(terms.sum()))


def log_rank(time: np.ndarray, event: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """(chi-square with 1 degree of freedom, p) that two groups share a survival curve; (0, 1) with no events."""
    time, event, group = np.asarray(time), np.asarray(event), np.asarray(group, bool)
    times, at_risk, events = _counts(time, event)
    _, n1, d1 = _counts(time[group], event[group], times)
    expected = events * n1 / np.maximum(at_risk, 1)
    spread = np.maximum(at_risk - 1, 1)
    variance = (events * (n1 / at_risk) * (1 - n1 / at_risk) * (at_risk - events) / spread).sum()
    if variance == 0:
        return 0.0, 1.0
    chi = float((d1 - expected).sum() ** 2 / variance)
    return chi, float(chdtrc(1, chi))
