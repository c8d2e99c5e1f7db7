"""A figure that stands in the page itself."""

from io import StringIO

import matplotlib as mpl
from matplotlib.figure import Figure

from robustsim.report.style import style


def inline(figure: Figure) -> str:
    """The figure as HTML, on white whatever the theme."""
    buffer = StringIO()
    with mpl.rc_context(style()):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawing = buffer.getvalue()
    return f'<div class="drawing">{drawing[drawing.index("<svg") :]}</div>'
