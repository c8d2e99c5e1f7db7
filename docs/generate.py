"""The pages of the docs that are made from the code: columns.md, api.md, and the tables of glossary.md.

`python docs/generate.py` writes them. A test compares what is there with what this module would write.
"""

import ast
import dataclasses
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import robustsim
from robustsim.analysis import glossary
from robustsim.sweep import columns, trace_columns

FOLDER = Path(__file__).parent
WIDTH = 100  # of a signature in one line
OF_PYTHON = (object, tuple, Exception, BaseException)

SECTIONS = (  # title, where its names live; the first that fits takes a name, and names stand in this order
    (
        "Running",
        ("robustsim.spec.loading", "robustsim.api.run", "robustsim.api.Sweep", "robustsim.api", "robustsim.sweep"),
    ),
    ("Results", ("robustsim.results", "robustsim.sim.policy")),
    ("Attribution", ("robustsim.attribution", "robustsim.analysis.classify")),
    ("Goals", ("robustsim.analysis", "robustsim.probing", "robustsim.valuing")),
    ("Forecasts", ("robustsim.forecasting", "robustsim.forecasts")),
    (
        "Scenarios",
        (
            "robustsim.spec.scenario.scenario",
            "robustsim.spec.scenario.Scenario",
            "robustsim.spec.scenario",
            "robustsim.types.Transition",
            "robustsim.fields.Between",
        ),
    ),
    ("Environments", ("robustsim.envs", "robustsim.types.Step")),
    ("Agents", ("robustsim.agents",)),
    ("Oversight", ("robustsim.oversight",)),
    ("Treatments", ("robustsim.treatments",)),
    ("What is recorded", ("robustsim.records",)),
    ("Parts of your own", ("robustsim.parts", "robustsim.fields")),
    ("Errors", ("robustsim.errors",)),
)
ALSO = (  # what is met without being imported from `robustsim`, or is imported from its own module
    "robustsim.sweep.options.Options",
    "robustsim.envs.layout.GridState",
    "robustsim.envs.layout.Counters",
    "robustsim.envs.layout.LevelParams",
    "robustsim.envs.generators.maze",
    "robustsim.envs.generators.rooms",
    "robustsim.envs.generators.field",
    "robustsim.envs.generators.corridor",
    "robustsim.envs.generators.clutter",
    "robustsim.envs.generators.place",
    "robustsim.envs.generators.distances",
    "robustsim.envs.generators.maze_map",
    "robustsim.errors.StorageError",
)
INTRODUCTION = """# From Python

`import robustsim as rs`. Names are imported on first use. Settings have the same dotted names in Python, on the
command line and as columns; `robustsim show SPEC` lists them with their meaning and their values in a scenario. A type
in front of a shape is an array: `float[B, D]`. What is not called `rs.NAME` here is imported from its module:
`robustsim.envs.layout`, `robustsim.envs.generators`, `robustsim.sweep.options`, `robustsim.errors`.

Made from the code by `python docs/generate.py`.
"""


# --- docstrings ---


def prose(text: str) -> str:
    """A docstring as Markdown: its sections become lists, references to code become code."""
    lines, out = text.splitlines(), []
    while lines:
        line = lines.pop(0)
        if re.fullmatch(r"(Args|Attributes|Raises|Returns):", line):
            body = []
            while lines and (not lines[0] or lines[0].startswith(" ")):
                body.append(lines.pop(0))
            out += [f"{line[:-1]}:", "", *_items(textwrap.dedent("\n".join(body)).strip()), ""]
        else:
            out.append(line)
    return re.sub(r":(?:class|func|meth|mod|attr|data):`([^`]+)`", r"`\1`", "\n".join(out)).strip()


def _items(body: str) -> list[str]:
    """`name: text` with its continuation lines, as entries of a list."""
    items = re.split(r"\n(?=\S)|(?<=\.) (?=[A-Z]\w+: )", body)  # `Raises` names several errors in a line
    return [re.sub(r"^([\w, ]+):", r"- `\1`:", " ".join(item.split()), count=1) for item in items]


# --- signatures ---


def _source(thing: Any) -> Any:
    """The definition of a function, as it was written."""
    return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(thing)))).body[0]


def _written(name: str, parameters: list[str], returns: str) -> str:
    line = f"{name}({', '.join(parameters)}){returns}"
    if len(line) > WIDTH:
        line = "\n".join([f"{name}(", *(f"    {parameter}," for parameter in parameters), f"){returns}"])
    return f"```text\n{line}\n```"


def of_function(name: str, function: Any, bound: bool = False) -> str:
    """The signature of a function or of a method."""
    node = _source(function)
    a = node.args
    positional = [*a.posonlyargs, *a.args]
    defaults = [None] * (len(positional) - len(a.defaults)) + list(a.defaults)
    found = [_parameter(arg, default) for arg, default in zip(positional, defaults, strict=True)]
    found += [f"*{ast.unparse(a.vararg)}"] if a.vararg else ["*"] if a.kwonlyargs else []
    found += [_parameter(arg, default) for arg, default in zip(a.kwonlyargs, a.kw_defaults, strict=True)]
    found += [f"**{ast.unparse(a.kwarg)}"] if a.kwarg else []
    return _written(name, found[bound:], "" if node.returns is None else f" -> {_type(node.returns)}")


def _type(annotation: ast.expr) -> str:
    return ast.unparse(annotation).strip("'")


def _parameter(arg: ast.arg, default: ast.expr | None) -> str:
    annotated = "" if arg.annotation is None else f": {_type(arg.annotation)}"
    equals = " = " if annotated else "="
    return f"{arg.arg}{annotated}" + ("" if default is None else f"{equals}{ast.unparse(default)}")


def of_class(name: str, cls: type) -> str:
    """How a class is called, with its default values."""
    if issubclass(cls, Exception) or not (dataclasses.is_dataclass(cls) or issubclass(cls, tuple)):
        return ""
    found, keywords = [], False
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.name.startswith("_"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keywords:
            found.append("*")
            keywords = True
        given = parameter.default is not parameter.empty
        found.append(f"{parameter.name}={value(parameter.default)}" if given else parameter.name)
    return _written(name, found, "")


def value(default: Any) -> str:
    """A default value in short: that of a settings class by its name, that of a function as dots."""
    if dataclasses.is_dataclass(default):
        return f"{type(default).__name__}()"
    return "..." if callable(default) or str(default).startswith("<") else repr(default)


# --- what a class has ---


def settings_of(cls: type) -> str:
    """The declared settings of a class as a table."""
    declared = [f for f in dataclasses.fields(cls) if "doc" in f.metadata] if dataclasses.is_dataclass(cls) else []
    if not declared:
        return ""
    rows = []
    for field in declared:
        options = [option for option in field.metadata.get("options", ()) if not isinstance(option, bool)]
        meaning = field.metadata["doc"] + (f" ({' or '.join(f'`{option}`' for option in options)})" if options else "")
        rows.append(f"| `{field.name}` | `{value(field.default)}` | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class that say what they do, its own first."""
    seen = {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    for owner in cls.__mro__:
        if owner in OF_PYTHON:
            continue
        for name, member in vars(owner).items():
            if name in seen or name.startswith("_"):
                continue
            seen.add(name)
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(function) and function.__doc__:
                yield name, member


def entry(shown: str, thing: Any) -> str:
    """One name of the page."""
    parts = [f"### {shown}"]
    call = shown.rsplit(".", 1)[-1]
    if not isinstance(thing, type):
        return "\n\n".join([*parts, of_function(call, thing), prose(inspect.getdoc(thing) or "")])
    parts += [of_class(call, thing) if not settings_of(thing) else "", prose(inspect.getdoc(thing) or "")]
    parts.append(settings_of(thing))
    for name, member in members(thing):
        if isinstance(member, property):
            parts.append(f"**{call}.{name}**: {prose(inspect.getdoc(member) or '')}")
        else:
            bound = not isinstance(member, staticmethod)
            function = getattr(member, "__func__", member)
            parts += [f"**{call}.{name}**", of_function(name, function, bound), prose(inspect.getdoc(function) or "")]
    return "\n\n".join(part for part in parts if part)


# --- the pages ---


def _named() -> Iterator[tuple[str, str, Any]]:
    """(where it lives, how it is called here, the thing) of everything on the page, in the order of the stub."""
    for name, (module, original) in robustsim._HOME.items():
        yield f"{module}.{original}", f"rs.{name}", getattr(robustsim, name)
    for dotted in ALSO:
        module, name = dotted.rsplit(".", 1)
        shown = ".".join(dotted.split(".")[-2:])
        yield dotted, shown, getattr(importlib.import_module(module), name)


def _place(home: str) -> tuple[str, str]:
    """(section, home within it) of what lives somewhere."""
    return next((title, h) for title, homes in SECTIONS for h in homes if f"{home}.".startswith(f"{h}."))


def api() -> str:
    """The page about the public names."""
    found: dict[tuple[str, str], list[str]] = {(title, home): [] for title, homes in SECTIONS for home in homes}
    for home, shown, thing in _named():
        found[_place(home)].append(entry(shown, thing))
    parts = [INTRODUCTION.strip()]
    for title, homes in SECTIONS:
        parts += [f"## {title}", *(text for home in homes for text in found[title, home])]
    return "\n\n".join(parts) + "\n"


def columns_page() -> str:
    """The columns of both tables, with their types and units."""

    def table(columns: Any) -> str:
        rows = [f"| `{c.name}` | {c.type.__name__} | {c.unit} | {c.doc} |" for c in columns]
        return "\n".join(["| column | type | unit | meaning |", "|---|---|---|---|", *rows])

    return f"""# Columns

Made from the declarations in `robustsim/sweep/`. A scenario's own counters, measures and columns follow the
ones listed here (see [scenarios](scenarios.md)).

## `runs`: one row per run

Swept settings stand between `seed` and `competence`, under their dotted names.

{table(columns.RUNS)}

## `traces`: one row per run, arm and evaluation

{table(trace_columns.TRACES)}
"""


def pages() -> dict[str, str]:
    """The text of every page that is made, by the name of its file."""
    terms = (FOLDER / "glossary.md").read_text(encoding="utf-8")
    return {"columns.md": columns_page(), "glossary.md": glossary.fill(terms), "api.md": api()}


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(name)
