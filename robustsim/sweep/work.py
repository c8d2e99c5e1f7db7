"""The three works that a unit can have: training agents, training reference agents, taking runs through their arms."""

from robustsim.sim.agents import NOT_FINITE, Agents, Trained, complaint, handed_out, new_agent, training_track
from robustsim.sim.reference import SEEDS, Reference, bar_of, reference_of
from robustsim.sim.track import REFERENCE, Track, arms_of
from robustsim.spec.settings import Run
from robustsim.spec.twins import reference_settings
from robustsim.sweep import rows
from robustsim.sweep.checkpoint import InFlight
from robustsim.sweep.place import Place
from robustsim.sweep.plan import Plan, Shard
from robustsim.types import Tree


class Train:
    """Trains the agents of a unit that are not there yet; those of one training on one way.

    `name` is that of its checkpoint. `unfit` says why a run cannot be taken up ("": it can), `tracks` the phases of a
    run, `agent` what a phase begins with, and `finish` takes a phase that has ended; :class:`Deploy` has the same.
    """

    def __init__(self, plan: Plan, runs: tuple[int, ...], place: Place, name: str) -> None:
        self.name = name
        self._plan, self._place = plan, place
        self._wanted: dict[tuple[str, int], list[int]] = {}
        for index in runs:
            if _agent(plan, place.agents, index) is None:
                self._wanted.setdefault(plan.training_of(index), []).append(index)
        self._first = {indices[0]: indices for indices in self._wanted.values()}

    def indices(self) -> list[int]:
        """The first run of each training."""
        return list(self._first)

    def unfit(self, index: int) -> str:
        """Only what kills workers is left out."""
        return self._place.skip.get(index, "")

    def tracks(self, index: int) -> list[Track]:
        """The training."""
        demands = tuple(dict.fromkeys(self._plan.demand(i) for i in self._first[index]))
        return [training_track(index, self._plan.run(index), demands)]

    def agent(self, track: Track) -> Tree:
        """A new one."""
        return None

    def finish(self, track: Track, flight: InFlight) -> None:
        """Keeps the agents that are wanted."""
        about = {"scenario": self._plan.factory.name, "seed": track.run.seed}
        for index in self._first[track.index]:
            trained = handed_out(track, self._plan.demand(index))
            self._place.agents.put(self._plan.agent_name(index), trained, about)
        flight.done.add(track.index)


class Refer:
    """Trains a set of reference agents; its runs are their seeds."""

    def __init__(self, plan: Plan, unit: Shard, place: Place, name: str) -> None:
        self.name = name
        self._plan, self._place, (self._first,) = plan, place, unit.runs
        self._settings = reference_settings(plan.factory, plan.run(self._first).settings)

    def indices(self) -> list[int]:
        """The seeds."""
        there = self._place.agents.reference(self._plan.reference_name(self._first)) is not None
        return [] if there else list(range(SEEDS))

    def unfit(self, index: int) -> str:
        """A set in which one kills workers is left out: without all of its seeds it is none."""
        return next(iter(self._place.skip.values()), "")

    def tracks(self, index: int) -> list[Track]:
        """Its deployment."""
        return [Track(index, Run(self._settings, index), REFERENCE)]

    def agent(self, track: Track) -> Tree:
        """One that was never trained."""
        return new_agent(self._plan.factory, track.run)

    def finish(self, track: Track, flight: InFlight) -> None:
        """Keeps what they came to, once all are there."""
        flight.halves[track.index, track.phase] = track
        flight.done.add(track.index)
        tracks = [flight.halves[half] for half in sorted(flight.halves)]
        if len(tracks) == SEEDS:
            found = reference_of([t.readings for t in tracks], self._settings)
            self._place.agents.put_reference(self._plan.reference_name(self._first), found)


class Deploy:
    """Takes the runs of a shard through their arms."""

    def __init__(self, plan: Plan, shard: Shard, place: Place, agents: Agents) -> None:
        self.name = shard.name
        self._plan, self._shard, self._place, self._agents = plan, shard, place, agents

    def _reference(self, index: int) -> Reference | None:
        name = self._plan.reference_name(index)
        return self._place.agents.reference(name) if name else None

    def indices(self) -> list[int]:
        """The runs of the shard."""
        return list(self._shard.runs)

    def unfit(self, index: int) -> str:
        """A run whose agent cannot be deployed is left out."""
        if index in self._place.skip:
            return self._place.skip[index]
        agent = _agent(self._plan, self._agents, index)
        if agent is None:
            return "its agent could not be trained"
        if self._plan.reference_name(index) and self._reference(index) is None:
            return "its reference agents could not be trained"
        return complaint(agent, self._plan.run(index).settings)

    def tracks(self, index: int) -> list[Track]:
        """Its arms."""
        run = self._plan.run(index)
        bar = bar_of(run.settings, self._reference(index))
        return [Track(index, run, phase, bar) for phase in arms_of(run.settings)]

    def agent(self, track: Track) -> Tree:
        """The trained one."""
        return self._trained(track.index).agent

    def finish(self, track: Track, flight: InFlight) -> None:
        """Makes the rows of a run once its arms are there."""
        index = track.index
        if not track.readings[-1].measures["finite"] and index not in dict(flight.failed):
            flight.failed.append((index, NOT_FINITE))
        flight.halves[index, track.phase] = track
        halves = [(index, phase) for phase in arms_of(track.run.settings)]
        if not all(half in flight.halves for half in halves):
            return
        arms = [flight.halves.pop(half) for half in halves]
        flight.done.add(index)
        if index not in dict(flight.failed):
            about = rows.About(self._trained(index), self._reference(index))
            for name, frame in rows.tables(self._plan, index, about, arms).items():
                flight.tables[name].append(frame)

    def _trained(self, index: int) -> Trained:
        found = _agent(self._plan, self._agents, index)
        assert found is not None
        return found


def _agent(plan: Plan, agents: Agents, index: int) -> Trained | None:
    return agents.get(plan.agent_name(index), plan.factory, plan.run(index))


Work = Train | Refer | Deploy
