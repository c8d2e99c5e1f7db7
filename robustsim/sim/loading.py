"""Loading a scenario: `name`, `path/file.py`, `path/file.py@name` or `package.module:name`."""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from robustsim import catalogue
from robustsim.errors import UserError, nearest
from robustsim.sim import scenario as scenarios
from robustsim.sim.scenario import ScenarioFactory

FOREIGN = ("gymnax", "craftax", "xminigrid", "jumanji", "navix", "brax")
EXTRAS = {name: name for name in FOREIGN} | {"six": "gymnax"}  # foreign packages, and the extra that brings them


def load(spec: "str | ScenarioFactory") -> ScenarioFactory:
    """The scenario that `spec` names.

    Raises:
      UserError: nothing has that name (the nearest is offered), or its file does not load.
    """
    if isinstance(spec, ScenarioFactory):
        return spec
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
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    module_name = f"_robustsim_scenario_{digest[:12]}"
    if module_name in sys.modules and sys.modules[module_name].__file__ == str(path):
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    scenarios.set_source(str(path), digest)
    try:
        spec.loader.exec_module(module)
    except UserError as error:
        del sys.modules[module_name]
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # whatever a user's file raises becomes one line that names the file
        del sys.modules[module_name]
        first = str(error).split("\n")[0]
        extra = EXTRAS.get(getattr(error, "name", "") or "")
        hint = f"; pip install 'robustsim[{extra}]'" if extra else ""
        raise UserError(f"{path}: does not load: {type(error).__name__}: {first}{hint}") from error
    finally:
        scenarios.set_source("", "")
        sys.path.remove(str(path.parent.resolve()))
    return module


def _from_module(module_name: str, name: str) -> ScenarioFactory:
    try:
        spec = importlib.util.find_spec(module_name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise UserError(f"module {module_name!r} cannot be found")
    return _from_file(Path(spec.origin), name)
