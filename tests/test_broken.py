"""Broken scenario files: `robustsim check` says what is wrong in one line that names it."""

from pathlib import Path

import pytest
from complaints import complaint, says

from robustsim.cli.main import main

pytestmark = pytest.mark.same_keys  # random play takes its keys from an array, inside a loop

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
    "syntax": ("def f(:\n", ("mine.py", "line 1")),
    "bytes": (b"\xff\xfe\x00", ("mine.py", "0xff")),
    "empty": ("", ("mine.py", "@rs.scenario")),
    "no decorator": (swap(GOOD, ("@rs.scenario\n", "")), ("mine.py", "@rs.scenario")),
    "two of a name": (GOOD + GOOD[GOOD.index("@rs") :], ("mine.py", "line 23", "'mine'")),
    "import": ("import nosuchthing\n" + GOOD, ("mine.py", "nosuchthing")),
    "raises at import": ("1 / 0\n" + GOOD, ("mine.py", "ZeroDivisionError", "line 1")),
    "exits at import": ("raise SystemExit(0)\n" + GOOD, ("mine.py", "SystemExit")),
    "no docstring": (swap(GOOD, ('    """A claim."""\n', "")), ("'mine'", "docstring")),
    "no type": (swap(GOOD, ("gold: float = 2.0", "gold")), ("'mine'", "'gold'", "float")),
    "wrong type": (swap(GOOD, ("gold: float = 2.0", "gold: list = []")), ("'mine'", "'gold'", "float")),
    "no default": (swap(GOOD, ("gold: float = 2.0", "gold: float")), ("'mine'", "'gold'", "default")),
    "default of another type": (swap(GOOD, ("gold: float = 2.0", 'gold: float = "two"')), ("'gold'", "'two'", "float")),
    "returns nothing": (swap(GOOD, ("return rs.Scenario", "rs.Scenario")), ("'mine'", "NoneType", "rs.Scenario")),
    "an unknown field": (swap(GOOD, ("success=took", "sucess=took")), ("'mine'", "'sucess'")),
    "a field missing": (swap(GOOD, ("        agent=rs.A2C(),\n", "")), ("'mine'", "'agent'")),
    "Python control flow": (
        swap(GOOD, ("misbehaviour=took", "misbehaviour=lambda tr: True if tr.reward > 0 else False")),
        ("'mine'", "misbehaviour", "jnp.where"),
    ),
    "control flow on a parameter": (
        swap(GOOD, ("    took =", "    gold = 1 if gold > 1 else 0\n    took =")),
        ("'mine'", "jnp.where", "int", "bool", "str"),
    ),
    "a predicate that returns a number": (
        swap(GOOD, ("misbehaviour=took", "misbehaviour=lambda tr: tr.reward")),
        ("misbehaviour", "float32", "bool[]"),
    ),
    "a predicate that returns an array": (
        swap(GOOD, ("success=took", "success=lambda tr: jnp.zeros(3, bool)")),
        ("success", "bool (3)", "bool[]"),
    ),
    "a predicate that fails": (
        swap(GOOD, ("misbehaviour=took", "misbehaviour=lambda tr: tr.after.gold > 0")),
        ("misbehaviour", "AttributeError", "'gold'", "mine.py", "line 16"),
    ),
    "a scenario that fails": (
        swap(GOOD, ("    took =", "    missing = {}['key']\n    took =")),
        ("'mine'", "KeyError", "'key'", "mine.py", "line 11"),
    ),
    "a step that fails": (
        swap(HAND_MADE, ('state["x"] + action - 1.0', 'state["y"] + action - 1.0')),
        ("env.step", "KeyError", "'y'", "mine.py", "line 20"),
    ),
    "a step as gym has it": (
        swap(HAND_MADE, ("return Step(", "return tuple_of("))
        + "\n\ndef tuple_of(obs, state, reward, terminated, truncated):\n"
        + "    return obs, state, reward, terminated, {}\n",
        ("env.step", "tuple of 5", "rs.Step(obs=..., state=..., reward=..., terminated=..., truncated=...)"),
    ),
    "a reset that forgets the state": (
        swap(HAND_MADE, ("return observe(state), state", "return observe(state)")),
        ("env.reset", "(obs, state)"),
    ),
    "a predicate that never fires": (
        swap(GOOD, ("misbehaviour=took", "misbehaviour=lambda tr: tr.reward > 99")),
        ("misbehaviour", 1024),
    ),
    "nothing avoidable": (
        swap(GOOD, ("success=took", "success=took, avoidable=lambda state: jnp.bool_(False)")),
        ("avoidable", 1024),
    ),
    "levels that differ in structure": (
        swap(GOOD, ("training_levels=grid.levels()", "training_levels=(grid.levels(), 0)")),
        ("'mine'", "training_levels", "deployment_levels"),
    ),
    "an item that is not there": (swap(GOOD, ('grid.took("coin")', 'grid.took("gold")')), ("item", "'gold'", "coin")),
    "an open map": (swap(GOOD, ("rs.room(5)", '"##\\n..\\n##"')), ("map", "row 1", "column 0")),
    "an unknown map character": (
        swap(GOOD, ("rs.room(5)", '"####\\n#.?#\\n####"')),
        ("map", "'?'", "row 1", "column 2"),
    ),
    "a setting out of range": (
        swap(GOOD, ("rs.A2C()", "rs.A2C(learning_rate=-1.0)")),
        ("agent.learning_rate", -1.0, "(0, 1000]"),
    ),
    "rewards that are not numbers": (
        swap(HAND_MADE, ('reward=after["x"]', 'reward=jnp.where(after["x"] > 0, jnp.nan, 0.0)')),
        ("env", "reward", "observation"),
    ),
    "observations that change shape": (
        swap(HAND_MADE, ("obs=observe(after)", "obs=jnp.zeros(3)")),
        ("env.step", "observation", "float32 (3)", "float[2]"),
    ),
    "states that change type": (
        swap(HAND_MADE, ('"t": state["t"] + 1}', '"t": state["t"] + 1.0}')),
        ("env.reset", "env.step", "['t']", "int32[]", "float32[]"),
    ),
    "hidden randomness": (
        swap(HAND_MADE, ("action - 1.0", "action - 1.0 + np.random.uniform()")),
        ("env", "NumPy"),
    ),
    "an endless episode": (
        swap(HAND_MADE, ('truncated=~ended & (after["t"] >= 8)', "truncated=jnp.bool_(False)")),
        ("env.step", "max_steps=8", "truncated"),
    ),
    "both flags at once": (
        swap(HAND_MADE, ('truncated=~ended & (after["t"] >= 8)', "truncated=ended")),
        ("env.step", "terminated", "truncated"),
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
    source, parts = BROKEN[name]
    path = tmp_path / "mine.py"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(SystemExit) as ended:
        main(["check", str(path)])
    out, err = capsys.readouterr()
    assert ended.value.code in (1, 2)
    lines = [line for line in (out + err).splitlines() if line.startswith(("problem: ", "robustsim: "))]
    assert "Traceback" not in out + err
    assert len([line for line in lines if says(line, *parts)]) == 1, out + err
    assert len(lines) <= 2


@pytest.mark.parametrize("name", ["a step as gym has it", "a reset that forgets the state", "a step that fails"])
def test_a_run_says_so_too(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, parts = BROKEN[name]
    (tmp_path / "mine.py").write_text(str(source))
    for out in ([], ["--out", str(tmp_path / "out")]):
        assert says(complaint(capsys, "run", str(tmp_path / "mine.py"), "--seeds", "1", *out), *parts)


def test_a_learner_of_one_s_own_that_fails_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learner = """
@rs.learner
class Own:
    num_envs: int = 2
    rollout_steps: int = 4

    def learner(self, interface):
        return rs.A2C().learner(interface).nothing
"""
    (tmp_path / "mine.py").write_text(
        swap(GOOD, ("agent=rs.A2C()", "agent=Own()"), ("\n\n@rs.sc", learner + "\n\n@rs.sc"))
    )
    said = complaint(capsys, "run", str(tmp_path / "mine.py"), "--seeds", "1")
    assert says(said, "AttributeError", "'nothing'", "mine.py", "line 12")
