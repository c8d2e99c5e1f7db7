"""`robustsim new`: commented scenario files to start from."""

import keyword
from importlib.resources import files as resources
from pathlib import Path

from tyro.conf import Positional

from robustsim import files
from robustsim.errors import UserError, nearest

# Names that the templates, and most scenario files, use for something else.
TAKEN = ("rs", "MAP", "jax", "jnp", "gymnax", "dataclasses", "CATCH", "DEFAULTS")
TEMPLATES = ("grid", "foreign", "bandit")  # files of the folder `templates`


def write(name: Positional[str], folder: str = ".", template: str = "grid") -> None:
    """Writes a commented scenario file to start from.

    Args:
        name: name of the scenario; the file is NAME.py.
        folder: directory to write it to.
        template: grid (an ASCII map), foreign (a gymnax environment) or bandit (one decision, exact answers).
    """
    if template not in TEMPLATES:
        raise UserError(f"template: {template!r} is not allowed; {nearest(template, TEMPLATES)}")
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise UserError(f"name: {name!r} is not allowed; use letters, digits and '_', beginning with a letter")
    if name in TAKEN:
        raise UserError(f"name: {name!r} is not allowed: scenario files use it for something else")
    path = Path(folder) / f"{name}.py"
    if path.exists():
        raise UserError(f"name: {str(path)!r} already exists; choose another name")
    text = resources("robustsim.cli").joinpath("templates", f"{template}.txt").read_text(encoding="utf-8")
    files.write_atomically(path, text.replace("{name}", name).encode())
    print(path)
