"""The gridworld kit: a layout becomes an environment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import numpy as np

from robustsim.envs import gridrun, maps, render
from robustsim.envs.layout import GridState, Layout, LevelParams
from robustsim.envs.protocol import Environment
from robustsim.records import Feature
from robustsim.types import Array, Predicate, Transition


@dataclass(frozen=True)
class Grid(Layout):
    """A gridworld, described. :meth:`environment` makes it run; the methods of :class:`Layout` make predicates."""

    def environment(
        self,
        *,
        dynamics: Callable[[Array, GridState, Array, GridState], GridState] | None = None,
        takes: Mapping[str, Callable[[GridState], Array]] | None = None,
        bonus: Callable[[Transition], Array] | None = None,
        counters: Mapping[str, Predicate] | None = None,
        done: Callable[[GridState], Array] | None = None,
        shown: Callable[[GridState], GridState] | None = None,
        scattered: Callable[[Array, GridState], GridState] | None = None,
    ) -> Environment:
        """The grid as an environment, with the rules that its description has no words for.

        A step goes in this order: the agent moves, the world moves (`dynamics`), things are picked up (`takes`),
        hazards strike, the `bonus` is paid, `counters` count, and `done` may end the episode.

        Args:
          dynamics: `dynamics(key, before, action, state) -> state`, how the world moves once the agent has moved:
            `before` is the state at the start of the step and `state` the one with the agent's new cell.
          takes: `condition(state) -> bool[]` by the name or feature of items: those can be picked up only where it
            holds.
          bonus: `bonus(transition) -> float[]`, what a transition pays beyond items, hazards and `step_reward`.
          counters: by name, predicates whose transitions are counted over an episode; read as
            `state.counters[name]`. The agent sees the counts.
          done: `done(state) -> bool[]`, what else ends the episode, after everything was counted.
          shown: `shown(state) -> state`, the state that the observation is made of, where that is not the true one.
          scattered: `scattered(key, state) -> state`, what else is drawn for a state in which everything is placed
            independently (`evaluation.goals`): what the agent holds, say, which its counters show.

        Raises:
          UserError: `takes` names no item.
        """
        masked = {what: (self.mask(what), condition) for what, condition in (takes or {}).items()}
        rules = gridrun.Rules(dynamics, masked, bonus, counters or {}, done, shown, scattered)
        observe = gridrun.Observe(self, rules)
        place, draws = gridrun.make_place(self, rules, observe), gridrun.draws(self)
        return Environment(
            reset=lambda key, levels: place(jax.random.uniform(key, (draws,)), levels),
            step=gridrun.make_step(self, rules, observe),
            observe=observe,
            observation_size=observe.size,
            num_actions=len(maps.MOVES),
            max_steps=self.max_steps,
            render=lambda state, signal: render.picture(self, state, signal),
            text=lambda state: render.drawing(self, state),
            legend=render.legend(self),
            sparse=observe.sparse,
            draws=draws,
            place=place,
            shortest=self._shortest,
            scatter=gridrun.make_scatter(self, rules),
            features=self._features(),
        )

    def _features(self) -> tuple[Feature, ...]:
        """Whether each item is there that can be picked up."""
        loose = [name for name, item in self.items.items() if not item.fixed and name.isidentifier()]
        return tuple(Feature(name=name, of=self.present(name), doc=f"{name} is there") for name in loose)

    def _shortest(self, levels: LevelParams) -> int:
        """The fewest steps after which an episode of these levels can be truncated; 1 where the limit is traced."""
        known = isinstance(levels.limit, int | float | np.generic | np.ndarray)
        return max(1, min(self.max_steps, int(np.min(levels.limit)))) if known else 1
