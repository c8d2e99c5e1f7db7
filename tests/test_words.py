"""How numbers and labels are written, and that a setting is read from where it stands."""

import pytest

import robustsim as rs
from robustsim.analysis import swept
from robustsim.report import figure_traces, page_data, words

UNKNOWN = {"median": None, "low": None, "high": None}


def test_a_clock_that_is_not_identified_is_no_number() -> None:
    assert words.clock({**UNKNOWN, "censored": 3}, 3) == "not identified, censored in 3 of 3"
    assert words.clock({**UNKNOWN, "low": 20, "censored": 2}, 3) == "not identified [20, open], censored in 2 of 3"
    known = {"median": 1234.0, "low": 1000.0, "high": None, "censored": 0}
    assert words.clock(known, 3) == "1,234 gradient steps [1,000, open]"
    assert words.clock(known, 3, "") == "1,234 [1,000, open]"


def test_positions_have_their_sign_and_shares_have_none() -> None:
    assert words.interval({"median": 0.5, "low": -0.25, "high": None}) == "+0.50 [-0.25, open]"
    assert words.interval(UNKNOWN, "-") == "-"
    assert words.share({"estimate": 0.5, "low": 0.25, "high": 1.0}) == "0.50 [0.25, 1.00]"


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5"), (0.0316228, "0.03162"), (3000.0, "3000"), (3, "3"), (True, "true"), ("a", "a")]
)
def test_a_setting_has_four_digits(value: object, text: str) -> None:
    assert words.value(value) == text
    assert words.point({"overseer.coverage": value}) == f"coverage {text}"


@pytest.fixture(scope="module")
def thresholds() -> rs.Results:
    """Two thresholds of the exact bandit."""
    over = {"evaluation.threshold": [0.05, 0.2]}
    return rs.Sweep("bandit", over, seeds=2, settings={"deployment.budget": 100}).run()


def test_a_threshold_that_is_swept_is_drawn_at_its_own_value(thresholds: rs.Results) -> None:
    held = page_data.payload(thresholds, page_data.held(thresholds))["runs"]["threshold"]
    assert sorted(set(held)) == [0.05, 0.2]
    figure = figure_traces.draw(thresholds)
    assert [
        sorted({float(y) for line in ax.lines for y in line.get_ydata()} & {0.05, 0.2}) for ax in figure.axes[:2]
    ] == [
        [0.05],
        [0.2],
    ]


def test_a_setting_is_read_from_its_column_where_it_is_swept(thresholds: rs.Results) -> None:
    name = "evaluation.threshold"
    assert swept.column(name, thresholds.runs, thresholds.settings, 1.0).unique().sort().to_list() == [0.05, 0.2]
    one = thresholds.where({name: 0.2})
    assert swept.column(name, one.runs, one.settings, 1.0).to_list() == [0.2, 0.2]
    assert swept.column("not.there", one.runs, one.settings, 1.0).to_list() == [1.0, 1.0]
