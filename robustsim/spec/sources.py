"""What a scenario is made of: its file, what that imports from beside it, and the data files that it names.

Found by reading, never by running: whether a scenario is the one that results were made with is known before it runs.
"""

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from robustsim.errors import UserError


def parts(path: Path) -> dict[Path, bytes]:
    """Every file that a scenario is made of, with what is in it.

    Raises:
      UserError: a data file that it names is not there.
    """
    texts: dict[Path, bytes] = {}
    waiting, met = [path], {path.resolve()}
    while waiting:
        file = waiting.pop()
        texts[file] = file.read_bytes()
        for other in _imported(file, path.parent, met):
            if other.resolve() not in met:
                met.add(other.resolve())
                waiting.append(other)
    return texts | {file: _data(path, file) for file in _named(path)}


def digest(path: Path, texts: Mapping[Path, bytes] | None = None) -> str:
    """sha256 of a scenario file; where it is made of several files, of all of them together.

    Args:
      texts: its :func:`parts`, where they have been read already; also below.
    """
    texts = parts(path) if texts is None else texts
    if len(texts) == 1:
        return hashlib.sha256(texts[path]).hexdigest()
    table = sorted((file.name, hashlib.sha256(text).hexdigest()) for file, text in texts.items())
    return hashlib.sha256(repr(table).encode()).hexdigest()


def packages(path: Path, texts: Mapping[Path, bytes] | None = None) -> tuple[str, ...]:
    """The top-level names of what is imported from elsewhere, the standard library aside."""
    files = [file for file in (parts(path) if texts is None else texts) if file.suffix == ".py"]
    names = {name.partition(".")[0] for file in files for _, name in _names(_tree(file)) if name}
    beside = {file.stem for file in files} | {file.parent.name for file in files}
    return tuple(sorted(names - set(sys.stdlib_module_names) - beside - {"robustsim"}))


def relative(path: Path) -> bool:
    """Whether a file imports from its own package by leading dots."""
    return any(level for level, _ in _names(_tree(path)))


def package_of(path: Path) -> tuple[str, Path]:
    """(dotted name of the package that a file lies in, the folder that the package lies in); "" where it is in none."""
    folder, names = path.resolve().parent, []
    while (folder / "__init__.py").is_file():
        names.append(folder.name)
        folder = folder.parent
    return ".".join(reversed(names)), folder


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(level, dotted name) of everything that is imported; level 0 is absolute, 1 the file's own folder, and so on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = f"{node.module}." if node.module else ""
            yield from ((node.level, module + alias.name) for alias in node.names)


def _imported(file: Path, folder: Path, met: set[Path]) -> list[Path]:
    """The Python files in `folder`, or above `file`, that a file imports; of a package, all.

    Args:
      met: the folders of packages that were found before, in which there is nothing new; added to.
    """
    found: list[Path] = []
    package, root = package_of(file)
    for level, name in _names(_tree(file)):
        first = name.partition(".")[0]
        if not level and first == "robustsim":  # this package, also where a clone of it lies beside
            continue
        beside = root if first == package.partition(".")[0] else folder
        base = file.resolve().parents[level - 1] if level else beside
        if (base / f"{first}.py").is_file():
            found.append(base / f"{first}.py")
        elif (base / first).is_dir() and (base / first).resolve() not in met:
            met.add((base / first).resolve())
            found += sorted((base / first).rglob("*.py"))
        if level and (base / "__init__.py").is_file():
            found.append(base / "__init__.py")
    return found


def _named(path: Path) -> list[Path]:
    """The data files that `@rs.scenario(files=[...])` names, beside the scenario's file."""
    found: list[Path] = []
    for node in _tree(path).body:
        for call in getattr(node, "decorator_list", ()):
            for keyword in getattr(call, "keywords", ()):
                if keyword.arg == "files" and ast.unparse(call.func).split(".")[-1] == "scenario":
                    found += [path.parent / name for name in _literal(path, keyword.value)]
    return found


def _literal(path: Path, value: ast.expr) -> list[str]:
    try:
        names = ast.literal_eval(value)
    except ValueError:
        names = None
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: files: {ast.unparse(value)} is not allowed; use a list of file names, written out")
    return list(names)


def _data(path: Path, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: files: {file.name!r} cannot be read: {error.strerror or error}") from None
