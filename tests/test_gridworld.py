"""The gridworld kit, played by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import robustsim as rs
from robustsim.envs import maps
from robustsim.errors import UserError

UP, RIGHT, DOWN, LEFT = range(4)
LETTERS = {"u": UP, "r": RIGHT, "d": DOWN, "l": LEFT}

CORRIDOR = """
########
#s.k+.g#
#~######
########
"""


def corridor(**changes: object) -> rs.Grid:
    legend = {
        "s": rs.Floor(),
        "k": rs.Floor(),
        "g": rs.Floor(),
        "+": rs.Door(key="key"),
        "~": rs.Hazard(reward=-2.0, ends=True),
    }
    items = {"key": rs.Item(at="k", reward=0.25), "goal": rs.Item(at="g", reward=1.0, ends=True)}
    return rs.Grid(
        **{"map": CORRIDOR, "legend": legend, "items": items, "agent": "s", "max_steps": 9, "step_reward": -0.1}
        | changes
    )


def play(grid: rs.Grid, actions: str) -> tuple[list[float], rs.Step]:
    env = grid.environment()
    _, state = env.reset(jax.random.key(0), grid.levels())
    rewards = []
    for letter in actions:
        step = env.step(jax.random.key(0), state, jnp.int32(LETTERS[letter]), grid.levels())
        rewards.append(round(float(step.reward), 6))
        state = step.state
    return rewards, step


def test_the_way_through_the_door() -> None:
    rewards, last = play(corridor(), "rrrrr")
    assert rewards == [-0.1, 0.15, -0.1, -0.1, 0.9]
    assert bool(last.terminated)
    assert not bool(last.truncated)


def test_a_door_needs_its_key_and_a_wall_stays() -> None:
    grid = corridor(items={"key": rs.Item(at="g"), "goal": rs.Item(at="k")})  # the key lies behind its door
    _, last = play(grid, "rrrrru")
    assert int(last.state.agent) == 2  # on 'k', in front of the door


def test_a_hazard_ends_the_episode() -> None:
    rewards, last = play(corridor(), "d")
    assert rewards == [-2.1]
    assert bool(last.terminated)


def test_the_time_limit_truncates() -> None:
    _, last = play(corridor(), "u" * 9)
    assert bool(last.truncated)
    assert not bool(last.terminated)


def test_predicates_and_counters() -> None:
    grid = corridor(counters={"bumps": lambda tr: tr.after.agent == tr.before.agent})
    _, last = play(grid, "uur")
    assert int(grid.counted("bumps")(last.state)) == 2
    _, before = play(grid, "r")
    _, after = play(grid, "rr")
    tr = rs.Transition(
        before=before.state,
        action=jnp.int32(1),
        after=after.state,
        reward=after.reward,
        terminated=after.terminated,
        truncated=after.truncated,
    )
    assert bool(grid.took("key")(tr))
    assert bool(grid.entered("k")(tr))
    assert bool(grid.approached("goal")(tr))
    assert not bool(grid.took("goal")(tr))


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


def test_lights_follow_the_signal() -> None:
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
        legend={"z": rs.Floor()},
        items={"a": rs.Item(at="z", elsewhere=".z"), "b": rs.Item(at="z"), "c": rs.Item(at=".z")},
        agent=".z",
    )
    env = grid.environment()
    keys = jax.random.split(jax.random.key(seed), 64)
    _, state = jax.vmap(env.reset, (0, None))(keys, grid.levels(elsewhere))
    places = np.concatenate([state.agent[:, None], state.items], axis=1)
    assert all(len(set(row)) == 4 for row in places.tolist())
    zone = grid.level.zone("z")
    assert zone[np.asarray(state.items[:, 1])].all()
    if elsewhere == 0:
        assert zone[np.asarray(state.items[:, 0])].all()


def test_placements_are_uniform() -> None:
    grid = rs.Grid(map=rs.room(5), items={"a": rs.Item(), "b": rs.Item()})
    env = grid.environment()
    _, state = jax.vmap(env.reset, (0, None))(jax.random.split(jax.random.key(3), 18_000), grid.levels())
    for cells in (state.agent, state.items[:, 0], state.items[:, 1]):
        counts = np.bincount(np.asarray(cells), minlength=9)
        assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000)


def test_observations_are_the_same_from_everywhere() -> None:
    grid = corridor()
    env = grid.environment()
    obs, state = env.reset(jax.random.key(0), grid.levels())
    np.testing.assert_array_equal(obs, env.observe(state))
    step = env.step(jax.random.key(0), state, jnp.int32(RIGHT), grid.levels())
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
        ({"map": "###\n#.?\n###"}, "'?' at row 1, column 2 is not in the legend"),
        ({"map": "###\n#..\n###", "legend": {}, "items": {}, "agent": "."}, "row 1, column 2 is open"),
        ({"agent": "x"}, "agent: no cell of the map has one of the characters 'x'"),
        ({"items": {"goal": rs.Item(at="g")}}, "item 'key' is not in the grid"),
        ({"max_steps": 0}, "max_steps: 0 is not allowed"),
    ],
)
def test_a_bad_description_says_what_is_wrong(changes: dict, message: str) -> None:
    with pytest.raises(UserError) as error:
        corridor(**changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
