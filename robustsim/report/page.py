"""One self-contained HTML page about some results: it opens from a file and needs no network."""

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from robustsim.analysis.tables import Tables
from robustsim.errors import UserError
from robustsim.recording import Recording
from robustsim.report import page_attribution, page_data, page_goals, page_tables, page_traces, place, words

SCRIPTS = ("base", "plane", "strip", "runs", "curves", "heat", "player", "dossier", "main")
STYLES = ("page", "charts")
ENDINGS = (".html", ".htm")


def build(
    results: Tables,
    replays: Sequence[Recording] = (),
    note: str = "",
    folder: str = "",
    attribution: dict[str, Any] | None = None,
) -> str:
    """The page as HTML.

    Args:
      replays: recordings of some of its runs.
      note: why replays are missing, if they are.
      folder: the results directory, as commands on the page name it.
      attribution: what would have prevented the failure, where that was asked.
    """
    runs = page_data.held(results)
    data = page_data.payload(results, runs)
    counts, packed = page_traces.traces(runs, results.traces)
    data |= {"evaluations": counts, "folder": folder or "DIR", "note": note}
    data["replays"] = [page_traces.replay(recording) for recording in replays]
    answer = words.answer(results)
    if not results.complete and results.failed.is_empty():
        answer.append("The sweep is not complete: these are the runs that have finished.")
    parts = {
        "title": escape(f"{results.scenario}: in time, or too late?"),
        "style": "\n".join(_template(f"{name}.css") for name in STYLES),
        "scenario": escape(results.scenario),
        "question": escape(results.manifest["what"].get("claim", "")),
        "answer": "\n".join(f"<p>{escape(sentence)}" for sentence in answer),
        "attribution": "" if attribution is None else page_attribution.section(attribution),
        "goals": page_goals.section(results),
        "provenance": _provenance(results),
        "settings": _settings(results),
        "runs_table": page_tables.runs_table(runs, results.swept, len(results.runs)),
        "configs_table": page_tables.configs_table(data["configs"]),
        "curves_table": page_tables.curves_table(data["curves"], data["budget"]),
        "grid_table": page_tables.grid_table(results, data["configs"]) or "<p>The same numbers as in the spectrum.",
        "data": embedded(data),
        "traces": packed,
        "script": "\n".join(_template(f"{name}.js") for name in SCRIPTS),
    }
    page = _template("page.html")
    pieces = page.split("{{")
    # Filled from left to right in one pass, so that nothing in the data can be taken for a place to fill.
    return pieces[0] + "".join(parts[name] + rest for name, _, rest in (p.partition("}}") for p in pieces[1:]))


def _template(name: str) -> str:
    return resources("robustsim.report").joinpath("template", name).read_text(encoding="utf-8")


def embedded(data: Any) -> str:
    """JSON that can stand inside a script element, whatever words are in it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _provenance(results: Tables) -> str:
    manifest = results.manifest
    what = manifest["what"]
    rows = {
        "made by": ", ".join(f"{name} {version}" for name, version in manifest["versions"].items()),
        "on": manifest.get("device", ""),
        "written": manifest.get("written", ""),
        "command": manifest.get("command", ""),
        "seeds": f"{len(what['seeds'])} per configuration",
        "scenario source": f"sha256 {what['source_sha256'][:16]}" if what["source_sha256"] else "",
    }
    return "".join(f"<div><dt>{escape(name)}<dd>{escape(str(x))}</div>" for name, x in rows.items() if x)


def _settings(results: Tables) -> str:
    rows = [[name, words.value(x)] for name, x in results.settings.items()]
    rows += [[name, "swept"] for name in results.swept]
    return page_tables.table("Settings", ["name", "value"], sorted(rows))


def check_out(out: str | Path) -> None:
    """Raises UserError where a page cannot be written there."""
    if Path(out).suffix.lower() not in ENDINGS:
        raise UserError(f"out: {str(out)!r} has another ending than a page; use {' or '.join(ENDINGS)}")
    place.check(out)


def write(
    results: Tables,
    out: str | Path,
    replays: Sequence[Recording] = (),
    note: str = "",
    folder: str = "",
    attribution: dict[str, Any] | None = None,
) -> Path:
    """Writes the page; arguments as :func:`build`.

    Raises:
      UserError: the file cannot be written; nothing is left behind.
    """
    check_out(out)
    place.write(out, build(results, replays, note, folder, attribution).encode())
    return Path(out)
