"""Which scenarios exist, found by reading source files and never by running them."""

import ast
import contextlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from robustsim.errors import UserError

GROUP = "robustsim.scenarios"
BUNDLED = "robustsim_scenarios"


@dataclass(frozen=True)
class Entry:
    """One scenario as its source file describes it."""

    name: str
    claim: str
    path: str


def scenario_files() -> list[Path]:
    """Python files of the bundled package and of every installed package that offers scenarios."""
    modules = {BUNDLED, *(entry.value for entry in importlib.metadata.entry_points(group=GROUP))}
    files: list[Path] = []
    for module in sorted(modules):
        with contextlib.suppress(ImportError, ValueError):
            spec = importlib.util.find_spec(module)
            folders = spec.submodule_search_locations if spec else None
            for folder in folders or ():
                files += sorted(p for p in Path(folder).glob("*.py") if not p.name.startswith("_"))
            if spec and spec.origin and not folders:
                files.append(Path(spec.origin))
    return files


def entries_of(path: Path) -> list[Entry]:
    """The scenarios of one file, by reading it.

    Raises:
      UserError: the file cannot be read or is not Python.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise UserError(f"{path}: line {error.lineno}: syntax error: {error.msg}") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    found = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        if "scenario" in map(_called, node.decorator_list):
            if any(entry.name == node.name for entry in found):
                raise UserError(f"{path}: line {node.lineno}: scenario {node.name!r} is defined twice")
            claim = (ast.get_docstring(node) or "").split("\n")[0]
            found.append(Entry(node.name, claim, str(path)))
    return found


def _called(decorator: ast.expr) -> str:
    """The last part of a decorator's name, with or without arguments."""
    return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator).split(".")[-1]


def installed() -> dict[str, Entry]:
    """All scenarios that can be loaded by name.

    Raises:
      UserError: two files define the same name.
    """
    table: dict[str, Entry] = {}
    for path in scenario_files():
        for entry in entries_of(path):
            other = table.setdefault(entry.name, entry)
            if other.path != entry.path:
                raise UserError(f"scenario {entry.name!r} is defined twice: in {other.path} and in {entry.path}")
    return table
