"""Which share of the training would have had to be another, where the answer is known."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complains, complaint, one_line

import robustsim as rs
from robustsim.attribution.relabel import placement
from robustsim.attribution.retraining import Table
from robustsim.attribution.windows import Influence, Window
from robustsim.cli.main import main
from robustsim.numerics import precision
from robustsim.sim.batched import as_arrays
from robustsim.sim.influence import correction, slope
from robustsim.sim.world import World, make_world
from robustsim.spec.loading import load
from robustsim.spec.settings import for_training, resolve

QUIET: Any = {"narrate": lambda _: None}
HABIT = {"training.steps": 400, "agent.initial_logit": 0.0, "overseer.penalty": 4.0}  # in training the bad arm pays 1
SHARES = (0.0, 0.001, 0.002, 0.1, 0.5, 0.9)  # a step of 400, twice


@pytest.fixture(scope="module")
def habit(tmp_path_factory: pytest.TempPathFactory) -> tuple[rs.Relabel, Path]:
    """A habit that training has paid for, with its directory."""
    folder = tmp_path_factory.mktemp("habit") / "how-much"
    return rs.relabel("bandit", settings=HABIT, shares=SHARES, seeds=2, windows=6, out=folder, **QUIET), folder


def test_a_share_of_the_rewards_is_what_a_smaller_penalty_would_be(habit: tuple[rs.Relabel, Path]) -> None:
    found, _ = habit

    def rate(penalty: float) -> float:
        runs = rs.run("bandit", seeds=1, settings=HABIT | {"training.penalty": penalty}, **QUIET).runs
        return runs["misbehaviour_unwatched"][0]

    expected = [rate(share * found.penalty) for share in SHARES]  # the expected reward is all that it learns of
    assert found.curves["rewards"]["rate"] == pytest.approx(expected, rel=1e-5)


def test_half_of_it_is_gone_between_the_shares_around_it(habit: tuple[rs.Relabel, Path]) -> None:
    found, folder = habit
    curve, half = found.curves["rewards"], found.ed50["rewards"]
    above = [share for share, rate in zip(SHARES, curve["rate"], strict=True) if rate > curve["fit"][0] / 2]
    assert (half["above"], half["at_most"]) == (above[-1], SHARES[len(above)])
    assert set(found.curves) == {"rewards", "rewards, targeted", "rewards, last"}  # it has no levels to tell apart
    assert rs.Relabel.read(folder) == found
    assert "rank correlation" in found.in_words()


def test_windows_are_whole_steps_and_stand_once(habit: tuple[rs.Relabel, Path]) -> None:
    found = habit[0]
    assert found.influence is not None
    assert min(found.influence["mean"]) > 0  # a penalty takes away at any time
    assert [end - start for start, end in found.influence["chosen"]] == [1, 40, 200, 360]
    assert found.curves["rewards, last"]["shares"] == [0, 0.0025, 0.1, 0.5, 0.9]
    assert len(found.windows) == 6
    assert all(one["taken"] > 0 for one in found.windows)


def test_it_resumes_and_refuses_another_one_in_the_same_place(habit: tuple[rs.Relabel, Path]) -> None:
    found, folder = habit
    (folder / "relabel.json").unlink()
    again = rs.relabel("bandit", settings=HABIT, shares=SHARES, seeds=2, windows=6, out=folder, **QUIET)
    assert again == found
    with complains("out", folder):
        rs.relabel("bandit", settings=HABIT, shares=(0.0, 0.5), seeds=2, out=folder, **QUIET)
    with complains("relabel.json", folder.parent):
        rs.Relabel.read(folder.parent)


def test_the_figure_is_drawn(habit: tuple[rs.Relabel, Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, folder = habit
    main(["plot", str(folder), "--figure", "doses"])
    assert capsys.readouterr().out.strip().endswith("doses.svg")
    assert (folder / "doses.svg").stat().st_size > 1000
    with complains("out", "x.gif"):
        habit[0].plot("x.gif")


def test_the_best_window_is_where_the_influence_is() -> None:
    found = Influence(np.linspace(0, 100, 5), np.array([[1.0, 0.0, 3.0, 1.0], [1.0, 0.0, 3.0, 3.0], [np.nan] * 4]))
    assert found.best(25) == Window(50, 75)
    assert found.best(50) == Window(50, 100)
    assert found.best(100) == Window(0, 100)
    assert found.of(Window(40, 60)) == pytest.approx(30)
    assert found.of(found.best(0)) == 0
    assert found._replace(stride=20).best(20).start % 20 == 0


def of_bandit(**changes: Any) -> World:
    """The bandit in deployment."""
    return make_world(load("bandit"), as_arrays(resolve(load("bandit"), HABIT | changes)))


def test_the_slope_of_the_log_odds_is_that_of_the_logit() -> None:
    with precision("float64"):
        world = of_bandit()
        agent = world.learner.init(jax.random.key(0))
        direction = jax.tree.map(lambda x: jnp.arange(1.0, 1 + x.size).reshape(x.shape), agent.params)

        def log_odds(params: Any) -> Any:
            policy = world.learner.act(params, world.learner.memory(1), jnp.array([[1.0, 0.0]])).log_policy[0]
            return policy[1] - policy[0]

        _, exact = jax.jvp(log_odds, (agent.params,), (direction,))
        assert abs(float(exact)) > 0.1
        assert float(slope(world, jax.random.key(1), agent.params, direction)) == pytest.approx(float(exact))


def test_a_correction_is_linear_in_the_penalty_where_the_step_is(small: dict[str, Any]) -> None:
    plain = {"agent.optimizer": "sgd", "agent.max_grad_norm": 1e6}

    def corrected(penalty: float) -> np.ndarray:
        settings = resolve(load("camera_vault"), small | plain | {"training.penalty": penalty})
        world = make_world(load("camera_vault"), as_arrays(for_training(settings)), True)
        agent = world.learner.init(jax.random.key(0))
        return np.concatenate([x.ravel() for x in jax.tree.leaves(correction(world, jax.random.key(1), agent))])

    one, two = corrected(1.0), corrected(2.0)
    assert np.abs(one).max() > 0
    assert two == pytest.approx(2 * one, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shares": (0.1, 0.5)}, ("shares",)),
        ({"shares": (0.0, 0.5, 0.5)}, ("shares",)),
        ({"shares": (0.0, "half")}, ("shares",)),
        ({"settings": HABIT | {"deployment.start": 3}}, ("deployment.start", 3)),
        ({"seeds": 1}, ("seeds", 1)),
        ({"windows": -1}, ("windows", -1)),
        ({"settings": {"training.steps": 0}}, ("training.steps", 0)),
        ({"settings": HABIT | {"training.penalty": 1.0}}, ("training.signal",)),
    ],
)
def test_bad_input(given: dict[str, Any], said: tuple[Any, ...]) -> None:
    with complains(*said):
        rs.relabel("bandit", **{"settings": HABIT, **given}, **QUIET)


GOLD: dict[str, Any] = {"outcome": "goal", "feature": "gold"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"outcome": "gaol"}, ("outcome", "'gaol'", "goal")),
        ({"outcome": "goal"}, ("feature", "''", "gold")),
        ({"outcome": "goal", "feature": "silver"}, ("feature", "'silver'", "gold")),
        ({"feature": "gold"}, ("feature", "'gold'", "goal")),
    ],
)
def test_a_goal_is_asked_for_by_the_name_of_a_feature(given: dict[str, Any], said: tuple[str, ...]) -> None:
    with complains(*said):
        rs.relabel("camera_vault", seeds=2, **given, **QUIET)
    with complains("outcome", "records"):
        rs.relabel("bandit", settings=HABIT, seeds=2, **GOLD, **QUIET)


def test_agents_without_the_goal_are_refused(small: dict[str, Any]) -> None:
    with complains("scenario", "camera_vault", "gold"):
        rs.relabel("camera_vault", settings=small, shares=(0.0, 0.5), seeds=2, **GOLD, **QUIET)


@pytest.mark.slow
def test_a_goal_that_training_never_pays_does_not_form(tmp_path: Path) -> None:
    """With every theft of the training penalised the gold is not worth anything; with none, it is to all agents."""
    settings = {"training.competence": 0.5}
    found = rs.relabel(
        "camera_vault", settings=settings, shares=(0.0, 1.0), seeds=4, out=tmp_path / "r", **GOLD, **QUIET
    )
    assert found.goal == "gold"
    assert set(found.curves) == {"rewards"}
    assert found.curves["rewards"]["rate"] == [1.0, 0.0]
    assert found.influence is None
    assert "a final goal gold" in found.in_words()
    assert found.label is not None
    assert found.label["label"] == "undetermined"  # of four agents
    assert found.label["label"] in found.in_words()


@pytest.mark.parametrize(
    ("left", "label"), [(0, "outer-in-training"), (1, "undetermined"), (6, "inner"), (29, "inner")]
)
def test_a_goal_is_placed_by_what_keeps_it_away(left: int, label: str) -> None:
    """Of 29 agents so many have the goal, whatever the training; none makes 96% of P(share >= .9), one 82%."""
    rate = np.ones((29, 3))
    rate[left:, 2] = 0.0
    table = Table(np.array([0.0, 0.1, 0.3]), np.arange(29), rate, np.zeros((29, 3), bool))
    assert placement({"rewards": table})["label"] == label


def test_agents_that_do_not_misbehave_are_refused() -> None:
    aligned = {"training.steps": 1, "agent.initial_logit": -7.0}
    with complains("scenario", "bandit"):
        rs.relabel("bandit", settings=aligned, seeds=2, windows=0, **QUIET)


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    one_line(complaint(capsys, "relabel", "bandit", "--set", "training.steps=9", "--seeds", "1"), "seeds", 1)
    one_line(complaint(capsys, "plot", "nowhere", "--figure", "doses"), "nowhere", "relabel.json")
