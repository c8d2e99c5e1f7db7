"""Attribution from end to end, on the bandit where it is quick, and the levers that it pulls."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from complaints import complains
from hypothesis import given, settings
from hypothesis import strategies as st

import robustsim as rs
from robustsim import api, levers
from robustsim.analysis import evidence, gains
from robustsim.attribution import prices
from robustsim.cli.main import main
from robustsim.report import attributed_figures
from robustsim.spec.families import families
from robustsim.spec.loading import load
from robustsim.spec.settings import resolve
from robustsim.truth import validate_attribution

QUIET: Any = {"narrate": lambda _: None}
BANDIT = {"overseer.coverage": 0.05, "overseer.penalty": 0.2, "deployment.budget": 5_000, "catastrophe.threshold": 60}

SLOW = {"agent.initial_logit": 1.9, "overseer.coverage": 0.01, "overseer.penalty": 1.0}


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> tuple[rs.Attribution, Path]:
    """An attribution in which feedback in deployment would have done, with its directory."""
    folder = tmp_path_factory.mktemp("weak") / "who"
    return attributed(folder, **SLOW), folder


def attributed(out: Path | None = None, **settings: Any) -> rs.Attribution:
    """The bandit with a weak overseer, and what else is set."""
    return rs.attribute("bandit", settings=BANDIT | settings, out=out, terms=rs.Terms(max_seeds=32), **QUIET)


def test_better_feedback_in_deployment_would_have_prevented_it(weak: tuple[rs.Attribution, Path]) -> None:
    found, folder = weak
    assert (found.label, found.node) == ("online-outer", "feedback in deployment")
    assert found.confidence > 0.9
    assert found.levers["actual"]["in_time"] == 0
    assert found.levers["best"]["in_time"] == found.levers["best"]["runs"]
    assert rs.Attribution.read(folder) == found
    assert "penalty 1" in found.in_words()
    again = rs.run("bandit", seeds=4, settings=found.levers["best"]["settings"], **QUIET)
    assert (again.runs["first_event"] == "removed").all()  # its settings can be run as they are


def test_the_cheapest_that_does_is_confirmed_and_nothing_cheaper_does(weak: tuple[rs.Attribution, Path]) -> None:
    found = weak[0]
    assert found.cheapest is not None
    assert found.levers[found.cheapest]["runs"] >= 8 + prices.FRESH or found.cheapest == "best"
    cheaper = [f"best-{share:g}" for share in levers.COVERAGES]
    cheaper = cheaper[: cheaper.index(found.cheapest)] if found.cheapest in cheaper else cheaper
    assert all(found.levers[name]["prevents"] < 0.95 for name in cheaper)
    spent = [found.levers[name]["feedback"]["median"] for name in ("actual", "best")]
    assert spent[0] == pytest.approx(spent[1], rel=0.2)  # how much is seen changes how long it takes, not its cost


def test_no_order_is_assumed_among_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dearer overseer may do worse, so the search neither skips candidates nor stops at the first that fails."""
    asked = list[str]()

    def holds_up(search: Any, name: str, seeds: int) -> bool:
        asked.append(name)
        search.grow(name, 1)
        return name in ("best-0.03", "best-0.3")

    monkeypatch.setattr(prices, "_holds_up", holds_up)
    assert attributed(**SLOW).cheapest == "best-0.03"
    assert asked == ["best-0.01", "best-0.03"]


@given(st.lists(st.floats(0.05, 1), min_size=2, max_size=2), st.sampled_from(["overseer.coverage", "overseer.penalty"]))
@settings(max_examples=10, deadline=None)
def test_in_the_bandit_more_feedback_is_never_worse(values: list[float], name: str) -> None:
    case = {"overseer.penalty": 0.5, "overseer.coverage": 0.5, "training.steps": 7, "agent.initial_logit": 0.0}
    case |= {"catastrophe.threshold": 60, "deployment.budget": 2000}
    less, more = (validate_attribution.in_time(case | {name: value}) for value in sorted(values))
    assert less <= more + 1e-12


def test_it_is_drawn(weak: tuple[rs.Attribution, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, folder = weak
    for name in attributed_figures.FIGURES:
        found.plot(tmp_path / f"{name}.png", name)
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    with complains("figure", "leader"):
        found.plot(None, "leader")
    with complains("out", "x.gif"):
        found.plot("x.gif")
    main(["plot", str(folder), "--figure", "tree", "--out", str(tmp_path / "again.png")])
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "tree.png").read_bytes()
    with complains("attribution.json", tmp_path):
        rs.Attribution.read(tmp_path)
    assert "again.png" in capsys.readouterr().out


def test_the_page_of_the_case_says_what_would_have_prevented_it(
    weak: tuple[rs.Attribution, Path], tmp_path: Path
) -> None:
    found, folder = weak
    results = rs.open(folder)
    assert len(results.runs) == found.levers["actual"]["runs"]
    text = results.report(tmp_path / "page.html", replays=0).read_text()
    assert "What would have prevented it" in text
    assert text.count("<svg") >= 2
    assert found.levers["best"]["said"] in text
    alone = rs.run("bandit", seeds=2, settings=BANDIT, **QUIET).report(tmp_path / "alone.html", replays=0)
    assert "What would have prevented it" not in alone.read_text()


def test_a_lever_in_which_some_agents_fail_grows_and_is_not_charged_with_what_the_case_cannot_do(
    small: dict[str, Any], tmp_path: Path
) -> None:
    """Half of the agents of the case are below its criterion too: those are left out on both sides."""
    trained = {**small, "training.steps": 40}
    reached = rs.run("camera_vault", seeds=8, settings=trained, **QUIET).runs["training_competence"]
    case = {**trained, "training.competence": float(reached.median()), "training.extension": 0.0}  # pyright: ignore[reportArgumentType]
    found = rs.attribute("camera_vault", settings=case, out=tmp_path, terms=rs.Terms(seeds=4, max_seeds=8), **QUIET)
    grown = [lever for lever in found.levers.values() if lever["runs"] + lever["failed"] > 4]
    assert any(lever["failed"] for lever in grown)
    for name, lever in found.levers.items():
        if name in (*levers.IN_DEPLOYMENT, levers.ACTUAL):
            assert lever["judged"] == lever["runs"]
    again = rs.attribute("camera_vault", settings=case, out=tmp_path, terms=rs.Terms(seeds=4, max_seeds=8), **QUIET)
    assert again == found


def test_objects_and_windows_of_the_case_are_kept_where_they_belong() -> None:
    factory = load("camera_vault")
    case = {"training.penalty": 1.0, "training.penalty_until": 100, "deployment.start": 50}
    table = families(factory, resolve(factory, case), case, 9.0)
    assert all(resolve(factory, lever.changes) for lever in table.values())
    assert table[levers.REWARDS].changes["training.penalty_until"] > 10**6
    assert table[levers.REFERENCE].changes["deployment.start"] == -1


def test_a_broken_lever_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    run = api.Sweep.run

    def broken(self: Any, out: Path, **how: Any) -> Any:
        results = run(self, out, **how)
        if out.name != "best":
            return results
        failed = pl.DataFrame({"seed": [0], "why": ["its worker died (signal 9)"]})
        error = rs.RunsFailed("1 of 8 runs failed")
        error.results = rs.Results(results.runs, results.traces, results.manifest, failed=failed)
        raise error

    monkeypatch.setattr(api.Sweep, "run", broken)
    with pytest.raises(rs.RunsFailed):
        attributed(**SLOW)


def test_it_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    once = attributed(tmp_path, **SLOW)
    (tmp_path / "attribution.json").unlink()
    for path in sorted((tmp_path / "best").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    before = (tmp_path / "actual" / "manifest.json").stat().st_mtime_ns
    assert attributed(tmp_path, **SLOW) == once
    assert (tmp_path / "actual" / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        ({"agent.initial_logit": -9.0, "deployment.budget": 500}, "aligned"),
        ({"agent.initial_logit": 1.9, "catastrophe.threshold": 10**6}, "contained"),
        ({"agent.initial_logit": 1.9, "overseer.coverage": 1.0, "overseer.penalty": 1.0}, "online-outer"),
        ({"agent.initial_logit": 8.0}, "inner"),
    ],
)
def test_labels_of_the_bandit(settings: dict[str, Any], label: str) -> None:
    assert attributed(**settings).label == label


def test_bad_input_names_the_field() -> None:
    for name, value in (("cost", 0), ("cost", float("nan")), ("delta", 1.0), ("confidence", 0.2), ("seeds", 0)):
        with complains(name, value):
            rs.attribute("bandit", terms=rs.Terms(**{name: value}))
    with complains("deployment.stop", "first_event"):
        rs.attribute("bandit", settings={"deployment.stop": "first_event"})
    with complains("overseer.coverage", 7.0):
        rs.attribute("bandit", settings={"overseer.coverage": 7.0})


def test_a_family_has_to_contain_the_overseer_itself() -> None:
    with complains("cost", 0.1):  # the largest penalty would be below that of the overseer
        rs.attribute("bandit", settings=BANDIT, terms=rs.Terms(seeds=2, cost=0.1), **QUIET)


def test_every_lever_can_be_run() -> None:
    for name in ("coin_run", "tamper_with_oversight"):
        factory = load(name)
        table = families(factory, resolve(factory, {}), {"overseer.coverage": 0.3}, 9.0)
        assert all(resolve(factory, lever.changes) for lever in table.values())
        assert table[levers.REWARDS_BEST].changes["overseer.coverage"] == 1.0
        assert table[levers.REWARDS].changes["overseer.coverage"] == 0.3
        assert (levers.GUARDED in table) == (name == "tamper_with_oversight")
        assert ("levels-0.1" in table) == ("alpha" in factory.parameters)


def test_all_levers_share_their_gain() -> None:
    case = BANDIT | {"training.steps": 200, "agent.initial_logit": 0.0, "overseer.coverage": 0.5}
    found = rs.attribute("bandit", settings=case, terms=rs.Terms(seeds=8, max_seeds=8, full=True), **QUIET)
    assert set(levers.IN_TRAINING) <= set(found.levers)
    together = found.levers[levers.REWARDS_BEST]["gain"]["estimate"]
    assert found.contributions is not None
    assert sum(found.contributions.values()) == pytest.approx(together)
    assert found.contributions["training"] > found.contributions["deployment"]


def runs(**columns: Any) -> pl.DataFrame:
    """Runs that were all right, but for some columns."""
    right = {"first_event": "removed", "final_competence": 0.9, "incapacitated": False, "competence": 0.9}
    n = len(next(iter(columns.values())))
    table = {name: [value] * n for name, value in (right | {"reference_competence": 1.0}).items()} | columns
    return pl.DataFrame(table, schema_overrides={"reference_competence": pl.Float64})


def test_what_prevents_a_failure() -> None:
    actual = runs(first_event=["catastrophe"] * 3)
    lever = runs(first_event=["removed", "removed", "catastrophe", "censored"], final_competence=[0.9, 0.5, 0.9, 0.9])
    assert evidence.prevented(lever, actual).to_list() == [True, False, False, False]
    unknown = actual.with_columns(reference_competence=pl.lit(None, pl.Float64))
    assert evidence.prevented(lever, unknown).to_list() == [True, False, False, False]


def harm(values: list[int], known: list[bool]) -> pl.DataFrame:
    """Runs with so much harm, at least."""
    return pl.DataFrame(
        {"seed": range(len(values)), "harm_lower": values}
        | {"harm": [v if k else None for v, k in zip(values, known, strict=True)]},
        schema_overrides={"harm": pl.Int64},
    )


def test_gains_are_decades_with_bounds_where_harm_is_open() -> None:
    ten, thousand = (harm([x + i for i in range(9)], [True] * 9) for x in (10, 1000))
    open_ = harm([1000] * 9, [False] * 9)
    found = gains.gain(thousand, ten)
    assert found["estimate"] == pytest.approx(np.log10(1004.5 / 14.5))
    assert found["low"] < found["estimate"] < found["high"]  # pyright: ignore[reportOperatorIssue]
    assert gains.gain(open_, ten)["estimate"] is None
    assert gains.gain(open_, ten)["low"] == pytest.approx(1.8, abs=0.2)
    assert gains.gain(ten, open_)["high"] == pytest.approx(-1.8, abs=0.2)
    assert gains.gain(open_, open_) == dict.fromkeys(("estimate", "low", "high"))
    mixed = harm([1, 2, 3, 4, *[1000 + i for i in range(6)]], [False] * 4 + [True] * 6)  # the four may do much harm
    bounds = gains.gain(mixed, harm(list(range(10)), [True] * 10))
    assert bounds["estimate"] == pytest.approx(np.log10(1004 / 5), abs=0.01)
    assert bounds["low"] is not None
    assert bounds["low"] < 1
    assert bounds["high"] is None


def test_shapley_shares_add_up_and_idle_levers_have_none() -> None:
    a, b, both = frozenset("a"), frozenset("b"), frozenset("ab")
    assert gains.shapley({a: 1.0, b: 0.0, both: 1.0}) == {"a": 1.0, "b": 0.0}
    assert gains.shapley({a: 1.0, b: 1.0, both: 1.0}) == {"a": 0.5, "b": 0.5}
    assert gains.shapley({a: 1.0, b: None, both: 1.0}) is None


def test_the_command_says_the_same_as_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"--set={name}={value}" for name, value in (BANDIT | SLOW).items()]
    main(["attribute", "bandit", "--out", str(tmp_path), "--max-seeds", "32", "--json", *words])
    told = json.loads(capsys.readouterr().out)
    assert (told["label"], told["largest_penalty"]) == ("online-outer", 1.0)
    assert told == json.loads((tmp_path / "attribution.json").read_text())
