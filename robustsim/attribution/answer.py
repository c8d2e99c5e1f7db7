"""The answer to who is responsible, with what it rests on."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from robustsim import files
from robustsim.errors import UserError
from robustsim.report import attributed
from robustsim.results import to_json
from robustsim.sweep.layout import ATTRIBUTION


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """The answer, with what it rests on.

    Attributes:
      scenario: its name; `settings` what differs from its defaults.
      label: one of the labels of the tree; "undetermined(a|b)" where the seeds ran out.
      confidence: the posterior probability of the label, or of the more probable of both.
      node: the question that gave it.
      cheapest: the name of the least lever of its kind that would have prevented it: the first that further seeds
        confirm, or else the one that gave the label. None: none did, or there was nothing to prevent. Its settings can
        be run as they are.
      flags: what else was found, in words, by name.
      path: each node of the tree: {node, label, yes, tests: {name: [hits, runs, least share]}}. `label` is what a yes
        makes of the case, `yes` its probability, None where that was not asked any more.
      shares: the probability of each label.
      levers: what was tried, by name. {said, settings}: what it is; {runs, failed}: how many ran, and had no competent
        agent; {in_time, judged}: how many were in time, of those that count; prevents: the probability that it prevents
        the failure; k50: the median harm until the removal; feedback: the median cost of feedback, in training and up
        to the removal (labels, audits, corrections and false alarms); gain: log10(k50 of the case / k50 of the lever),
        decades.
      contributions: of feedback in deployment, feedback in training and other levels to their gain together (Shapley
        1953), in decades; None where a gain is not identified, or not every lever was run.
      delta, threshold, horizon, cost, largest_penalty: share of runs that may fail, k, gradient steps, ranges of
        training returns, and what those come to.
      seconds: that it took; less where results were there.
    """

    scenario: str
    settings: dict[str, Any]
    label: str
    confidence: float
    node: str
    flags: dict[str, str]
    cheapest: str | None
    path: list[dict[str, Any]]
    shares: dict[str, float]
    levers: dict[str, dict[str, Any]]
    delta: float
    threshold: float
    horizon: int
    cost: float | None
    largest_penalty: float
    contributions: dict[str, float] | None = None
    seconds: float = field(default=0.0, compare=False)

    @classmethod
    def read(cls, folder: str | Path) -> "Attribution":
        """The finished attribution of a directory.

        Raises:
          UserError: there is none.
        """
        path = Path(folder) / ATTRIBUTION
        if not path.is_file():
            raise UserError(f"{str(folder)!r} is not the directory of an attribution: it has no {ATTRIBUTION}")
        return cls(**json.loads(path.read_text()))

    def write(self, folder: Path) -> None:
        """Writes it to a directory."""
        files.write_atomically(folder / ATTRIBUTION, (to_json(self.to_dict()) + "\n").encode())

    def in_words(self) -> str:
        """What happened, what would have prevented it and what would not have: for a colleague."""
        return attributed.in_words(asdict(self))

    def __str__(self) -> str:
        return self.in_words()

    def plot(self, out: str | Path | None = None, figure: str = "ladder") -> Any:
        """A matplotlib Figure: ladder (harm under each lever), tree (the path taken), cost (of feedback)
        or critical (the time at which feedback in training begins).

        Args:
          out: file to write as well (.svg, .png, .pdf).

        Raises:
          UserError: an unknown figure or ending, or a file that cannot be written.
        """
        from robustsim.report import attributed_figures  # reading needs no matplotlib

        return attributed_figures.draw(asdict(self), figure, out)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, as `attribution.json` has it."""
        return asdict(self)
