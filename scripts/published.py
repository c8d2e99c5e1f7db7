"""Published results on persistence, on one logarithmic axis: steps until a behaviour was removed, or had returned.

The rows were checked against the paper's text or abstract. The units differ (optimiser steps of language models
on batches of 4 to 64 examples, examples, transitions), so rows cannot be compared with each other or with simulated
ones; simulated rows (medians of docs/gallery.md) are in a separate panel, in gradient steps.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from _common import FIGURES, folder, parser

from robustsim import files
from robustsim.report.figures import save
from robustsim.report.style import COLOURS, QUIET, SETTINGS, new_figure, quiet_axes


class Row(NamedTuple):
    """One published measurement. `open_`: the event had not happened at that count."""

    what: str
    steps: float
    unit: str
    source: str
    direction: str  # "gone": a behaviour was removed; "back": a removed or suppressed one returned
    open_: bool = False


PUBLISHED = (
    Row("emergent misalignment, re-aligned", 30, "SFT steps", "OpenAI, arXiv 2506.19823", "gone"),
    Row("safety of Llama-2-7B-Chat, fine-tuned away", 6, "gradient steps", "Qi et al. 2024", "back"),
    Row("guardrails of GPT-3.5, fine-tuned away", 10, "examples", "Qi et al., arXiv 2310.03693", "back"),
    Row("safe models, shadow-aligned", 100, "examples", "Yang et al. 2023", "back"),
    Row(
        "filtered knowledge, attacked (Deep Ignorance)",
        10_000,
        "fine-tuning steps",
        "O'Brien et al. 2025",
        "back",
        True,
    ),
    Row("SAC primed on 100 transitions, quadruped", 1_000_000, "transitions", "Nikishin et al. 2022", "gone", True),
)
QUALITATIVE = (
    "no step count published: sleeper agents keep about 99% at the trigger after red-team rates fall to 0,",
    "and about 55% vulnerable code, flat over reinforcement learning (Hubinger et al., arXiv 2401.05566)",
)


def simulated(path: Path) -> list[tuple[str, float | None, int]]:
    """(scenario, median T_c or None where censored, budget) from the committed gallery."""
    rows = json.loads(path.read_text())["numbers"]
    table = [(name, r["steps_to_correct"]["median"], r["budget"]) for name, r in rows.items()]
    return sorted(table, key=lambda row: (row[1] is None, row[1] or row[2]))


def draw(ours: list[tuple[str, float | None, int]]) -> Any:
    """The figure: published rows above, simulated below, one axis each."""
    with mpl.rc_context(SETTINGS):
        figure = new_figure(8.4, 2.8 + 0.24 * (len(PUBLISHED) + len(ours)))
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[len(PUBLISHED) + 3, len(ours)])
        for y, row in enumerate(sorted(PUBLISHED, key=lambda r: -r.steps)):
            colour = COLOURS[0] if row.direction == "gone" else COLOURS[3]
            top.plot(row.steps, y, ">" if row.open_ else ("o" if row.direction == "gone" else "s"), color=colour)
            said = f"{row.steps:,.0f} {row.unit}{', not yet' if row.open_ else ''}; {row.source}"
            top.annotate(said, (row.steps, y), xytext=(8, 0), textcoords="offset points", va="center", fontsize=7.5)
        names = [r.what for r in sorted(PUBLISHED, key=lambda r: -r.steps)]
        top.set_yticks(range(len(names)), names, fontsize=8)
        top.set(ylim=(-2.4, len(names) - 0.4))
        top.set_title("Published: each row in its own unit, not comparable")
        for i, line in enumerate(QUALITATIVE):
            top.annotate(line, (1.0, -1.2 - 0.65 * i), fontsize=7, color=QUIET)
        for y, (_, median, budget) in enumerate(ours[::-1]):
            bottom.plot(budget if median is None else median + 1, y, ">" if median is None else "D", color=COLOURS[2])
        bottom.set_yticks(range(len(ours)), [name for name, _, _ in ours[::-1]], fontsize=7.5)
        bottom.set_title("Simulated here: median T_c in gradient steps, plus 1")
        bottom.set(
            xscale="log", xlim=(0.8, 3e8), xlabel="count, in the unit of the row (triangle: not within that count)"
        )
        for ax in (top, bottom):
            quiet_axes(ax)
    return figure


def main(argv: list[str] | None = None) -> None:
    """Writes the figure from the table above and the committed numbers of the gallery."""
    args = parser(__doc__, "published").parse_args(argv)
    stem = (folder(args) if args.quick else FIGURES) / "published"
    figure = draw(simulated(FIGURES / "gallery.json"))
    for ending in (".svg", ".png"):
        save(figure, stem.with_suffix(ending))
    made = {"command": "python scripts/published.py", "rows": [r._asdict() for r in PUBLISHED]}
    files.write_atomically(stem.with_suffix(".json"), (json.dumps(made, indent=2) + "\n").encode())
    print(f"{stem}.png")


if __name__ == "__main__":
    main()
