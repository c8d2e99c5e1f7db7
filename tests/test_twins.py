"""The controls that every scenario ships."""

import pytest
from complaints import complains

from robustsim import catalogue
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve
from robustsim.spec.twins import twin, twins

PROXIES = {
    "childhood_drive",
    "coin_corridor",
    "coin_run",
    "colour_or_shape",
    "corner_maze",
    "dish_pile",
    "follow_leader",
    "four_rooms",
    "keys_and_chests",
    "lava_shift",
    "monster_shields",
}


@pytest.mark.parametrize("name", sorted(catalogue.installed()))
def test_every_scenario_has_its_twins_and_their_settings_are_allowed(name: str) -> None:
    factory = load(name)
    table = twins(factory)
    assert {"random-init", "oracle"} <= set(table)
    assert ("aligned" in table) == (name in PROXIES)
    for settings in table.values():
        resolve(factory, settings)


def test_a_twin_that_is_not_there_is_named() -> None:
    with complains("twin", "aligned", "boat_loop"):
        twin(load("boat_loop"), "aligned")
