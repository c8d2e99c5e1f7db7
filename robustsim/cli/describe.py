"""The commands that look and compute nothing: list, show, doctor."""

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from robustsim import catalogue, files
from robustsim.cli.options import Json, Spec
from robustsim.sweep import compiled
from robustsim.sweep.execution import usable_cores


def list_scenarios(as_json: Json = False) -> None:
    """Lists the installed scenarios with their claims."""
    entries = sorted(catalogue.installed().values(), key=lambda entry: entry.name)
    if as_json:
        print(json.dumps([{"name": e.name, "claim": e.claim} for e in entries], indent=2))
        return
    width = max((len(e.name) for e in entries), default=0)
    for entry in entries:
        print(f"{entry.name:<{width}}  {entry.claim}")


def show(spec: Spec, as_json: Json = False) -> None:
    """Shows a scenario: parameters, defaults, maps, source hash."""
    from robustsim.spec import levels
    from robustsim.spec.loading import load
    from robustsim.spec.settings import documented, names

    factory = load(spec)
    defaults, meaning = names(factory), documented(factory)
    scenario = factory(**factory.defaults)
    pictures, legend = levels.drawings(scenario), scenario.env.legend
    if as_json:
        what: dict[str, Any] = {"name": factory.name, "claim": factory.claim, "source_sha256": factory.source_hash}
        what |= {"defaults": {k: _plain(v) for k, v in defaults.items()}, "maps": pictures}
        what["legend"] = {sign.symbol: sign.meaning for sign in legend}
        print(json.dumps(what, indent=2))
        return
    print(f"{factory.name}: {factory.claim}\n")
    for title, picture in pictures.items():
        print(f"a level of {title}:\n{picture}\n")
    if pictures and legend:
        print(f"in both:\n{levels.in_words(legend)}\n")
    width = max(map(len, defaults))
    for name, value in defaults.items():
        print(f"{name:<{width}}  {_plain(value)!s:<12} {meaning.get(name, '')}")
    print(f"\nsource  {Path(factory.source).name}  sha256 {factory.source_hash[:16]}")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and value in (float("inf"), float("-inf")) else value


def doctor(as_json: Json = False) -> None:
    """Shows versions, devices, cores and caches."""
    import jax

    cache = files.cache_folder()
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": usable_cores(),
        "devices": [str(device) for device in jax.devices()],
        "cache": str(cache),
        "cached_agents": len(list((cache / "agents").glob("*.npz"))),
        "programs": str(compiled.folder()),
        "cached_programs": len(list(compiled.folder().glob("*-cache"))),
        "megabytes_of_programs": round(compiled.size(compiled.folder()) / 1e6, 1),
    }
    for package in ("robustsim", "jax", "flax", "optax", "chex", "numpy", "scipy", "polars", "matplotlib", "gymnax"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name:<16} {value}")
