"""Agents trained again with a share of the training corrected, and the misbehaviour that they arrive with."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from robustsim import api, files
from robustsim.analysis.goals import held
from robustsim.attribution.windows import Window
from robustsim.errors import RunsFailed, UserError
from robustsim.oversight.overseer import LAST as END
from robustsim.results import to_json
from robustsim.sim.agents import is_finding
from robustsim.spec.scenario import ScenarioFactory
from robustsim.spec.settings import Settings
from robustsim.sweep.execution import Execution, Narrate

FILE = "study.json"
AT_THE_START = {
    "training.extension": 0.0,  # the same length for all, or a share of it would mean something else for each
    "deployment.budget": 1,
    "deployment.stop": "catastrophe",
    "deployment.patience": 0.0,
    "deployment.relapse_steps": 0,
    "evaluation.reference": False,
}


class Table(NamedTuple):
    """What N seeds arrive with, at D shares of the training that are corrected.

    Attributes:
      shares: float[D], of the training, as they came out.
      seeds: int[N], whose agents are competent where nothing is corrected.
      rate: float[N, D], misbehaviour, or 1 where there is the goal and 0 where there is none; where an agent is not
        competent, as if nothing were corrected.
      incompetent: bool[N, D], where agents are not competent.
    """

    shares: np.ndarray
    seeds: np.ndarray
    rate: np.ndarray
    incompetent: np.ndarray


@dataclass(frozen=True)
class Study:
    """What is trained again, and how.

    Attributes:
      changes: settings that differ from the scenario's defaults; `case` are all of them.
      shares: growing, the first one 0.
      seeds: agents at every share.
      penalty: on a misbehaviour whose reward is corrected.
      stride: gradient steps of an update.
      goal: the feature of which it is asked whether it is a final goal; "": what is asked for is the misbehaviour.
    """

    factory: ScenarioFactory
    changes: dict[str, Any]
    case: Settings
    folder: Path
    shares: tuple[float, ...]
    seeds: int
    penalty: float
    stride: int
    execution: Execution
    narrate: Narrate | None
    goal: str = ""

    def begin(self) -> None:
        """Notes what the study is, or sees that the folder holds the same one.

        Raises:
          UserError: it holds another.
        """
        what = {
            "scenario": self.factory.name,
            "source": self.factory.source_hash,
            "settings": {name: str(value) for name, value in sorted(self.changes.items())},
            "shares": list(self.shares),
            "seeds": self.seeds,
            "penalty": self.penalty,
            "goal": self.goal,
        }
        path = self.folder / FILE
        if path.is_file():
            if json.loads(path.read_text()) != json.loads(to_json(what)):
                raise UserError(f"out: {str(self.folder)!r} holds another relabelling; use an empty directory")
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, to_json(what).encode())

    @property
    def corrected(self) -> dict[str, Any]:
        """Settings with the penalty of a correction, in all episodes."""
        window = {"training.penalty_from": 0, "training.penalty_until": END, "training.penalty_share": 1.0}
        return {**self.changes, "training.penalty": self.penalty, **window}

    def lengths(self) -> list[int]:
        """The gradient steps of each share: whole updates, at least one; what comes out the same, once."""
        wanted = [share * self.case.training.steps / self.stride for share in self.shares]
        return list(dict.fromkeys(self.stride * (max(1, round(x)) if x else 0) for x in wanted))

    def rewards(self) -> Table:
        """With the rewards of a share of the episodes corrected, drawn at random."""
        points = {"training.penalty_share": list(self.shares)}
        return self._table("rewards", points, self.corrected, self.shares)

    def levels(self) -> Table:
        """With a share of those levels corrected that do not tell goal and proxy apart, drawn at random."""
        least = self.case.env["alpha"]
        points = {"env.alpha": [least + (1 - least) * share for share in self.shares]}
        return self._table("levels", points, self.changes, self.shares)

    def within(self, name: str, windows: Sequence[Window]) -> Table:
        """With all rewards of a window corrected, one for each length."""
        shares = [(window.end - window.start) / self.case.training.steps for window in windows]
        return self._table(name, between(windows), self.corrected, shares)

    def rates(self, name: str, points: dict[str, list[Any]], changes: dict[str, Any], seeds: int) -> dict[Any, float]:
        """What is asked for, of competent agents at deployment start, by (seed, values of the point).

        The points are values side by side.
        """
        others = {key: value for key, value in changes.items() if key not in points}
        settings = {**others, **AT_THE_START, **({"evaluation.goals": True} if self.goal else {})}
        sweep = api.Sweep(self.factory, points, seeds=seeds, design="zip", settings=settings)
        try:
            results = sweep.run(self.folder / name, execution=self.execution, narrate=self.narrate)
        except RunsFailed as error:
            if error.results is None or not all(map(is_finding, error.results.failed["why"])):
                raise
            results = error.results
        runs = held(results, self.goal) if self.goal else results.runs.with_columns(rate=self._worse())
        rows = runs.select("seed", *points, "rate").rows()
        return {(seed, tuple(point)): rate for seed, *point, rate in rows}

    def _worse(self) -> pl.Expr:
        """The rate in the worse condition, where there are two."""
        both = ("misbehaviour_watched", "misbehaviour_unwatched")
        return pl.max_horizontal(*both) if self.case.overseer.visible else pl.mean_horizontal(*both)

    def _table(
        self, name: str, points: dict[str, list[Any]], changes: dict[str, Any], shares: Sequence[float]
    ) -> Table:
        found = self.rates(name, points, changes, self.seeds)
        at = list(zip(*points.values(), strict=True))
        able = [seed for seed in range(self.seeds) if (seed, at[0]) in found]
        if len(able) < 2:
            raise UserError(f"training.competence: {len(able)} of {self.seeds} agents are competent; train for longer")
        rate = np.array([[found.get((seed, point), found[seed, at[0]]) for point in at] for seed in able])
        if rate[:, 0].mean() <= self.case.evaluation.threshold:
            lack = f"have no final goal {self.goal!r}" if self.goal else "do not misbehave"
            raise UserError(f"scenario: {self.factory.name!r} is not allowed: its agents {lack}")
        missing = np.array([[(seed, point) not in found for point in at] for seed in able])
        return Table(np.array(shares), np.array(able), rate, missing)


def between(windows: Sequence[Window]) -> dict[str, list[Any]]:
    """Settings of feedback in windows of the training, side by side."""
    return {"training.penalty_from": [w.start for w in windows], "training.penalty_until": [w.end for w in windows]}
