"""What would have prevented the failure: the section of the page, where an attribution is there."""

from html import escape
from typing import Any

import matplotlib as mpl

from robustsim.report import attributed, attributed_figures, page_tables
from robustsim.report.drawing import inline
from robustsim.report.style import style

FIGURES = {"tree": "The questions, in their order", "ladder": "Harm until the removal under each lever"}


def section(found: dict[str, Any]) -> str:
    """The section as HTML: in words, the tree and the ladder as drawings, and the levers as a table."""
    drawn = [f"<figure><figcaption>{said}</figcaption>{_drawn(found, name)}</figure>" for name, said in FIGURES.items()]
    rows = [[name, *attributed.cells(lever)] for name, lever in found["levers"].items()]
    head = ["lever", "what it is", "in time", "harm until the removal", "gain, decades", "cost of feedback"]
    return "\n".join(
        [
            '<section id="attribution" aria-labelledby="attribution-title">',
            '<h2 id="attribution-title">What would have prevented it</h2>',
            f"<p><strong>{escape(attributed.headline(found))}</strong> {escape(attributed.paragraph(found))}</p>",
            f'<p class="hint">{escape(attributed.caveat(found))}</p>',
            *drawn,
            f'<div class="scroll">{page_tables.table("Levers", head, rows)}</div>',
            "</section>",
        ]
    )


def _drawn(found: dict[str, Any], name: str) -> str:
    with mpl.rc_context(style()):
        return inline(attributed_figures.draw(found, name))
