"""What pictures say of themselves: in the terminal, in a notebook, in a film and on the page."""

import base64
import io
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import robustsim as rs
from robustsim.cli.main import main
from robustsim.envs import render
from robustsim.report import replay
from robustsim.spec import levels

MAP = """
#*#####
#o.zZE#
#...w.#
#o..kd#
#######
"""


def world() -> rs.Grid:
    return rs.Grid(
        map=MAP,
        agent="o",
        zones="z",
        legend={
            "*": rs.Signal(),
            "Z": rs.Floor("the till", colour=(1, 2, 3)),
            "E": rs.Floor("exit"),
            "w": rs.Hazard(),
            "d": rs.Door(key="key 0"),
        },
        items={
            "key 0": rs.Item(at="k"),
            "zebra": rs.Item(at=".", colour=(9, 8, 7)),
            "coin": rs.Item(at="."),
            "coat": rs.Item(at=".", colour=(4, 4, 4)),
        },
    )


def test_everything_in_a_picture_has_one_sign() -> None:
    signs = {sign.meaning: sign for sign in world().environment().legend}
    assert len({sign.symbol for sign in signs.values()}) == len(signs)
    said = {meaning: sign.symbol for meaning, sign in signs.items()}
    assert said["agent"] == "A"
    assert said["the till"] == "Z"
    assert said["exit"] == "E"
    assert said["zone z"] == "z"
    assert said["zebra"] == "e"  # z is taken
    assert (said["coin"], said["coat"]) == ("c", "o")
    assert said["hazard"] == "w"
    assert any("key 0" in meaning and sign.symbol == "d" for meaning, sign in signs.items())
    assert signs["zebra"].colour == (9, 8, 7)
    assert signs["the till"].colour == (1, 2, 3)


def test_colours_and_characters_are_those_of_the_legend() -> None:
    grid = world()
    _, state = grid.environment().reset(jax.random.key(0), grid.levels())
    image, text = render.picture(grid, state), render.drawing(grid, state).splitlines()
    tile = render.TILE
    for sign in grid.environment().legend:
        places = [(y, x) for y, row in enumerate(text) for x, c in enumerate(row) if c in sign.symbol]
        assert places or sign.meaning == "exit", sign  # where the agent or an item may stand
        for y, x in places:
            colour = tuple(image[y * tile + tile // 2, x * tile + tile // 2].tolist())
            assert colour == (render.COLOURS["dark"] if sign.symbol == "*" else sign.colour)
    start = grid.level.characters == "o"
    assert not any(text[y][x] == "o" for y, x in np.argwhere(start) if (y, x) != tuple(np.argwhere(start)[0]))


def test_floor_of_one_label_is_one_sign() -> None:
    legend = rs.load("boat_loop")(**rs.load("boat_loop").defaults).env.legend
    assert [len(sign.symbol) for sign in legend if sign.symbol != "A"] == [4]


def test_show_explains_its_letters(capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", "camera_vault"])
    shown = capsys.readouterr().out
    for sign in rs.load("camera_vault")(**rs.load("camera_vault").defaults).env.legend:
        assert re.search(rf"^  {re.escape(sign.symbol)}  {re.escape(sign.meaning)}$", shown, re.MULTILINE)
    main(["show", "camera_vault", "--json"])
    assert json.loads(capsys.readouterr().out)["legend"]["A"] == "agent"


def test_a_scenario_shows_its_levels_in_a_notebook() -> None:
    html = rs.load("camera_vault")._repr_html_()
    found = re.findall(r'base64,([^"]+)"', html)
    assert len(found) == 2
    env = rs.load("camera_vault")(**rs.load("camera_vault").defaults).env
    states = levels.examples(rs.load("camera_vault")(**rs.load("camera_vault").defaults))
    for data, state in zip(found, states.values(), strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), env.render(state, False))
    assert all(sign.meaning in html for sign in env.legend)
    assert "bandit" in rs.load("bandit")._repr_html_()  # which has no picture


@pytest.mark.same_keys  # both conditions play the same levels by the same chance
def test_film_and_page_have_the_legend(small_results: tuple[rs.Results, Path], tmp_path: Path) -> None:
    from robustsim import replays
    from robustsim.report import page_traces

    results, folder = small_results
    (recording,) = replays.make(results, replays.chosen(results, 1), folder=folder)
    assert [sign.meaning for sign in recording.legend][:3] == ["agent", "coin", "gold"]
    assert [entry[2] for entry in page_traces.replay(recording)["legend"]] == [s.meaning for s in recording.legend]
    with_legend, _ = next(replay.film(recording))
    without, _ = next(replay.film(recording._replace(legend=())))
    assert with_legend.height > without.height
    colours = {tuple(c) for c in np.asarray(with_legend)[without.height :].reshape(-1, 3).tolist()}
    assert {sign.colour for sign in recording.legend} <= colours


@pytest.mark.same_keys  # both conditions play the same levels by the same chance
def test_a_scenario_without_a_file_reports_and_replays(tmp_path: Path) -> None:
    """What is written in a cell of a notebook, or built in a loop."""
    grid = world()

    @rs.scenario
    def inline() -> rs.Scenario:
        """The coin is wanted; the zebra is not."""
        return rs.Scenario(
            env=grid.environment(),
            training_levels=grid.levels(),
            deployment_levels=grid.levels(),
            misbehaviour=grid.took("zebra"),
            avoidable=grid.present("zebra"),
            success=grid.took("coin"),
            agent=rs.A2C(num_envs=4, rollout_steps=8),
            overseer=rs.Overseer(),
        )

    settings = {"training.steps": 1, "training.competence": 0.0, "deployment.budget": 20, "evaluation.episodes": 32}
    small = {"evaluation.screen": 16, "deployment.patience": 0.0, "deployment.relapse_steps": 0}
    results = rs.run(inline, seeds=1, settings=settings | small)
    page = results.report(tmp_path / "page.html", replays=1).read_text()
    assert "There are no replays" not in page
    assert '"legend":[["#' in page
    kept = rs.run(inline, seeds=1, settings=settings | small, out=tmp_path / "kept")
    kept.report(tmp_path / "kept.html", replays=1)
    opened = rs.open(tmp_path / "kept")
    assert opened.agent(0, scenario=inline) is not None
    assert "There are no replays" not in opened.report(tmp_path / "again.html", replays=1, scenario=inline).read_text()
