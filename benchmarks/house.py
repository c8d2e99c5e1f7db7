"""Is the package still easy to change? Short functions, few parameters, no import circles; and how large it is.

Checks robustsim/**/*.py by reading it, without importing it. Exit status 1 with the offenders if a rule is broken.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "robustsim"
MOST_LINES = 60  # of a function, its docstring not counted
MOST_PARAMETERS = 8  # self and cls not counted
APART = ("agents", "treatments")  # folders that grow with every learner and treatment, not with the simulator

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


class Function(NamedTuple):
    """A function of the package: where it is, its lines without its docstring, and its parameters without self."""

    place: str
    lines: int
    parameters: int


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; a package has the name of its folder."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def functions(path: Path, tree: ast.Module) -> Iterator[Function]:
    """The functions of a module, methods and nested ones included."""
    methods = {id(node) for body in ast.walk(tree) if isinstance(body, ast.ClassDef) for node in body.body}
    for node in ast.walk(tree):
        if isinstance(node, AnyFunction):
            place = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            yield Function(place, _lines(node), _parameters(node, id(node) in methods))


def _lines(node: AnyFunction) -> int:
    first = node.body[0]
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    docstring = first.end_lineno - first.lineno + 1 if told and first.end_lineno else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def _parameters(node: AnyFunction, is_method: bool) -> int:
    a = node.args
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    named = len(a.posonlyargs) + len(a.args) + len(a.kwonlyargs) - (is_method and not static)
    return named + (a.vararg is not None)  # what is handed on as keywords is a parameter of somebody else


def imports(name: str, path: Path, tree: ast.Module, known: dict[str, Path]) -> set[str]:
    """The modules of the package that a module imports: in functions and for type checkers too."""
    found = set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from package import module` needs the module, and nothing that the package itself defines.
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in known else base for a in node.names}
    return {module for module in found if module in known} - {name}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which leads to all others (strongly connected components of at least two)."""
    reach = {name: _reachable(graph, name) for name in graph}
    groups = {frozenset(m for m in reach[name] if name in reach[m]) for name in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen, waiting = {start}, [start]
    while waiting:
        for name in graph[waiting.pop()] - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def main() -> int:
    """Prints the counts, then what breaks a rule; returns the exit status."""
    known = modules()
    text = {name: path.read_text(encoding="utf-8") for name, path in known.items()}
    trees = {name: ast.parse(source) for name, source in text.items()}
    lines = {name: source.count("\n") for name, source in text.items()}
    apart = sum(n for name, n in lines.items() if name.split(".")[1:2] and name.split(".")[1] in APART)
    all_functions = [f for name, path in known.items() for f in functions(path, trees[name])]
    longest = max(all_functions, key=lambda f: f.lines)
    widest = max(all_functions, key=lambda f: f.parameters)
    print(f"files                {len(known)}")
    print(f"lines                {sum(lines.values()) - apart:,} and {apart:,} in {' and '.join(APART)}")
    print(f"functions            {len(all_functions):,}")
    print(f"longest function     {longest.lines} lines  {longest.place}")
    print(f"most parameters      {widest.parameters}  {widest.place}")
    rings = circles({name: imports(name, path, trees[name], known) for name, path in known.items()})
    print(f"import circles       {len(rings)}")
    wrong = [f"{f.place}: {f.lines} lines; at most {MOST_LINES}" for f in all_functions if f.lines > MOST_LINES]
    wrong += [
        f"{f.place}: {f.parameters} parameters; at most {MOST_PARAMETERS}"
        for f in all_functions
        if f.parameters > MOST_PARAMETERS
    ]
    wrong += [f"import circle: {', '.join(ring)}" for ring in rings]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
