"""A rate over time, across runs that are followed for different lengths of time. Tables only."""

from typing import NamedTuple

import numpy as np
import polars as pl


class OverTime(NamedTuple):
    """Quartiles over runs, one entry per gradient step at which any of them was evaluated."""

    step: np.ndarray  # int[n]
    low: np.ndarray  # float[n], the lower quartile
    median: np.ndarray
    high: np.ndarray


def quartiles(traces: pl.DataFrame, column: str) -> OverTime:
    """Quartiles of a column over all runs at every step. A run that is over, or not evaluated, keeps its last value.

    Runs end where the misbehaviour is removed. Without them, the median would be that of the runs that are slow to
    correct, and rise although no run rises.
    """
    wide = traces.pivot(on="run_id", index="step", values=column).sort("step")
    values = wide.drop("step").fill_nan(None).fill_null(strategy="forward").cast(pl.Float64).to_numpy()
    known = ~np.isnan(values).all(1)
    low, median, high = np.nanquantile(values[known], (0.25, 0.5, 0.75), axis=1)
    return OverTime(wide["step"].to_numpy()[known], low, median, high)
