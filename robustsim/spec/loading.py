"""Loading a scenario: `name`, `path/file.py`, `path/file.py@name` or `package.module:name`."""

import dataclasses
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from robustsim import catalogue
from robustsim.errors import UserError, first_line, nearest
from robustsim.numerics import pinned
from robustsim.spec import sources
from robustsim.spec.scenario import ScenarioFactory

PRIVATE = "_robustsim_scenario_"
FOREIGN = ("gymnax", "craftax", "foragax", "xminigrid", "jumanji", "navix", "brax", "pgx")
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
    path, _, name = (spec, "", "") if spec.endswith(".py") else spec.rpartition("@")
    if path.endswith(".py"):
        return _from_file(Path(path), name)
    if ":" in spec:
        return _from_module(*spec.split(":", 1))
    table = catalogue.installed()
    if spec not in table:
        raise UserError(f"scenario {spec!r} is unknown; {_meant(spec, table)}")
    return _from_file(Path(table[spec].path), spec)


def _meant(spec: str, table: Mapping[str, Any]) -> str:
    """What somebody may have meant who named no scenario."""
    path = Path(spec).with_suffix(".py")
    if path.is_file():
        return f"did you mean {str(path)!r}? The name of a scenario's file ends in .py"
    return "a scenario's file ends in .py" if Path(spec).exists() else nearest(spec, table)


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
    texts = sources.parts(path)
    digest = sources.digest(path, texts)
    package, root = sources.package_of(path) if sources.relative(path) else ("", path.resolve().parent)
    module_name = f"{package}." * bool(package) + f"{PRIVATE}{digest[:12]}"
    if module_name in sys.modules and sys.modules[module_name].__file__ == str(path):
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folders, known = [str(path.parent.resolve()), str(root)], set(sys.modules)
    sys.path[:0] = folders
    try:
        if package:
            importlib.import_module(package)
        sys.modules[module_name] = module
        with pinned():
            spec.loader.exec_module(module)
        _sign(
            module, {"source": str(path.absolute()), "source_hash": digest, "packages": sources.packages(path, texts)}
        )
    except UserError as error:
        sys.modules.pop(module_name, None)
        raise UserError(f"{path}: {error}") from None
    except (Exception, SystemExit) as error:  # whatever a user's file raises becomes one line that names the file
        sys.modules.pop(module_name, None)
        extra = EXTRAS.get(getattr(error, "name", "") or "")
        hint = f"; pip install 'robustsim[{extra}]'" if extra else ""
        raise UserError(f"{path}: does not load: {first_line(error)}{hint}") from error
    finally:
        for folder in folders:
            sys.path.remove(folder)
        _forget(texts, known)
    return module


def _sign(module: ModuleType, about: dict[str, Any]) -> None:
    """Notes in the scenarios that a file defines where they come from."""
    for name, value in list(vars(module).items()):
        if isinstance(value, ScenarioFactory) and value.build.__module__ == module.__name__:
            setattr(module, name, dataclasses.replace(value, **about))


def _forget(texts: Mapping[Path, bytes], known: set[str]) -> None:
    """Takes what a scenario imported from beside it out of `sys.modules`: other folders may use the same names."""
    files = {file.resolve() for file in texts}
    for name in set(sys.modules) - known:
        origin = getattr(sys.modules[name], "__file__", None)
        if origin and PRIVATE not in name and Path(origin).resolve() in files:
            del sys.modules[name]


def _from_module(module_name: str, name: str) -> ScenarioFactory:
    try:
        spec = importlib.util.find_spec(module_name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise UserError(f"module {module_name!r} cannot be found, or has no source file")
    return _from_file(Path(spec.origin), name)
