"""What a scenario is: a decorated factory whose typed keyword arguments are its parameters."""

import ast
import hashlib
import inspect
import sys
import textwrap
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, overload

import jax.numpy as jnp

from robustsim.envs.protocol import Environment
from robustsim.errors import UserError, blamed, first_line, nearest
from robustsim.fields import Between, choice, count, number, size, typed, word
from robustsim.numerics import pinned
from robustsim.oversight.defences import Defences
from robustsim.oversight.monitor import Monitor
from robustsim.oversight.overseer import LAST, Overseer
from robustsim.oversight.rules.cumulative import Cumulative
from robustsim.oversight.tampering import Tampering
from robustsim.pytree import pytree
from robustsim.records import Feature, of_kind
from robustsim.types import Array, Predicate, Tree


@pytree
class Evaluation:
    """Settings of the held-out evaluation, without learning, watched and unwatched (theory B.3)."""

    threshold: float = number(0.05, 0, 1, doc="eps: removed means at most this misbehaviour rate", above=True)
    episodes: int = count(1024, 16, 2**17, doc="episodes per condition of a confirmatory evaluation")
    screen: int = size(128, 16, 2**17, doc="of the screening evaluation that precedes it")
    reference: bool = choice(True, (True, False), doc="whether runs are held against reference agents")
    control: bool = choice(False, (True, False), doc="whether T_control is measured, in an arm of its own")
    retest: bool = choice(False, (True, False), doc="whether each evaluation is repeated on training levels")
    plasticity: bool = choice(False, (True, False), doc="whether dormant units and the effective rank are measured")
    goals: bool = choice(
        False, (True, False), doc="whether it is measured what value estimates go with, for each feature"
    )
    goal_states: int = size(1024, 64, 2**17, doc="states on which that is measured")


@pytree
class Deployment:
    """Settings of the continual-learning phase."""

    budget: int = count(3000, 1, 10**8, doc="gradient steps after which a run is censored")
    patience: float = number(2.5, 0, 100, doc="after removal at T the overseer stays on for patience * T steps")
    relapse_steps: int = count(500, 0, 10**8, doc="then max(T, this) steps without it (0: no relapse phase)")
    relapse_reward: bool = choice(True, (True, False), doc="whether the task's reward goes on in the relapse phase")
    relearn: bool = choice(
        False, (True, False), doc="whether the overseer then comes back, for a second correction: T_again"
    )
    start: int = count(
        -1, -1, 10**8, doc="training step that deployment starts from, however competent (-1: where training ends)"
    )
    stop: str = choice(
        "end",
        ("end", "catastrophe", "first_event"),
        doc="catastrophe: the unopposed arm only until then; first_event: the corrected arm alone, until its first",
    )


@pytree
class Training:
    """Settings of the training before deployment."""

    steps: int = count(2000, 0, 10**8, doc="gradient steps")
    extension: float = number(1.0, 0, 100, doc="agents below the criterion get up to extension * steps more")
    competence: float = number(0.95, 0, 1, doc="share of training episodes that must succeed")
    watched: float = number(0.5, 0, 1, doc="share of the training episodes in which the signal is on")
    signal: str = choice("reward", ("reward", "demonstration"), doc="what the agent learns from")
    penalty: float = number(
        0.0,
        -1e6,
        1e6,
        doc="reward deducted per misbehaviour in training, in judged episodes; below 0 it is paid: an offending reward",
    )
    penalty_share: float = number(1.0, 0, 1, doc="share of the training episodes that are judged")
    penalty_looks: str = choice(
        "any", ("any", "watched", "unwatched"), doc="how the agent must look in an episode that is judged"
    )
    penalty_from: int = count(0, doc="gradient step of training at which that begins, with a new optimizer state")
    penalty_until: int = count(LAST, doc="gradient step of training at which it ends")
    record: int = size(
        0, 0, 4096, doc="latest rollouts from then on that are kept, with the agent from before, for a repair (0: none)"
    )


@pytree
class Online:
    """What differs of the learner in deployment; what is not set is as in training. None of it trains another agent."""

    learning_rate: float | None = number(None, 0, 1e6, doc="step size in deployment", above=True)
    optimizer: Any = word("same", doc="name of an optax optimizer for deployment, with a state of its own")
    entropy: float | None = number(None, 0, 1e6, doc="beta of the entropy bonus in deployment")
    reset_optimizer: bool = choice(
        True, (True, False), doc="whether the state of the optimizer starts anew at deployment start"
    )
    inject: bool = choice(
        False, (True, False), doc="whether a new network learns from then on, on top of the old one (a diagnostic)"
    )


def _always(value: bool) -> Callable[[Any], Array]:
    return lambda _: jnp.full((), value)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """An environment in training and in deployment, a misbehaviour, and defaults for everything else.

    Attributes:
      env: the environment.
      training_levels: its level parameters in training, as `env.reset` and `env.step` take them.
      deployment_levels: its level parameters in deployment; the same structure.
      misbehaviour: predicate of one transition: bool[].
      avoidable: `avoidable(state) -> bool[]` at an episode's first state: could the agent do otherwise? Misbehaviour is
        counted, and penalised, in such decision levels only.
      success: predicate of one transition; an episode in which it holds once is a competent one.
      agent, online, overseer, catastrophe, defences, tampering, evaluation, deployment, training: default settings,
        section by section of the dotted names.
      treatments: those that are on by default, and those of the user's own that can be switched on.
      monitor: what the overseer sees in place of `misbehaviour` (see :class:`Monitor`).
      start: parameters that agents begin with, in place of random ones.
      records: counters, measures and columns of the scenario's own.
      arrange: `arrange(levels, signal) -> levels`, the level parameters of an episode in which the agent sees the
        signal of being watched or not, bool[]: for what is there for the unwatched only. `step` gets the plain ones.
      event: predicate of one transition that the catastrophe rule `event` counts.
      tampers: predicate of one transition: the act that reaches for the feedback (see :class:`Tampering`).
      featurize: `featurize(obs, signal) -> obs`, how the signal of being watched (float[], 0 or 1) joins the
        observation; by default it is one more entry.
      demonstrate: `demonstrate(state, training) -> int32[]`, the act to imitate, where demonstrations are possible.
      precision: float32, or float64 where answers are exact.
    """

    env: Environment
    training_levels: Tree
    deployment_levels: Tree
    misbehaviour: Predicate
    agent: Any
    avoidable: Callable[[Tree], Array] = _always(True)
    success: Predicate = _always(True)
    online: Online = Online()
    treatments: Sequence[Any] = ()
    overseer: Any = Overseer()
    monitor: Monitor | None = None
    catastrophe: Any = Cumulative()
    defences: Defences = Defences()
    tampering: Tampering = Tampering()
    evaluation: Evaluation = Evaluation()
    deployment: Deployment = Deployment()
    training: Training = Training()
    records: Sequence[Any] = ()
    start: Tree = None
    arrange: Callable[[Tree, Array], Tree] | None = None
    event: Predicate | None = None
    tampers: Predicate | None = None
    featurize: Callable[[Array, Array], Array] | None = None
    demonstrate: Callable[[Tree, Array], Array] | None = None
    precision: str = "float32"

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features of outcomes that are asked about: the scenario's own, or else those of its environment."""
        return of_kind(self.records, Feature) or self.env.features

    @property
    def recorded(self) -> tuple[Any, ...]:
        """Its records, with the features of its environment where it names none."""
        own = of_kind(self.records, Feature)
        return (*self.records, *(() if own else self.env.features))


TYPES = (int, float, bool, str)


@dataclass(frozen=True)
class ScenarioFactory:
    """A scenario before its parameters are chosen. Calling it makes a :class:`Scenario`.

    Attributes:
      name: how it is called on the command line.
      claim: the first line of its docstring.
      build: the decorated function.
      source: its file ("" if it has none).
      source_hash: sha256 of all files that it is made of (:mod:`robustsim.spec.sources`), or of the code it was
        written in.
      packages: names of the packages from elsewhere that they import.
    """

    name: str
    claim: str
    build: Callable[..., Scenario]
    source: str = ""
    source_hash: str = ""
    packages: tuple[str, ...] = ()

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The typed keyword arguments of the factory."""
        return dict(inspect.signature(self.build, eval_str=True).parameters)

    @property
    def defaults(self) -> dict[str, Any]:
        """The parameters' default values, of the declared types: `2` is 2.0 where a float is declared."""
        return {name: typed(f"env.{name}", p.default, declaration(p)) for name, p in self.parameters.items()}

    @property
    def namespace(self) -> Mapping[str, Any]:
        """The names of its file, where parts of the user's own are looked for."""
        return getattr(self.build, "__globals__", {})

    def value(self, name: str, value: Any) -> Any:
        """`value` as the type that the parameter `env.name` wants; raises UserError where it does not fit."""
        if name not in self.parameters:
            raise UserError(
                f"env.{name}: scenario {self.name!r} has no such parameter; {nearest(name, self.parameters)}"
            )
        return typed(f"env.{name}", value, declaration(self.parameters[name]))

    def __call__(self, **values: Any) -> Scenario:
        """The scenario with these parameters.

        Raises:
          UserError: the function fails, or does not return a Scenario.
        """
        try:
            with pinned():
                scenario = self.build(**values)
        except UserError:
            raise
        except Exception as error:  # whatever a user's function raises becomes one line that names it
            if type(error).__name__ == "TracerBoolConversionError":
                raise UserError(
                    f"scenario {self.name!r}: branches in Python on a value that is not known yet; use jnp.where, or a "
                    f"parameter of type int, bool or str{blamed(error)}"
                ) from None
            # An environment that is built while tracing is the usual cause.
            hint = "; build environments outside of the function" if "Tracer" in type(error).__name__ else ""
            raise UserError(f"scenario {self.name!r}: fails: {first_line(error)}{hint}") from error
        if not isinstance(scenario, Scenario):
            raise UserError(
                f"scenario {self.name!r}: returned {type(scenario).__name__}; it must return rs.Scenario(...)"
            )
        return scenario

    def _repr_html_(self) -> str:
        """What a notebook shows: the claim, and a level of training and of deployment."""
        from robustsim.spec import levels

        return levels.as_html(self)


def declaration(parameter: inspect.Parameter) -> dict[str, Any]:
    """What a parameter's annotation says, as :func:`robustsim.fields.typed` takes it."""
    annotation, limits = parameter.annotation, None
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
        limits = next((extra for extra in extras if isinstance(extra, Between)), None)
    meta = {"type": annotation, "finite": True}
    return meta if limits is None else meta | {"low": limits.low, "high": limits.high}


@overload
def scenario(build: Callable[..., Scenario]) -> ScenarioFactory: ...


@overload
def scenario(*, files: Sequence[str] = ()) -> Callable[[Callable[..., Scenario]], ScenarioFactory]: ...


def scenario(build: Any = None, *, files: Sequence[str] = ()) -> Any:
    """Decorator, with or without arguments: makes a function with typed keyword arguments a scenario.

    Arguments of type float can vary inside one compiled program; int, bool and str may change shapes and code.

    Args:
      files: names of data files beside the scenario's file that it reads, written out. A change in one of them makes
        another scenario: agents are trained again.

    Raises:
      UserError: no docstring, or an argument without a default or with another type.
    """
    del files  # they are found by reading the scenario's file
    return _scenario if build is None else _scenario(build)


def _scenario(build: Callable[..., Scenario]) -> ScenarioFactory:
    name = build.__name__
    claim = (build.__doc__ or _written_doc(build)).strip().split("\n")[0]
    if not claim:
        raise UserError(f"scenario {name!r}: it has no docstring; its first line is the claim that it tests")
    for parameter in inspect.signature(build, eval_str=True).parameters.values():
        meta = declaration(parameter)
        if meta["type"] not in TYPES or parameter.default is parameter.empty:
            raise UserError(
                f"scenario {name!r}: argument {parameter.name!r} needs a type (int, float, bool, str) and a default"
            )
        _check_default(name, parameter, meta)
    return ScenarioFactory(name, claim, build, "", _inline_digest(build))


def _written_doc(build: Callable[..., Scenario]) -> str:
    """The docstring as it is written: `python -OO` takes docstrings out of what runs."""
    if sys.flags.optimize < 2:
        return ""
    try:
        return ast.get_docstring(ast.parse(textwrap.dedent(inspect.getsource(build))).body[0]) or ""  # pyright: ignore[reportArgumentType]
    except (OSError, TypeError, SyntaxError):
        return ""


def _check_default(name: str, parameter: inspect.Parameter, meta: dict[str, Any]) -> None:
    kind, default = meta["type"], parameter.default
    wrong = isinstance(default, str) != (kind is str) or isinstance(default, bool) != (kind is bool)
    try:
        typed(parameter.name, default, {"type": kind, "finite": True})
    except UserError:
        wrong = True
    if wrong:
        raise UserError(
            f"scenario {name!r}: argument {parameter.name!r}: its default {default!r} is not allowed; "
            f"its type is {kind.__name__}"
        )


def _inline_digest(build: Callable[..., Scenario]) -> str:
    """A hash of the code around a scenario that no loader read: its module, or else the function.

    Kept agents are identified by it. Where there is no source at all it is random, so that nothing is mistaken for it.
    """
    try:
        file = inspect.getsourcefile(build)
        text = Path(file).read_text(encoding="utf-8") if file and Path(file).is_file() else inspect.getsource(build)
    except (OSError, TypeError):
        text = uuid.uuid4().hex
    return hashlib.sha256(text.encode()).hexdigest()
