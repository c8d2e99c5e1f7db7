"""robustsim: how many gradient steps until a misbehaviour is really gone, and how many until it is too late?

Names are imported when they are first used, so that reading a finished sweep needs no JAX and `--help` is instant. The
stub beside this file says which names there are and where they live, to type checkers and to this module.
"""

import ast
import importlib
from pathlib import Path
from typing import Any

from robustsim.version import VERSION as __version__

_HOME = {
    alias.asname or alias.name: (node.module or "", alias.name)
    for node in ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}
_HOME["open"] = _HOME.pop("open_results")

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'robustsim' has no attribute {name!r}")
    module, original = _HOME[name]
    return getattr(importlib.import_module(module), original)


def __dir__() -> list[str]:
    return sorted(__all__)
