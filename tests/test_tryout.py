"""`robustsim check --train` shows what training comes to."""

import json
from pathlib import Path

import pytest
from complaints import says

from robustsim.cli.main import main


def test_a_learning_curve_says_what_training_comes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROBUSTSIM_CACHE", str(tmp_path))
    settings = ["--set", "training.steps=16", "--set", "evaluation.episodes=64", "--set", "training.extension=0.5"]
    with pytest.raises(SystemExit) as ended:
        main(["check", "corner_maze", "--train", "--json", *settings])
    found = json.loads(capsys.readouterr().out)
    steps = [point["step"] for point in found["curve"]]
    assert steps == [*range(0, 16, 2), 16, 20, 24]  # it goes on in quarters while it is not competent
    assert ended.value.code == 1
    assert says(found["problems"][0], "training.competence", "0.95", "24")
    start, *_, end = found["curve"]
    assert end["competence"] > start["competence"]  # of training levels
    with pytest.raises(SystemExit) as ended:
        main(["check", "corner_maze", "--train", *settings, "--set", "training.competence=0.05"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert says(text, "competent after", "gradient step")
