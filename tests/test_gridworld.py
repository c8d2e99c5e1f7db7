"""The gridworld kit, played by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import robustsim as rs
from robustsim.envs import maps
from robustsim.errors import UserError

LETTERS = {"u": maps.UP, "r": maps.RIGHT, "d": maps.DOWN, "l": maps.LEFT}

CORRIDOR = """
########
#s.k+.g#
#~######
########
"""


def corridor(**changes: object) -> rs.Grid:
    legend = {"+": rs.Door(key="key"), "~": rs.Hazard(reward=-2.0, ends=True)}
    items = {"key": rs.Item(at="k", reward=0.25), "goal": rs.Item(at="g", reward=1.0, ends=True)}
    return rs.Grid(
        **{"map": CORRIDOR, "legend": legend, "items": items, "agent": "s", "max_steps": 9, "step_reward": -0.1}
        | changes
    )


def play(grid: rs.Grid, actions: str, **rules: Any) -> list[rs.Transition]:
    """The transitions of a walk from the first level, to the last of these actions."""
    env = grid.environment(**rules)
    _, state = env.reset(jax.random.key(0), grid.levels())
    rows = []
    for letter in actions:
        action = jnp.int32(LETTERS[letter])
        step = env.step(jax.random.key(0), state, action, grid.levels())
        rows.append(rs.Transition.of(state, action, step))
        state = step.state
    return rows


def rewards(rows: list[rs.Transition]) -> list[float]:
    return [round(float(tr.reward), 6) for tr in rows]


def test_the_way_through_the_door() -> None:
    rows = play(corridor(), "rrrrr")
    assert rewards(rows) == [-0.1, 0.15, -0.1, -0.1, 0.9]
    assert bool(rows[-1].terminated)
    assert not bool(rows[-1].truncated)


def test_a_door_needs_its_key_and_a_wall_stays() -> None:
    grid = corridor(items={"key": rs.Item(at="g"), "goal": rs.Item(at="k")})  # the key lies behind its door
    assert bool(grid.on("k")(play(grid, "rrrrru")[-1].after))


def test_a_hazard_ends_the_episode() -> None:
    rows = play(corridor(), "d")
    assert rewards(rows) == [-2.1]
    assert bool(rows[-1].terminated)


def test_the_time_limit_truncates() -> None:
    last = play(corridor(), "u" * 9)[-1]
    assert bool(last.truncated)
    assert not bool(last.terminated)


def test_predicates_of_a_transition() -> None:
    grid = corridor()
    start, onto_key = play(grid, "rr")
    assert bool(grid.took("key")(onto_key))
    assert bool(grid.took("goal", "key")(onto_key))
    assert not bool(grid.took("goal")(onto_key))
    assert not bool(grid.took("key")(start))
    assert bool(grid.entered("k")(onto_key))
    assert bool(grid.approached("goal")(onto_key))
    assert int(grid.towards("goal")(onto_key.after)) == maps.RIGHT
    assert bool(grid.reachable_without("goal", blocked=grid.cell("~"))(start.before))


def test_counters_are_read_by_name() -> None:
    grid = corridor()
    bumps = {"bumps": lambda tr: tr.after.agent == tr.before.agent, "keys": grid.took("key")}
    last = play(grid, "uurrr", counters=bumps)[-1]
    assert {name: int(count) for name, count in last.after.counters.items()} == {"bumps": 2, "keys": 1}
    assert list(jax.jit(lambda state: state)(last.after).counters) == ["bumps", "keys"]  # in their order
    with pytest.raises(UserError, match="counter 'bump' is not in the grid; did you mean 'bumps'"):
        last.after.counters["bump"]
    changed = last.after.counters | {"bumps": jnp.int32(7)}
    assert jax.tree.structure(changed) == jax.tree.structure(last.after.counters)
    assert int(changed["bumps"]) == 7


def orchard() -> rs.Grid:
    """A corridor of three cells: two apples on the right two, and a stone on the last of them."""
    apple = {"features": ("fruit",), "reward": 1.0}
    return rs.Grid(
        map="#####\n#sab#\n#####",
        agent="s",
        items={
            "apple": rs.Item(at="a", **apple),
            "pear": rs.Item(at="b", **apple),
            "stone": rs.Item(at="b", on="pear", features=("stone",), fixed=True, reward=5.0),
        },
        max_steps=9,
    )


def test_items_are_read_by_name_and_by_feature() -> None:
    grid = orchard()
    assert grid.mask("fruit").tolist() == [True, True, False]
    assert grid.mask("apple", "stone").tolist() == [True, False, True]
    first, second = play(grid, "rr")
    start, middle, end = first.before, first.after, second.after
    assert [int(grid.left("fruit")(state)) for state in (start, middle, end)] == [2, 1, 0]
    assert [int(grid.taken("fruit")(state)) for state in (start, middle, end)] == [0, 1, 2]
    assert [bool(grid.present("pear")(state)) for state in (start, middle, end)] == [True, True, False]
    assert grid.places("fruit")(start).tolist() == [grid.cell("a"), grid.cell("b")]
    assert bool(grid.took("fruit")(first))
    assert not bool(grid.took("pear")(first))


def test_a_fixed_item_stays_where_it_is() -> None:
    grid = orchard()
    rows = play(grid, "rr")
    assert rewards(rows) == [1, 1]
    assert [bool(grid.meets("stone")(tr.after)) for tr in rows] == [False, True]
    assert [bool(grid.meets("fruit")(tr.after)) for tr in rows] == [False, False]  # eaten
    moved = grid.put(rows[-1].after, "stone", jnp.int32(grid.cell("s")))
    assert int(grid.place("stone")(moved)) == grid.cell("s")


def test_what_can_be_picked_up_depends_on_conditions_by_name_or_feature() -> None:
    grid = orchard()
    hungry = {"fruit": lambda state: state.time > 1, "pear": lambda state: state.time > 2}
    assert rewards(play(grid, "rlrr", takes=hungry)) == [0, 0, 1, 1]
    assert rewards(play(grid, "rr", takes=hungry)) == [0, 0]
    with pytest.raises(UserError, match="item 'fruits' is not in the grid; did you mean 'fruit'"):
        grid.environment(takes={"fruits": lambda state: state.moved})


def test_the_shortest_episode_is_known_where_the_limit_is() -> None:
    grid = corridor()
    shortest = grid.environment().shortest
    assert shortest is not None
    for limit, steps in ((None, 9), (4, 4), (np.int32(4), 4), (100, 9)):
        assert shortest(grid.levels(limit=limit)) == steps
    assert jax.jit(lambda limit: shortest(grid.levels(limit=limit)))(jnp.int32(4)) == 1  # not known while tracing


def test_rendering_shows_what_is_there() -> None:
    grid = corridor()
    env = grid.environment()
    _, state = env.reset(jax.random.key(0), grid.levels())
    assert env.text is not None
    assert env.render is not None
    assert env.text(state).splitlines()[1] == "#A.k+.g#"
    picture = env.render(state, False)
    assert picture.shape == (4 * 24, 8 * 24, 3)
    assert picture.dtype == np.uint8


def test_signals_are_drawn_on_or_off() -> None:
    grid = rs.Grid(map="#*#\n#.#\n###", items={}, legend={"*": rs.Signal()})
    env = grid.environment()
    _, state = env.reset(jax.random.key(0), grid.levels())
    assert env.render is not None
    assert (env.render(state, True) != env.render(state, False)).any()


@given(seed=st.integers(0, 2**31 - 1), elsewhere=st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=50, deadline=None)
def test_nothing_ever_lies_on_something_else(seed: int, elsewhere: float) -> None:
    grid = rs.Grid(
        map=rs.paint(rs.room(5), "z", range(1, 2), range(1, 4)),
        items={"a": rs.Item(at="z", elsewhere=".z"), "b": rs.Item(at="z"), "c": rs.Item(at=".z")},
        agent=".z",
    )
    env = grid.environment()
    keys = jax.random.split(jax.random.key(seed), 64)
    _, state = jax.vmap(env.reset, (0, None))(keys, grid.levels(elsewhere))
    places = np.concatenate([state.agent[:, None], state.items], axis=1)
    assert all(len(set(row)) == 4 for row in places.tolist())
    zone = grid.level.zone("z")
    assert zone[np.asarray(jax.vmap(grid.place("b"))(state))].all()
    if elsewhere == 0:
        assert zone[np.asarray(jax.vmap(grid.place("a"))(state))].all()


def test_placements_are_uniform() -> None:
    grid = rs.Grid(map=rs.room(5), items={"a": rs.Item(), "b": rs.Item()})
    env = grid.environment()
    _, state = jax.vmap(env.reset, (0, None))(jax.random.split(jax.random.key(3), 18_000), grid.levels())
    for cells in (state.agent, *(jax.vmap(grid.place(name))(state) for name in ("a", "b"))):
        counts = np.bincount(np.asarray(cells), minlength=9)
        assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000)


def test_observations_are_the_same_from_everywhere() -> None:
    grid = corridor()
    env = grid.environment()
    obs, state = env.reset(jax.random.key(0), grid.levels())
    np.testing.assert_array_equal(obs, env.observe(state))
    step = env.step(jax.random.key(0), state, jnp.int32(maps.RIGHT), grid.levels())
    np.testing.assert_array_equal(step.obs, env.observe(step.state))
    assert obs.shape == (env.observation_size,)


def test_distances_and_detours() -> None:
    level = maps.parse(rs.room(5), frozenset("#"), frozenset("#."))
    distance = maps.distances(level)
    assert distance[0, 8] == 4
    np.testing.assert_array_equal(distance, distance.T)
    assert maps.detours(level)[4, 3, 5] == 4  # from left to right of the middle, around it
    tunnel = maps.parse("#####\n#...#\n#####", frozenset("#"), frozenset("#."))
    assert maps.detours(tunnel)[1, 0, 2] == maps.UNREACHABLE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"map": ""}, "map: it is empty"),
        ({"map": CORRIDOR.replace("s.", "s?")}, "'?' at row 1, column 2 is used by nothing; allowed: # + . g k s ~"),
        ({"map": "###\n#..\n###", "legend": {}, "items": {}, "agent": "."}, "row 1, column 2 is open"),
        ({"agent": "x"}, "agent: no cell of the map has one of the characters 'x'"),
        ({"zones": "x"}, "zones: 'x' is not on the map; its characters: # + . g k s ~"),
        ({"zones": "+"}, "zones: '+' is not allowed, for it is in the legend"),
        ({"items": {"goal": rs.Item(at="g")}, "zones": "k"}, "item 'key' is not in the grid"),
        ({"max_steps": 0}, "max_steps: 0 is not allowed"),
    ],
)
def test_a_bad_description_says_what_is_wrong(changes: dict, message: str) -> None:
    with pytest.raises(UserError) as error:
        corridor(**changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda grid: grid.took("keys"), "item 'keys' is not in the grid; did you mean 'key'?"),
        (lambda grid: grid.left(), "items: none is named; name some: goal, key"),
        (lambda grid: grid.entered("x"), "entered: no cell of the map has one of the characters 'x'; it has # + . g"),
        (lambda grid: grid.cell("."), "cell '.': the map has 2 of them; exactly 1 is needed"),
        (lambda grid: grid.levels(limit=0), "levels: limit=0 is not allowed; use a whole number of at least 1"),
    ],
)
def test_a_wrong_name_says_what_is_there(ask: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        ask(corridor())
    assert message in str(error.value)
