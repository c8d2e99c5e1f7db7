"""The options of the commands, and how their words become values. Imports nothing heavy: `--help` shows all of them."""

from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import Positional, UseAppendAction, arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from robustsim.sweep.execution import Part
from robustsim.sweep.options import Options, Seeds

Words = UseAppendAction[tuple[str, ...]]
Spec = Annotated[
    Positional[str],
    arg(metavar="SPEC", help="a scenario: name, path/file.py, path/file.py@name or package.module:name"),
]
Folder = Annotated[Positional[str], arg(metavar="DIR", help="a results directory")]
Overrides = Annotated[Words, arg(name="set", metavar="NAME=VALUE", help="the value of a setting, by its dotted name")]
Over = Annotated[
    Words, arg(metavar="NAME=VALUES", help="LOW:HIGH:COUNT[:log], or V1,V2,..., or LOW:HIGH[:log] to draw from")
]
Json = Annotated[bool, arg(name="json", help="print one JSON object on stdout and nothing else")]


@dataclass(frozen=True, kw_only=True)
class SweepWords(Options):
    """The configurations to run, and the number of seeds."""

    spec: Spec
    over: Over = ()
    overrides: Overrides = ()


registry = ConstructorRegistry()


@registry.primitive_rule
def _seeds(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """The command line takes a number of seeds; lists of seeds are for Python."""
    if info.type != Seeds:
        return None

    def parse(words: list[str]) -> int:
        from robustsim.cli.parsing import parse_seeds

        return parse_seeds(words[0])

    return PrimitiveConstructorSpec(1, "N", parse, lambda x: isinstance(x, int), lambda x: [str(x)])


@registry.primitive_rule
def _part(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    if info.type != Part:
        return None

    def parse(words: list[str]) -> Part:
        from robustsim.cli.parsing import parse_part

        return parse_part(words[0])

    def is_part(value: Any) -> bool:
        return value is None or isinstance(value, tuple)

    return PrimitiveConstructorSpec(1, "I/N", parse, is_part, lambda x: ["all" if x is None else f"{x[0]}/{x[1]}"])
