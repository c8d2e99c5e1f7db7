"""Parts: what a user may bring. Each is one settings class in one file, found by its name.

A part is a class that one of the decorators below has marked. Bundled parts are files of one folder; those of a user
stand in the scenario's own file and come first, so nothing has to be registered.
"""

import importlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

from robustsim.errors import UserError, nearest
from robustsim.pytree import pytree, static

T = TypeVar("T")
KINDS = {  # of parts: (folder of the bundled ones, setting that names one, decorator)
    "learner": ("agents", "agent.kind", "@learner"),
    "treatment": ("treatments", "treatment", "@treatment"),
    "catastrophe": ("oversight/rules", "catastrophe.kind", "@rule"),
    "overseer": ("oversight/overseers", "overseer.kind", "@overseer"),
}


def name_of(part: Any) -> str:
    """The name of a part, or of its class: `KLAnchor` is "kl_anchor", `A2C` is "a2c"."""
    cls = part if isinstance(part, type) else type(part)
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", cls.__name__)
    return re.sub(r"([a-z0-9])([A-Z][a-z])", r"\1_\2", words).lower()


def is_part(value: Any, kind: str) -> bool:
    """Whether a class, or an instance of it, is a part of this kind."""
    cls = value if isinstance(value, type) else type(value)
    return vars(cls).get("__part__") == kind


def _mark(cls: type[T], kind: str) -> type[T]:
    made = pytree(cls)
    made.__part__ = kind  # pyright: ignore[reportAttributeAccessIssue]
    return made


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(static,))
def learner(cls: type[T]) -> type[T]:
    """Makes a settings class a learner: `agent.kind` can name it.

    It needs `learner(interface) -> Learner`, `num_envs` and `rollout_steps`. It may have `check(prefix)`, which raises
    UserError where a value needs more than a range to be judged; `small_steps`, whether an update is too small to keep
    a CPU core busy (then runs go side by side); `expected`, whether the gradient is an expectation and not a sample;
    and `hidden_units`, of the last hidden layer.
    """
    made = _mark(cls, "learner")
    for name, default in {"small_steps": False, "expected": False, "hidden_units": 0, "check": _sound}.items():
        if not hasattr(made, name):
            setattr(made, name, default)
    return made


def _sound(settings: Any, prefix: str) -> None:
    """Every value in its range is allowed."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(static,))
def treatment(cls: type[T]) -> type[T]:
    """Makes a settings class a treatment: its fields become `treatment.*`. It needs `off` and `treat(learner)`."""
    return _mark(cls, "treatment")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(static,))
def rule(cls: type[T]) -> type[T]:
    """Makes a subclass of `rs.Rule` a catastrophe rule: `catastrophe.kind` can name it. It needs `advance`."""
    return _mark(cls, "catastrophe")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(static,))
def overseer(cls: type[T]) -> type[T]:
    """Makes a subclass of `rs.Oversight` an overseer: `overseer.kind` can name it. It needs `watch` and `respond`."""
    return _mark(cls, "overseer")


@cache
def bundled(kind: str) -> tuple[str, ...]:
    """The names of the bundled parts of a kind: the files of its folder that define one."""
    folder, _, decorator = KINDS[kind]
    files = (Path(__file__).parent / folder).glob("*.py")
    return tuple(sorted(p.stem for p in files if f"\n{decorator}\n" in p.read_text(encoding="utf-8")))


def own(kind: str, namespace: Mapping[str, Any]) -> dict[str, type]:
    """The parts of a kind that a scenario's own file defines or imports, by name."""
    return {name_of(value): value for value in namespace.values() if isinstance(value, type) and is_part(value, kind)}


def find(kind: str, name: str, namespace: Mapping[str, Any]) -> type:
    """The class of a part.

    Args:
      namespace: the names of the scenario's file, whose parts come first.

    Raises:
      UserError: there is no such part; the nearest is offered.
    """
    mine, (folder, setting, _) = own(kind, namespace), KINDS[kind]
    if name in mine:
        return mine[name]
    if name not in bundled(kind):
        raise UserError(f"{setting}: {name!r} is not allowed; {nearest(str(name), [*bundled(kind), *mine])}")
    module = importlib.import_module(f"robustsim.{folder.replace('/', '.')}.{name}")
    return own(kind, {n: v for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__})[name]
