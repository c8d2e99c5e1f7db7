"""The options of the commands, and how their words become values. Imports nothing heavy: `--help` shows all of them."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from robustsim.cli.parsing import parse_part, parse_seeds
from robustsim.sweep.execution import Part
from robustsim.sweep.options import Options, Seeds

Words = UseAppendAction[tuple[str, ...]]
Spec = Annotated[
    Positional[str],
    arg(metavar="SPEC", help="a scenario: name, path/file.py, path/file.py@name or package.module:name"),
]
Folder = Annotated[Positional[str], arg(metavar="DIR", help="a results directory")]
Overrides = Annotated[Words, arg(name="set", metavar="NAME=VALUE", help="the value of a setting, by its dotted name")]
Where = Annotated[
    Words, arg(name="where", metavar="NAME=VALUE", help="only the configurations with this value of a swept setting")
]
Over = Annotated[
    Words, arg(metavar="NAME=VALUES", help="LOW:HIGH:COUNT[:log], or V1,V2,..., or LOW:HIGH[:log] to draw from")
]
Json = Annotated[bool, arg(name="json", help="print one JSON object on stdout and nothing else")]


@dataclass(frozen=True, kw_only=True)
class AgentWords:
    """How many agents, and what they are held against.

    Attributes:
      seeds: number of independently trained agents.
      until: "decided" doubles it until the verdict is.
      max_seeds: the most of that.
      no_reference: without reference agents; what rests on them is left empty.
    """

    seeds: Seeds = 32
    until: Literal["", "decided"] = ""
    max_seeds: int = 256
    no_reference: Annotated[bool, arg(name="no-reference")] = False


@dataclass(frozen=True, kw_only=True)
class AttributionWords:
    """On what terms a failure is attributed.

    Attributes:
      seeds: agents of each lever to begin with.
      max_seeds: the most of that, where the label needs them.
      first_seed: the first of them; another one makes an independent attribution.
      delta: share of runs that may fail.
      confidence: posterior probability that a label needs.
      cost: the largest penalty, in ranges of training returns.
      full: run every lever, for the gains in decades.
    """

    seeds: int = 8
    max_seeds: int = 256
    first_seed: int = 0
    delta: float = 0.1
    confidence: float = 0.9
    cost: Annotated[float | None, arg(metavar="C")] = None
    full: bool = False


@dataclass(frozen=True, kw_only=True)
class SweepWords(Options):
    """The configurations to run, and the number of seeds."""

    spec: Spec
    over: Over = ()
    overrides: Overrides = ()


registry = ConstructorRegistry()


@registry.primitive_rule
def _special(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Types with words of their own. The command line takes a number of seeds; lists of seeds are for Python."""
    if info.type == Seeds:
        return PrimitiveConstructorSpec(
            1, "N", lambda words: parse_seeds(words[0]), lambda x: isinstance(x, int), lambda x: [str(x)]
        )
    if info.type == Part:
        return PrimitiveConstructorSpec(
            1,
            "I/N",
            lambda words: parse_part(words[0]),
            lambda x: x is None or isinstance(x, tuple),
            lambda x: ["all" if x is None else f"{x[0]}/{x[1]}"],
        )
    return None
