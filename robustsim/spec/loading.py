"""Loading a scenario: `name`, `path/file.py`, `path/file.py@name` or `package.module:name`."""

import ast
import dataclasses
import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from robustsim import catalogue
from robustsim.errors import UserError, nearest
from robustsim.spec.scenario import ScenarioFactory

FOREIGN = ("gymnax", "craftax", "xminigrid", "jumanji", "navix", "brax")
EXTRAS = {name: name for name in FOREIGN} | {"six": "gymnax"}  # foreign packages, and the extra that brings them


def load(spec: "str | ScenarioFactory") -> ScenarioFactory:
    """The scenario that `spec` names.

    Raises:
      UserError: nothing has that name (the nearest is offered), or its file does not load.
    """
    if isinstance(spec, ScenarioFactory):
        return spec
    if not isinstance(spec, str | os.PathLike):
        raise UserError(f"scenario: {spec!r} is not allowed; use a name, a file, or what @rs.scenario made")
    spec = os.fspath(spec)
    path, _, name = spec.partition("@")
    if path.endswith(".py"):
        return _from_file(Path(path), name)
    if ":" in spec:
        return _from_module(*spec.split(":", 1))
    table = catalogue.installed()
    if spec not in table:
        raise UserError(f"scenario {spec!r} is unknown; {nearest(spec, table)}")
    return _from_file(Path(table[spec].path), spec)


def _from_file(path: Path, name: str) -> ScenarioFactory:
    if not path.is_file():
        raise UserError(f"scenario file {str(path)!r} does not exist")
    names = [entry.name for entry in catalogue.entries_of(path)]
    if not names:
        raise UserError(f"{path}: defines no scenario; decorate a function with @rs.scenario")
    if not name and len(names) > 1:
        raise UserError(
            f"{path}: defines {len(names)} scenarios; choose one: {', '.join(f'{path}@{n}' for n in names)}"
        )
    name = name or names[0]
    if name not in names:
        raise UserError(f"{path}: has no scenario {name!r}; {nearest(name, names)}")
    return getattr(_execute(path), name)


def _execute(path: Path) -> ModuleType:
    """Runs a scenario file as a module of a private name, with its folder open for sibling imports."""
    digest = source_digest(path)
    module_name = f"_robustsim_scenario_{digest[:12]}"
    if module_name in sys.modules and sys.modules[module_name].__file__ == str(path):
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    known = set(sys.modules)
    try:
        spec.loader.exec_module(module)
        _sign(module, str(path), digest)
    except UserError as error:
        del sys.modules[module_name]
        raise UserError(f"{path}: {error}") from None
    except (Exception, SystemExit) as error:  # whatever a user's file raises becomes one line that names the file
        del sys.modules[module_name]
        first = str(error).split("\n")[0]
        extra = EXTRAS.get(getattr(error, "name", "") or "")
        hint = f"; pip install 'robustsim[{extra}]'" if extra else ""
        raise UserError(f"{path}: does not load: {type(error).__name__}: {first}{hint}") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
        _forget_siblings(path, known)
    return module


def _sign(module: ModuleType, path: str, digest: str) -> None:
    """Notes in the scenarios that a file defines where they come from."""
    for name, value in list(vars(module).items()):
        if isinstance(value, ScenarioFactory) and value.build.__module__ == module.__name__:
            setattr(module, name, dataclasses.replace(value, source=path, source_hash=digest))


def _siblings(path: Path) -> list[Path]:
    """The files beside a scenario file that it imports, by reading it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    beside = (path.parent / f"{name}.py" for name in sorted(names))
    return [file for file in beside if file.is_file() and file.resolve() != path.resolve()]


def source_digest(path: Path) -> str:
    """sha256 of a scenario file; where it imports files beside it, of all of them together."""
    texts: dict[Path, bytes] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file not in texts:
            texts[file] = file.read_bytes()
            waiting += _siblings(file)
    if len(texts) == 1:
        return hashlib.sha256(texts[path]).hexdigest()
    parts = sorted((file.name, hashlib.sha256(text).hexdigest()) for file, text in texts.items())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _forget_siblings(path: Path, known: set[str]) -> None:
    """Takes what was imported from the file's folder out of `sys.modules`: another folder may use the same names."""
    for name in set(sys.modules) - known:
        origin = getattr(sys.modules[name], "__file__", None)
        if origin and not name.startswith("_robustsim") and Path(origin).parent.resolve() == path.parent.resolve():
            del sys.modules[name]


def _from_module(module_name: str, name: str) -> ScenarioFactory:
    try:
        spec = importlib.util.find_spec(module_name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise UserError(f"module {module_name!r} cannot be found, or has no source file")
    return _from_file(Path(spec.origin), name)
