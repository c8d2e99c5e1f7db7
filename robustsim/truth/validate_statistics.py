"""Do the intervals cover what they claim? Every estimator on simulated runs, with and without censoring.

Times are like those of runs: log10 T normal with standard deviation 0.3, T_c and T_k of a seed correlated by 1/2, and
censored at the budget that gives the share. `python -m robustsim.truth.validate_statistics [draws]` prints the table of
docs/statistics.md as Markdown; `--out=FILE` writes its rows as JSON too.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.special import expit, ndtri

from robustsim.analysis import compare, spectrum, survival
from robustsim.concealment import Counts, bounded
from robustsim.truth.validate import Check, four_errors, judged

SPREAD, CORRELATION = 0.3, 0.5  # of log10 T over seeds, in decades; of the two clocks of a seed
MEDIANS = {"steps_to_correct": 2.0, "steps_to_catastrophe": 2.3}  # log10 of gradient steps
POSITION = MEDIANS["steps_to_correct"] - MEDIANS["steps_to_catastrophe"]
SEEDS, SHARES = (8, 20, 32, 50), (0.0, 0.25, 0.45)
CONCEALMENT, START = 0.5, 3.0  # its true median; log odds of both conditions at deployment start
EPISODES = 1024
NOMINAL = 0.95
WITHOUT = ", without bounds"  # concealment as one number whatever the counts, for comparison


class Study(NamedTuple):
    """What became of one interval in many simulated data sets."""

    quantity: str
    seeds: int
    censored: str  # which share of what is censored
    coverage: float  # share of the data sets whose interval has the truth in it; an open end contains everything
    identified: float  # share with an estimate
    bias: float | None  # mean estimate where there is one, minus the truth; in decades for times
    open: float  # share whose interval has an open end


Interval = tuple[float | None, float | None, float | None]
Draw = Callable[[np.random.Generator], Interval]


def study(quantity: str, seeds: int, censored: str, truth: float, draw: Draw, draws: int) -> Study:
    """Counts how often (estimate, low, high) of fresh data sets covers the truth.

    Args:
      draw: analyses one data set, made with this generator.
      draws: number of data sets.
    """
    rng = np.random.default_rng(seeds)
    found = [draw(rng) for _ in range(draws)]
    estimates = [x for x, _, _ in found if x is not None]
    ends = [(-math.inf if low is None else low, math.inf if high is None else high) for _, low, high in found]
    return Study(
        quantity=quantity,
        seeds=seeds,
        censored=censored,
        coverage=float(np.mean([low - 1e-9 <= truth <= high + 1e-9 for low, high in ends])),
        identified=len(estimates) / draws,
        bias=float(np.mean(estimates) - truth) if estimates else None,
        open=float(np.mean([math.isinf(low) or math.isinf(high) for low, high in ends])),
    )


def runs(rng: np.random.Generator, seeds: int, shares: tuple[float, float]) -> pl.DataFrame:
    """A table of runs: T_c, T_k with their bounds, positions, and what came first in the race.

    Args:
      shares: of T_c and of T_k that are censored, each at its own budget.
    """
    common, own = rng.normal(size=seeds), rng.normal(size=seeds)
    normal = {
        "steps_to_correct": common,
        "steps_to_catastrophe": CORRELATION * common + math.sqrt(1 - CORRELATION**2) * own,
    }
    columns: dict[str, pl.Series] = {}
    for share, (name, z) in zip(shares, normal.items(), strict=True):
        time, budget = 10 ** (MEDIANS[name] + SPREAD * z), 10 ** (MEDIANS[name] + SPREAD * float(ndtri(1 - share)))
        columns[name] = pl.Series([x if x <= budget else None for x in time], dtype=pl.Float64)
        columns[f"{name}_lower"] = pl.Series(np.minimum(time, budget))
    correct, catastrophe = (pl.col(name) for name in MEDIANS)
    known = (correct / catastrophe).log10()
    return pl.DataFrame(columns).with_columns(
        position_lower=(pl.col("steps_to_correct_lower") / catastrophe).log10(),
        position_upper=(correct / pl.col("steps_to_catastrophe_lower")).log10(),
        position=known,
    )


def _decades(found: dict[str, Any]) -> Interval:
    """The ends of a time, in decades."""
    return _ends({key: None if x is None else math.log10(x) for key, x in found.items()}, "estimate")


def _ends(found: dict[str, Any], name: str = "median") -> Interval:
    return found[name], found["low"], found["high"]


def _clock(table: pl.DataFrame) -> Interval:
    found = spectrum.clock(table, "steps_to_correct")
    return _decades({"estimate": found["median"], "low": found["low"], "high": found["high"]})


def _race(rng: np.random.Generator, seeds: int, share: float) -> Interval:
    """A race that the catastrophe wins with 0.3 in the end; a share of the runs is not over within the budget."""
    first = np.where(rng.random(seeds) < 0.3, "catastrophe", "removed")
    first = np.where(rng.random(seeds) < share, "censored", first)
    return _ends(spectrum.catastrophe_first(pl.DataFrame({"first_event": first})), "estimate")


def _comparison(rng: np.random.Generator, seeds: int, share: float) -> Interval:
    """Two overseers on the same seeds, the second twice as slow; both share the budget."""
    first, second = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], seeds).T * SPREAD + [[2], [2 + math.log10(2)]]
    budget = 2 + math.log10(2) + SPREAD * float(ndtri(1 - share))
    log = np.concatenate([first, second])
    table = pl.DataFrame(
        {
            "overseer": np.repeat([1, 2], seeds),
            "seed": np.tile(np.arange(seeds), 2),
            "steps_to_correct": pl.Series([10**x if x <= budget else None for x in log], dtype=pl.Float64),
            "steps_to_correct_lower": 10 ** np.minimum(log, budget),
        }
    )
    return _decades(compare.compare(table, "overseer", 1, 2)["median_ratio"])


def concealments(rng: np.random.Generator, seeds: int, shift: float) -> pl.DataFrame:
    """A table with concealments about 1/2, whose watched log odds fell by about this shift, and what was made of them
    without bounds (`plain`)."""
    fell = rng.normal(shift, 0.5, seeds)
    kept = fell * (1 - rng.normal(CONCEALMENT, 0.05, seeds))
    before = rng.binomial(EPISODES, expit(np.full((2, seeds), START)))
    after = rng.binomial(EPISODES, expit(START - np.stack([kept, fell])))
    m = (EPISODES, EPISODES)
    rows = [bounded(Counts((a, b), m), Counts((c, d), m)) for a, b, c, d in np.concatenate([before, after]).T.tolist()]
    shifts = np.log((after + 0.5) / (EPISODES - after + 0.5)) - np.log((before + 0.5) / (EPISODES - before + 0.5))
    schema = {f"concealment{end}": pl.Float64 for end in ("", "_lower", "_upper")}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(plain=pl.Series(1 - shifts[0] / shifts[1]))


def studies(draws: int, sizes: tuple[int, ...] = SEEDS) -> Iterator[Study]:
    """Every interval in every situation.

    Args:
      draws: simulated data sets behind each.
      sizes: numbers of seeds.
    """
    correct = MEDIANS["steps_to_correct"]
    for n in sizes:
        yield study("median without censoring", n, "none", 0.0, lambda rng, n=n: _middle(rng, n), draws)
        for share in SHARES:
            name = f"{share:.0%}" if share else "none"
            ends = [("T_c", (share, 0.0)), ("both", (share, share))] if share else [("", (0.0, 0.0))]
            about = [(f"{name} of {end}" if end else name, shares) for end, shares in ends]
            one = about[0]
            yield study("T_c", n, one[0], correct, lambda rng, n=n, s=one[1]: _clock(runs(rng, n, s)), draws)
            for label, shares in about:
                yield study(
                    *("position", n, label, POSITION),
                    lambda rng, n=n, s=shares: _ends(spectrum.position(runs(rng, n, s))),
                    draws,
                )
            yield study("P(catastrophe first)", n, name, 0.3, lambda rng, n=n, s=share: _race(rng, n, s), draws)
            label = f"{name} of b" if share else name
            truth = math.log10(2)
            yield study(
                "ratio of medians b / a", n, label, truth, lambda rng, n=n, s=share: _comparison(rng, n, s), draws
            )
        for shift in (4, 8, 10, 12):
            for column in ("concealment", "plain"):
                label = f"log odds moved by {shift}" + (WITHOUT if column == "plain" else "")
                yield study("concealment", n, label, CONCEALMENT, _concealment(n, shift, column), draws)


def _middle(rng: np.random.Generator, seeds: int) -> Interval:
    return _ends(spectrum.middle(pl.DataFrame({"x": rng.normal(size=seeds)}), "x"))


def _concealment(seeds: int, shift: float, column: str) -> Draw:
    return lambda rng: _ends(spectrum.bounded_middle(concealments(rng, seeds, shift), column))


def exact_medians() -> list[int]:
    """The numbers of runs from 2 to 200 for which the Kaplan-Meier median of all times is not the sample median."""
    rng = np.random.default_rng(0)
    times = {n: rng.lognormal(3, 1, n) for n in range(2, 201)}
    return [
        n
        for n, time in times.items()
        if survival.quantile(survival.kaplan_meier(time, np.ones(n, int)))[0] != np.median(time)
    ]


def checks(runs: int, _: int = 0) -> Iterator[Check]:
    """Every interval at 20 seeds covers the truth, the position is identified and unbiased, and medians are exact.

    Args:
      runs: data sets behind each coverage.
    """
    yield judged(
        "statistics", {}, "n whose KM median is not the sample median", [], wrong := exact_medians(), not wrong
    )
    least = NOMINAL - four_errors(NOMINAL, runs)
    for found in studies(runs, (20,)):
        if found.censored.endswith(WITHOUT):
            continue
        about = f"{found.quantity}, {found.censored}"
        yield judged(
            *("statistics", {"n": 20}, f"coverage of the interval of {about}"),
            *(f"at least {least:.3f}", found.coverage, found.coverage >= least),
        )
        if found.quantity == "position" and not found.censored.startswith("45%"):
            yield judged(
                "statistics", {}, f"identified: {about}", ">= 0.95", found.identified, found.identified >= 0.95
            )
            yield judged("statistics", {}, f"bias of {about}", "0", found.bias, abs(found.bias or 0) < 0.02)


def markdown(rows: list[Study]) -> str:
    """The table of docs/statistics.md: a line per quantity and censoring, with coverage by number of seeds.

    The last columns are for 20 seeds, or else for the largest number: see :class:`Study`.
    """
    sizes = sorted({row.seeds for row in rows})
    lines: dict[tuple[str, str], dict[int, Study]] = {}
    for row in rows:
        lines.setdefault((row.quantity, row.censored), {})[row.seeds] = row
    told = 20 if 20 in sizes else sizes[-1]
    head = ["interval of", "censored", *(f"n = {n}" for n in sizes)]
    head += [f"{what}, n = {told}" for what in ("identified", "bias", "open")]
    text = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for (quantity, censored), by_size in lines.items():
        one = by_size[told]
        bias = "-" if one.bias is None else f"{one.bias:+.3f}"
        cells = [
            quantity,
            censored,
            *(f"{by_size[n].coverage:.3f}" for n in sizes),
            f"{one.identified:.2f}",
            bias,
            f"{one.open:.2f}",
        ]
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def main(words: list[str]) -> None:
    """Prints the table; the arguments are the number of draws, and `--out=FILE`."""
    draws = next((int(w) for w in words if w.isdigit()), 2000)
    rows = list(studies(draws))
    for word in words:
        if word.startswith("--out="):
            Path(word.removeprefix("--out=")).write_text(json.dumps([row._asdict() for row in rows], indent=1))
    print(f"KM median differs from the sample median for n in {exact_medians()}\n\n{markdown(rows)}")


if __name__ == "__main__":
    main(sys.argv[1:])
