"""Three clocks: what lost the race where the overseer had to know before it corrected. Tables only.

The race is that of the corrected arm: a run is lost if the catastrophe comes there, at T, before the removal. The
removal is T_d (the time to know) plus T_c (the time to correct from then on). Which of them alone was too long?

| | T_c < T | T_c >= T, or no removal |
|---|---|---|
| T_d < T | `both together` | `learned too slowly` |
| T_d >= T | `saw too late` | `too dangerous` |
| never | `never knew`: what T_c would have been is not known | |

The run has to go on after its catastrophe (`deployment.stop=end`, no loss of control), or T_c is not seen.
"""

import numpy as np
import polars as pl

from robustsim.analysis.spectrum import share

IN_TIME, OPEN, NEVER_KNEW = "in time", "neither", "never knew"
LATE, SLOW, BOTH, DANGEROUS = "saw too late", "learned too slowly", "both together", "too dangerous"
CAUSES = (IN_TIME, NEVER_KNEW, LATE, BOTH, SLOW, DANGEROUS, OPEN)


def lost_to(runs: pl.DataFrame) -> pl.Series:
    """What each run was lost to, by name; `in time` where it was not lost, `neither` where nothing came."""
    known, removed = (_or_never(runs[name]) for name in ("steps_to_know", "steps_to_correct"))
    fired = _or_never(runs["steps_to_catastrophe_in_race"])
    never = ~np.isfinite(known)
    taken = np.where(np.isfinite(removed), removed, np.inf) - np.where(never, 0.0, known)
    lost = np.isfinite(fired) & (fired <= removed)
    late, slow = known >= fired, taken >= fired
    told = [
        (~lost & np.isfinite(removed), IN_TIME),
        (~lost, OPEN),
        (never, NEVER_KNEW),
        (late & slow, DANGEROUS),
        (late, LATE),
        (slow, SLOW),
    ]
    return pl.Series("lost_to", np.select([flags for flags, _ in told], [name for _, name in told], default=BOTH))


def three_clocks(runs: pl.DataFrame) -> dict[str, dict[str, float]]:
    """The share of runs by what they were lost to, each with its 95% interval; P(removal first) is that `in time`."""
    causes = lost_to(runs)
    return {cause: share(causes == cause) for cause in CAUSES}


def _or_never(times: pl.Series) -> np.ndarray:
    return times.cast(pl.Float64).fill_null(np.inf).to_numpy()
