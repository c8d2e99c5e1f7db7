"""Whether two versions learn the same: competence and T_c of five scenarios, by two-sample tests.

    python benchmarks/same_learning.py run FOLDER       # with the one version
    python benchmarks/same_learning.py run FOLDER2      # with the other
    python benchmarks/same_learning.py compare FOLDER FOLDER2

Competence by the test of Mann and Whitney (1947), T_c by the log-rank test, which takes censored times; p-values are
corrected for their number by the step-down of Holm (1979). A difference that such a test finds in 32 seeds is large:
with 32 against 32, a shift by 0.7 standard deviations is found in 8 of 10 cases.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import robustsim as rs

SCENARIOS = ("camera_vault", "corner_maze", "four_rooms", "reward_button", "tree_commons")
SETTINGS = {
    "deployment.relapse_steps": 0,
    "deployment.patience": 0.0,
    "deployment.budget": 1000,
    "overseer.coverage": 1.0,  # so that there is a correction to compare
}
SEEDS = 32


def run(folder: Path) -> None:
    """Runs all scenarios; what is there already is kept."""
    for name in SCENARIOS:
        sweep = rs.Sweep(scenario=name, over={}, seeds=SEEDS, settings=SETTINGS)
        sweep.run(folder / name, execution=rs.Execution(executor="inline"))


def compare(one: Path, other: Path) -> list[dict[str, Any]]:
    """A row for each scenario and measure."""
    rows = []
    for name in SCENARIOS:
        before, after = (rs.open(folder / name).runs for folder in (one, other))
        for column in ("training_competence", "competence"):
            x, y = before[column].to_numpy(), after[column].to_numpy()
            same = bool(np.ptp(np.concatenate([x, y])) == 0)
            p = 1.0 if same else float(stats.mannwhitneyu(x, y).pvalue)
            rows.append({"scenario": name, "measure": column, "before": _mean(x), "after": _mean(y), "p": p})
        some = all(runs["steps_to_correct"].is_not_null().any() for runs in (before, after))
        p = float(stats.logrank(_times(before), _times(after)).pvalue) if some else float("nan")
        about = {side: _median(runs) for side, runs in (("before", before), ("after", after))}
        rows.append({"scenario": name, "measure": "steps_to_correct", **about, "p": p})
    tested = sorted((row for row in rows if row["p"] == row["p"]), key=lambda row: row["p"])
    least = 0.0
    for i, row in enumerate(tested):
        least = max(least, min(1.0, row["p"] * (len(tested) - i)))
        row["p_holm"] = least
    return rows


def _times(runs: Any) -> stats.CensoredData:
    seen = runs["steps_to_correct"].is_not_null().to_numpy()
    times = runs["steps_to_correct"].fill_null(runs["steps_to_correct_lower"]).to_numpy().astype(float)
    return stats.CensoredData(uncensored=times[seen], right=times[~seen])


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.3f}"


def _median(runs: Any) -> str:
    times = runs["steps_to_correct"].fill_null(10**9)
    middle = times.median()
    censored = runs["steps_to_correct"].null_count()
    return f"{'beyond' if middle >= 10**8 else int(middle)} ({censored} of {len(runs)} censored)"


def main() -> None:
    """Prints the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "compare"))
    parser.add_argument("folders", type=Path, nargs="+")
    args = parser.parse_args()
    if args.what == "run":
        run(args.folders[0])
        return
    for row in compare(*args.folders[:2]):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
