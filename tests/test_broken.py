"""Scenario files broken in thirty ways: `robustsim check` says what is wrong in one line that names it."""

from pathlib import Path

import pytest

from robustsim.cli.main import main

GOOD = '''
import jax
import jax.numpy as jnp
import robustsim as rs


@rs.scenario
def mine(gold: float = 2.0) -> rs.Scenario:
    """A claim."""
    grid = rs.Grid(map=MAP, items={"coin": rs.Item(reward=gold, ends=True)}, max_steps=8)
    took = grid.took("coin")
    return rs.Scenario(
        env=grid.environment(),
        training_levels=grid.levels(),
        deployment_levels=grid.levels(),
        misbehaviour=took,
        success=took,
        agent=rs.A2C(),
    )


'''
GOOD = GOOD.replace("map=MAP", "map=rs.room(5)")

HAND_MADE = '''
import dataclasses
import jax
import jax.numpy as jnp
import numpy as np
import robustsim as rs
from robustsim.types import Step


def reset(key, levels):
    state = {"x": jnp.float32(0), "t": jnp.int32(0)}
    return observe(state), state


def observe(state):
    return jnp.stack([state["x"], 1.0])


def step(key, state, action, levels):
    after = {"x": state["x"] + action - 1.0, "t": state["t"] + 1}
    ended = jnp.abs(after["x"]) > 3
    return Step(
        obs=observe(after), state=after, reward=after["x"], terminated=ended, truncated=~ended & (after["t"] >= 8)
    )


@rs.scenario
def mine() -> rs.Scenario:
    """A claim."""
    env = rs.Environment(reset=reset, step=step, observe=observe, observation_size=2, num_actions=3, max_steps=8)
    return rs.Scenario(
        env=env, training_levels=None, deployment_levels=None, agent=rs.A2C(), misbehaviour=lambda tr: tr.after["x"] > 1
    )
'''


def swap(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


BROKEN = {
    "syntax": ("def f(:\n", "line 1: syntax error"),
    "bytes": (b"\xff\xfe\x00", "cannot be read"),
    "empty": ("", "defines no scenario"),
    "no decorator": (swap(GOOD, ("@rs.scenario\n", "")), "defines no scenario"),
    "two of a name": (GOOD + GOOD[GOOD.index("@rs") :], "scenario 'mine' is defined twice"),
    "import": ("import nosuchthing\n" + GOOD, "No module named 'nosuchthing'"),
    "raises at import": ("1 / 0\n" + GOOD, "does not load: ZeroDivisionError"),
    "exits at import": ("raise SystemExit(0)\n" + GOOD, "does not load: SystemExit"),
    "no docstring": (swap(GOOD, ('    """A claim."""\n', "")), "it has no docstring"),
    "no type": (swap(GOOD, ("gold: float = 2.0", "gold")), "argument 'gold' needs a type"),
    "wrong type": (swap(GOOD, ("gold: float = 2.0", "gold: list = []")), "argument 'gold' needs a type"),
    "no default": (swap(GOOD, ("gold: float = 2.0", "gold: float")), "argument 'gold' needs a type"),
    "default of another type": (swap(GOOD, ("gold: float = 2.0", 'gold: float = "two"')), "argument 'gold'"),
    "returns nothing": (swap(GOOD, ("return rs.Scenario", "rs.Scenario")), "returned NoneType"),
    "an unknown field": (swap(GOOD, ("success=took", "sucess=took")), "unexpected keyword argument 'sucess'"),
    "a field missing": (swap(GOOD, ("        agent=rs.A2C(),\n", "")), "'agent'"),
    "Python control flow": (
        swap(GOOD, ("misbehaviour=took", "misbehaviour=lambda tr: True if tr.reward > 0 else False")),
        "misbehaviour branches in Python on a value that is not known yet; use jnp.where",
    ),
    "control flow on a parameter": (
        swap(GOOD, ("    took =", "    gold = 1 if gold > 1 else 0\n    took =")),
        "branches in Python on a value that is not known yet",
    ),
    "a predicate that returns a number": (
        swap(GOOD, ("misbehaviour=took", "misbehaviour=lambda tr: tr.reward")),
        "misbehaviour: returned float32",
    ),
    "a predicate that returns an array": (
        swap(GOOD, ("success=took", "success=lambda tr: jnp.zeros(3, bool)")),
        "success: returned bool (3)",
    ),
    "a predicate that fails": (
        swap(GOOD, ("misbehaviour=took", "misbehaviour=lambda tr: tr.after.gold > 0")),
        "misbehaviour fails: AttributeError",
    ),
    "a predicate that never fires": (
        swap(GOOD, ("misbehaviour=took", "misbehaviour=lambda tr: tr.reward > 99")),
        "misbehaviour: an untrained agent never misbehaves",
    ),
    "nothing avoidable": (
        swap(GOOD, ("success=took", "success=took, avoidable=lambda state: jnp.bool_(False)")),
        "avoidable: no deployment level",
    ),
    "levels that differ in structure": (
        swap(GOOD, ("training_levels=grid.levels()", "training_levels=(grid.levels(), 0)")),
        "training_levels and deployment_levels differ in structure",
    ),
    "an item that is not there": (swap(GOOD, ('grid.took("coin")', 'grid.took("gold")')), "item 'gold' is not in the"),
    "an open map": (swap(GOOD, ("rs.room(5)", '"##\\n..\\n##"')), "is open; close the border"),
    "an unknown map character": (swap(GOOD, ("rs.room(5)", '"####\\n#.?#\\n####"')), "'?' at row 1, column 2"),
    "a setting out of range": (swap(GOOD, ("rs.A2C()", "rs.A2C(learning_rate=-1.0)")), "agent.learning_rate: -1.0"),
    "rewards that are not numbers": (
        swap(HAND_MADE, ('reward=after["x"]', 'reward=jnp.where(after["x"] > 0, jnp.nan, 0.0)')),
        "a reward or an observation is infinite or not a number",
    ),
    "observations that change shape": (
        swap(HAND_MADE, ("obs=observe(after)", "obs=jnp.zeros(3)")),
        "env.step: the observation",
    ),
    "states that change type": (
        swap(HAND_MADE, ('"t": state["t"] + 1}', '"t": state["t"] + 1.0}')),
        "the states of env.reset and env.step",
    ),
    "hidden randomness": (
        swap(HAND_MADE, ("action - 1.0", "action - 1.0 + np.random.uniform()")),
        "traced twice it gave two programs",
    ),
    "an endless episode": (
        swap(HAND_MADE, ('truncated=~ended & (after["t"] >= 8)', "truncated=jnp.bool_(False)")),
        "an episode goes on after max_steps=8",
    ),
    "both flags at once": (
        swap(HAND_MADE, ('truncated=~ended & (after["t"] >= 8)', "truncated=ended")),
        "terminated and truncated are both set",
    ),
}


@pytest.mark.parametrize("source", [GOOD, HAND_MADE], ids=["grid", "by hand"])
def test_the_unbroken_files_are_sound(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(SystemExit) as ended:
        main(["check", str(tmp_path / "mine.py")])
    assert ended.value.code == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_gets_one_clear_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, message = BROKEN[name]
    path = tmp_path / "mine.py"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(SystemExit) as ended:
        main(["check", str(path)])
    out, err = capsys.readouterr()
    assert ended.value.code in (1, 2)
    lines = [line for line in (out + err).splitlines() if line.startswith(("problem: ", "robustsim: "))]
    assert "Traceback" not in out + err
    assert len([line for line in lines if message in line]) == 1, out + err
    assert len(lines) <= 2


def test_there_are_thirty_ways() -> None:
    assert len(BROKEN) >= 30
