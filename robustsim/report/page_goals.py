"""What was a goal, and what became of it: the section of the page, where goals were measured."""

from html import escape

from robustsim.analysis.goals import features_in, goals
from robustsim.analysis.tables import Tables
from robustsim.report import figures, goal_tables, page_tables
from robustsim.report.drawing import inline


def section(results: Tables) -> str:
    """The section as HTML: the goal trace beside the behaviour trace, and a table of one configuration."""
    if not features_in(results.traces):
        return ""
    table = "" if results.swept else page_tables.table("Goals", goal_tables.HEAD, goal_tables.rows(goals(results)))
    return "\n".join(
        [
            '<section id="goals" aria-labelledby="goals-title">',
            '<h2 id="goals-title">Is the goal gone, or only the misbehaviour?</h2>',
            f'<p class="hint">{escape(goal_tables.EXPLAINED)}</p>',
            f"<figure><figcaption>What the agents did, and what their value estimates went with</figcaption>"
            f"{inline(figures.draw(results, 'goals'))}</figure>",
            f'<div class="scroll">{table}</div>' if table else "",
            "</section>",
        ]
    )
