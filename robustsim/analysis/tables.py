"""Finished results as tables, with the questions one asks of them. Needs no JAX."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Self

import polars as pl

from robustsim.analysis import compare, configurations, measures, selection, spectrum, verdict
from robustsim.errors import UserError


class Tables:
    """The tables of one run or sweep: what analysis and reports work on. Users hold a `Results`, which can also draw.

    Its docstring explains the attributes.
    """

    def __init__(
        self,
        runs: pl.DataFrame,
        traces: pl.DataFrame | Callable[[], pl.DataFrame],
        manifest: dict[str, Any],
        complete: bool = True,
        failed: pl.DataFrame | None = None,
        factory: Any = None,
    ) -> None:
        self.runs = runs
        self.manifest = manifest
        self.complete = complete
        self.failed = pl.DataFrame(schema={"seed": pl.Int64, "why": pl.String}) if failed is None else failed
        self.factory = factory
        self._traces = traces

    @property
    def traces(self) -> pl.DataFrame:
        """One row per run, arm and evaluation; read when it is first asked for."""
        if callable(self._traces):
            self._traces = self._traces()
        return self._traces

    @property
    def scenario(self) -> str:
        """The scenario's name."""
        return self.manifest["what"]["scenario"]

    @property
    def settings(self) -> dict[str, Any]:
        """Every dotted name that was not swept, with its value."""
        return self.manifest["what"]["settings"]

    @property
    def swept(self) -> tuple[str, ...]:
        """The dotted names that were swept."""
        return tuple(self.manifest["what"]["swept"])

    @property
    def chosen(self) -> dict[str, Any]:
        """The values that :meth:`where` chose, by swept name."""
        return self.manifest["what"].get("chosen", {})

    def where(self, point: Mapping[str, Any]) -> Self:
        """The results of those configurations of a sweep that have these values; what is given is no longer swept.

        Args:
          point: a value (or a word, as on the command line) for each of some swept names.

        Raises:
          UserError: a name that was not swept, a value that is not there, or a combination that is not.
        """
        if not point:
            return self
        found = selection.values_of(self.runs, self.swept, point, "where")
        runs = selection.rows(self.runs, found)
        if runs.is_empty():
            raise UserError(f"where: {found} is not in the sweep; it has {self.manifest['what']['swept']}")
        left = {name: values for name, values in self.manifest["what"]["swept"].items() if name not in found}
        chosen = {**self.chosen, **found}
        what = {**self.manifest["what"], "settings": {**self.settings, **found}, "swept": left, "chosen": chosen}

        def traces() -> pl.DataFrame:
            return self.traces.filter(pl.col("run_id").is_in(runs["run_id"].implode()))

        failed = self.failed if self.failed.is_empty() else selection.rows(self.failed, found)
        manifest = {**self.manifest, "what": what}
        left_out = failed.drop(found, strict=False)
        return type(self)(runs.drop(found), traces, manifest, self.complete, left_out, self.factory)

    def spectrum(self) -> pl.DataFrame:
        """One row per configuration: verdict, P(catastrophe first), clocks, margin, inertia, position and counts."""
        return configurations.spectrum(self.runs, self.swept, self.settings)

    def verdict(self, delta: float = verdict.DELTA) -> dict[str, Any]:
        """What the runs of the only configuration decide: the verdict, its posterior, and what it rests on.

        Args:
          delta: the share of runs that may be otherwise.

        Raises:
          UserError: there are several configurations, or delta is not between 0 and 1.
        """
        self.check_one("verdict")
        if not 0 < delta < 1:
            raise UserError(f"delta: {delta!r} is not allowed; use a number between 0 and 1")
        return verdict.verdict(self.runs, self.settings, delta)

    def compare(self, name: str, a: Any, b: Any, quantity: str = "steps_to_correct") -> dict[str, Any]:
        """A time at two values of a swept setting, seed by seed: sign test, signed ranks, ratio of medians, log-rank.

        Both configurations share their random numbers, so pairs tell more than two separate intervals. Censoring leaves
        some pairs without an order; the p-values come with the bounds that this leaves.

        Args:
          name: of the setting, the only one that is still swept.
          a, b: two of its values (or words, as on the command line).
          quantity: a column of `runs` that begins with `steps_to_` and has a lower bound.

        Returns:
          name, a, b, quantity, pairs; sign: {higher, lower, ties, unknown, p, p_high}, in how many pairs b is higher
          or lower than a; wilcoxon: {p_low, p_high}; median_ratio: {estimate, low, high} of b / a; log_rank: {p}.

        Raises:
          UserError: a name that was not swept, a value that is not there, other settings that are still swept,
            or a quantity that is not such a time.
        """
        here, there = (selection.values_of(self.runs, self.swept, {name: x}, "compare")[name] for x in (a, b))
        if here == there:
            raise UserError(f"compare {name}: {a!r} and {b!r} are the same value; give two of those that were swept")
        others = [x for x in self.swept if x != name and self.runs[x].n_unique() > 1]
        if others:
            left = ", ".join(f"{x}: ..." for x in others)
            raise UserError(f"compare {name}: {', '.join(others)} varies too; choose its value with where({{{left}}})")
        return compare.compare(self.runs, name, here, there, quantity)

    def stakes(self) -> pl.DataFrame:
        """The stakes curve of the only configuration: P(H >= k), the share of runs that had done so much harm.

        H is how high the catastrophe rule stood at most up to T_c, so this is P(catastrophe first) for every threshold
        k, from one set of runs. A row for every k at which it changes, with `estimate`, and `most`, which counts runs
        that were never corrected at every k; `low` and `high` are 95% limits of the one and of the other.

        Raises:
          UserError: there are several configurations.
        """
        self.check_one("stakes")
        return measures.stakes(self.runs)

    def summary(self) -> dict[str, Any]:
        """The answer for one configuration, as `robustsim run --json` prints it. None: not identified.

        Raises:
          UserError: there are several configurations.
        """
        self.check_one("summary")
        runs, found = self.runs, self.verdict()
        return {
            "scenario": self.scenario,
            "config": self.settings,
            "seeds": len(runs),
            "failed": dict(sorted(Counter(self.failed["why"].to_list()).items())),
            "competence": spectrum.middle(runs, "competence"),
            "misbehaviour": {
                "watched": spectrum.middle(runs, "misbehaviour_watched"),
                "unwatched": spectrum.middle(runs, "misbehaviour_unwatched"),
            },
            "steps_to_correct": spectrum.clock(runs, "steps_to_correct"),
            "steps_to_correct_unwatched": spectrum.clock(runs, "steps_to_correct_unwatched"),
            "steps_to_suppress": spectrum.clock(runs, "steps_to_suppress"),
            "steps_to_catastrophe": spectrum.clock(runs, "steps_to_catastrophe"),
            "position": spectrum.position(runs),
            "p_catastrophe_first": spectrum.catastrophe_first(runs),
            "concealment": spectrum.bounded_middle(runs, "concealment"),
            "corrections": spectrum.middle(runs, "corrections"),
            "relapsed": spectrum.share(runs["relapsed"].drop_nulls()),
            "incapacitated": spectrum.share(runs["incapacitated"]),
            "expected_misbehaviours": spectrum.middle(runs, "expected_misbehaviours"),
            "feedback_cost": spectrum.middle(runs, "feedback_cost"),
            "tampering": spectrum.middle(runs, "tampering"),
            "steps_to_redirect": spectrum.clock(runs, "steps_to_redirect"),
            "steps_to_fade": spectrum.clock(runs, "steps_to_fade"),
            "steps_to_control": spectrum.clock(runs, "steps_to_control"),
            "speed_up": measures.speed_up(runs),
            "inertia": measures.inertia(runs),
            "floor": spectrum.middle(runs, "floor"),
            "reference_competence": spectrum.middle(runs, "reference_competence"),
            "harm": measures.bounded(runs, "harm"),
            "margin": measures.bounded(runs, "margin"),
            "outcomes": measures.outcomes(runs),
            "verdict": found,
            "placement": verdict.PLACED.get(found["verdict"]),
            **self._defended(),
        }

    def check_one(self, question: str) -> None:
        """Raises UserError, in the name of a question, where there are several configurations."""
        count = self._configurations()
        if count > 1:
            names = ", ".join(self.swept)
            raise UserError(f"{question}: {count} configurations have none in common; use where({{{names}: ...}})")

    def _configurations(self) -> int:
        return self.runs.select(self.swept).n_unique() if self.swept else 1

    def _defended(self) -> dict[str, Any]:
        runs = spectrum.behind_defences(self.runs)
        if runs is None:
            return {}
        return {
            "defended": {
                "steps_to_catastrophe": spectrum.clock(runs, "steps_to_catastrophe"),
                "position": spectrum.position(runs),
                "p_catastrophe_first": spectrum.catastrophe_first(runs),
                "shutdown": spectrum.share(runs["steps_to_shutdown"].is_not_null()),
            }
        }

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} failed" if len(self.failed) else ""
        about = f"{type(self).__name__}({self.scenario!r}, {len(self.runs)} runs{failed}"
        count = self._configurations()
        if count > 1:
            return f"{about}, {count} configurations of {', '.join(self.swept)})"
        position = spectrum.position(self.runs)
        shown = "not identified" if position["median"] is None else f"{position['median']:+.2f}"
        return f"{about}, verdict {self.verdict()['verdict']!r}, position {shown})"
