"""The value of a setting in each run: from its column if it is swept, otherwise the value that all runs share."""

from typing import Any

import polars as pl

THRESHOLD = 0.05  # of removal, in results that do not name theirs


def column(name: str, runs: pl.DataFrame, settings: dict[str, Any], default: float) -> pl.Series:
    """float[runs]: the value of a numeric setting in each run.

    Args:
      settings: what was not swept.
      default: where neither has the setting (results of an older version).
    """
    if name in runs.columns:
        return runs[name].cast(pl.Float64)
    value = settings.get(name)
    return pl.Series(name, [float(default if value is None else value)] * len(runs), pl.Float64)
