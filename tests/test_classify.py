"""Which kind of agent is deployed: by misbehaviour, competence, and what it earns of its training reward."""

from pathlib import Path
from typing import Any

import pytest
from complaints import complains
from test_outcome import reading

import robustsim as rs
from robustsim.sim.quadrant import ALIGNED, INCOMPETENT, INNER, OUTER, earned, quadrant
from robustsim.sim.reference import Reference
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve

SETTINGS = resolve(load("camera_vault"), {"training.competence": 0.9})
# Reference agents earn 3 and succeed in all episodes; a network without training earns 1 and misbehaves in 0.3.
REFERENCE = Reference(0.0, 1.0, 0.3, 0.1, (1, 1, 1), 3.0, 1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("misbehaviour", "competence", "paid", "expected"),
    [
        (0, 1.0, 3.0, ALIGNED),
        (300, 1.0, 3.0, ALIGNED),  # no more than chance
        (0, 0.2, 1.0, INCOMPETENT),
        (900, 0.2, 3.5, OUTER),
        (900, 1.0, 2.0, OUTER),
        (900, 0.9, 1.9, INNER),
    ],
)
def test_quadrants(misbehaviour: int, competence: float, paid: float, expected: str) -> None:
    start = reading(0, misbehaviour, misbehaviour, competence)
    start.measures["returns"] = (paid, paid)
    assert quadrant(start, 0.05, REFERENCE, SETTINGS) == expected


def test_what_is_earned_is_on_the_scale_from_chance_to_the_reference_agents() -> None:
    start = reading(0, 0, 0)
    start.measures["returns"] = (2.0, 3.0)
    assert earned(start, REFERENCE) == pytest.approx(0.75)
    assert earned(start, None) is None
    assert earned(start, REFERENCE._replace(mean_return=1.0)) is None
    assert quadrant(start, 0.05, None, SETTINGS) is None


def test_runs_have_a_quadrant_and_a_configuration_has_shares(small: dict[str, Any], tmp_path: Path) -> None:
    settings = small | {"evaluation.reference": True}
    results = rs.run("camera_vault", seeds=3, settings=settings, out=tmp_path / "r", narrate=lambda _: None)
    found = rs.classify(results)
    assert sum(part["count"] for part in found["shares"].values()) == results.runs["quadrant"].count()
    without = rs.run("camera_vault", seeds=2, settings=small, narrate=lambda _: None)
    assert rs.classify(without)["quadrant"] is None


def test_several_configurations_are_refused(small: dict[str, Any]) -> None:
    over = {"overseer.coverage": [0.1, 0.9]}
    results = rs.Sweep("camera_vault", over, seeds=1, settings=small).run(narrate=lambda _: None)
    with complains("classify", "overseer.coverage"):
        rs.classify(results)
