"""How much of a training would have had to be corrected: the answer, with what it rests on."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from robustsim import files
from robustsim.errors import UserError
from robustsim.report import dosed
from robustsim.results import to_json
from robustsim.sweep.layout import RELABEL


@dataclass(frozen=True, kw_only=True)
class Relabel:
    """How the misbehaviour, or a goal, at deployment start depends on the share of the training that is corrected.

    Attributes:
      scenario: its name; `settings` what differs from its defaults.
      curves: by what was corrected ("rewards", "rewards, targeted", "rewards, last", "levels"): {shares, rate, low,
        high, fit, incompetent, seeds}. The first six hold a number for each share, as it came out: `rate` is the mean
        misbehaviour, or the share of agents that have the goal, with 95% limits over seeds; `fit` falls; `incompetent`
        counts agents that are competent where nothing is corrected and not at that share: their rate counts as
        unchanged. `seeds` counts agents at each share.
      ed50: by the same: {above, at_most, low, high}, the two shares between which half of it goes, and
        95% limits of both. Where more than the largest share is needed, `at_most` and `high` are None.
      concentration: {low, high}, 95% limits of the ED50 at random over the targeted one. None: open to that side.
      influence: of the parts of the training between `edges` (gradient steps): the log odds of misbehaving that a
        corrected gradient step takes away at once, {mean, low, high} over seeds; `chosen`, the windows [start, end) of
        each share that were corrected. None where no rewards were.
      windows: those at random that the influence was held against: {window, predicted, taken} each, the last one by how
        much retraining lowered the rate, seed by seed.
      rank_correlation: {estimate, low, high}, Spearman's, of what the influence predicts for these windows with what
        retraining took away; None where one of them does not vary.
      penalty: on a misbehaviour whose reward is corrected.
      goal: the feature that was asked about; "" where it was the misbehaviour.
      label: {label, confidence} of the goal: "outer-in-training" where at some share at least 9 of 10 agents come
        without it, "inner" where that is so at no share that was tried, "undetermined" where the agents are too few for
        a confidence of .9. None where it was the misbehaviour, which :func:`robustsim.attribute` places.
      seconds: that it took; less where results were there.
    """

    scenario: str
    settings: dict[str, Any]
    curves: dict[str, dict[str, Any]]
    ed50: dict[str, dict[str, float | None]]
    concentration: dict[str, float | None] | None
    influence: dict[str, Any] | None
    windows: list[dict[str, Any]]
    rank_correlation: dict[str, float | None] | None
    penalty: float
    goal: str = ""
    label: dict[str, Any] | None = None
    seconds: float = field(default=0.0, compare=False)

    @classmethod
    def read(cls, folder: str | Path) -> "Relabel":
        """The finished one of a directory.

        Raises:
          UserError: there is none.
        """
        path = Path(folder) / RELABEL
        if not path.is_file():
            raise UserError(f"{str(folder)!r} is not the directory of a relabelling: it has no {RELABEL}")
        return cls(**json.loads(path.read_text()))

    def write(self, folder: Path) -> None:
        """Writes it to a directory."""
        files.write_atomically(folder / RELABEL, (to_json(self.to_dict()) + "\n").encode())

    def in_words(self) -> str:
        """For a colleague."""
        return dosed.in_words(asdict(self))

    def __str__(self) -> str:
        return self.in_words()

    def plot(self, out: str | Path | None = None) -> Any:
        """A matplotlib Figure: misbehaviour over the share that is corrected, and influence over the training.

        Args:
          out: file to write as well (.svg, .png, .pdf).

        Raises:
          UserError: an unknown ending, or a file that cannot be written.
        """
        from robustsim.report import dosed_figure  # reading needs no matplotlib

        return dosed_figure.draw(asdict(self), out)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, as `relabel.json` has it."""
        return asdict(self)
