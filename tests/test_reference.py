"""The reference agent: what it is made of, what it says, and that a result rests on it."""

from typing import Any

import polars as pl
import pytest
from test_outcome import EPS, START, reading

import robustsim as rs
from robustsim import files
from robustsim.sim.agents import Agents
from robustsim.sim.reference import Reference, bar_of, reference_of
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve
from robustsim.spec.twins import reference_settings

LEARNED = ((None, None, None), 1.0, 0.0, 1.0, 0.0)  # the times, and what follows them
FEW = {"deployment.budget": 10, "evaluation.episodes": 32, "evaluation.reference": True}


def test_it_sees_nothing_of_overseer_training_and_treatment() -> None:
    factory = load("camera_vault")
    changes = {
        "overseer.coverage": 0.1,
        "overseer.penalty": 9.0,
        "training.steps": 7,
        "training.penalty": 2.0,
        "treatment.kl_anchor": 1.0,
    }
    found, plain = (reference_settings(factory, resolve(factory, c)) for c in (changes, {}))
    assert found == plain
    assert (found.training.steps, found.overseer.coverage, found.overseer.visible) == (0, 1.0, False)
    online = reference_settings(factory, resolve(factory, {"online.learning_rate": 0.5}))
    assert online != plain


def test_what_eight_agents_come_to() -> None:
    settings = resolve(load("camera_vault"), {})
    good = [START, *(reading(t, 0, 0, competence=1.0) for t in (5, 6, 7))]
    slow = [START, *(reading(t, 0, 0, competence=0.5 if t < 8 else 1.0) for t in (5, 6, 7, 8))]
    never = [START, *(reading(t, 900, 900, competence=1.0) for t in (5, 6, 7))]
    assert reference_of([good] * 8, settings).scratch == (5, 5, 5)
    found = reference_of([good] * 4 + [slow] * 3 + [never], settings)
    assert (found.floor, found.competence) == (0.0, 1.0)
    assert found.scratch == (6.5, 5, None)
    assert found.random_misbehaviour == pytest.approx(1000 / 1024)
    assert reference_of([good] * 3 + [never] * 5, settings).scratch[0] is None


def test_agents_that_learned_nothing_are_no_measure_of_competence() -> None:
    settings = resolve(load("camera_vault"), {"training.competence": 0.9})
    for competence, bar in ((0.44, None), (0.46, 0.46)):
        assert bar_of(settings, Reference(0.0, competence, 0.5, 0.1, *LEARNED)).competence == bar


@pytest.mark.parametrize(("floor", "competence", "threshold"), [(0.2, 0.94, EPS), (0.2, 0.95, 0.25), (0.41, 1.0, EPS)])
def test_only_a_competent_agent_raises_the_bar(floor: float, competence: float, threshold: float) -> None:
    settings = resolve(load("camera_vault"), {"training.competence": 0.95})
    bar = bar_of(settings, Reference(floor, competence, 0.5, 0.1, *LEARNED))
    assert bar.threshold == pytest.approx(threshold)
    assert bar.competence == competence
    assert bar_of(settings, None).threshold == EPS


def test_runs_are_held_against_it(small: dict[str, Any]) -> None:
    results = rs.run("camera_vault", seeds=2, settings=small | FEW)
    again = rs.run("camera_vault", seeds=3, settings=small | FEW)
    assert results.runs["floor"].n_unique() == 1
    assert results.runs["reference_competence"].is_between(0, 1).all()
    assert again.runs.filter(pl.col("seed") < 2).equals(results.runs)  # more seeds change no finished row
    without = rs.run("camera_vault", seeds=2, settings=small)
    assert without.runs["floor"].is_null().all()
    assert set(without.runs["outcome"]) <= {"removed", "incapacitated", "uncorrected", "nothing-to-correct"}


def test_a_directory_has_its_reference_in_the_cache(small: dict[str, Any], tmp_path: Any) -> None:
    over = {"overseer.coverage": [0.5, 1.0], "online.learning_rate": [0.001, 0.01]}
    sweep = rs.Sweep("camera_vault", over=over, seeds=1, settings=small | FEW)
    assert len(sweep.plan().references) == 2  # one for each learner in deployment, whatever the overseer
    results = sweep.run(tmp_path / "out")
    assert results.runs["floor"].is_not_null().all()


def test_a_run_is_removed_where_it_is_as_good_as_them(
    small: dict[str, Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same agents under the same overseer, against two sets of reference agents."""
    monkeypatch.setenv("ROBUSTSIM_CACHE", str(tmp_path))
    settings = (
        small
        | FEW
        | {"training.competence": 0.0, "training.steps": 1, "overseer.penalty": 0.0, "evaluation.episodes": 1024}
    )
    plan = rs.Sweep("camera_vault", over={}, seeds=2, settings=settings).plan()
    outcomes = {}
    for floor in (0.0, 0.4):
        agents = Agents((files.cache_folder() / "agents",))
        agents.put_reference(plan.reference_name(0), Reference(floor, 1.0, 0.5, 0.1, (5.0, 5, 5), *LEARNED[1:]))
        start = rs.run("camera_vault", seeds=2, settings=settings).runs
        assert start["floor"].to_list() == [floor] * 2
        outcomes[floor] = start
    least = outcomes[0.0].select(pl.max_horizontal("misbehaviour_watched", "misbehaviour_unwatched")).to_series()
    assert least.is_between(EPS, 0.4 + EPS).all()  # what the two bars differ about
    assert not outcomes[0.0]["corrected"].any()
    assert (outcomes[0.4]["outcome"] == "nothing-to-correct").all()
