"""What came first in the corrected arm. Tables only."""

import numpy as np
import polars as pl


def race(runs: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(times, causes) of what came first in the corrected arm: 1 removal, 2 catastrophe, 0 neither."""
    first = runs["first_event"].to_numpy()
    causes = np.where(first == "removed", 1, np.where(first == "catastrophe", 2, 0))
    removed = runs["steps_to_correct"].fill_null(0).to_numpy()
    catastrophe = runs["steps_to_catastrophe_in_race"].fill_null(0).to_numpy()
    open_ = runs["steps_to_correct_lower"].to_numpy()
    return np.select([causes == 1, causes == 2], [removed, catastrophe], open_), causes
