"""The page as people use it, in a real browser: opened from a file, with no network, by mouse and by keyboard."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from complaints import says

import robustsim as rs
from robustsim import replays
from robustsim.report import page, words

CHROMIUM = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not on PATH (apt install chromium-driver)"
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)


@pytest.fixture(scope="module")
def address(small_results: tuple[rs.Results, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a sweep of two configurations, made from the small results, with a replay of one run."""
    results, folder = small_results
    recorded = replays.make(results, replays.chosen(results, 1), folder=folder)
    never = results.runs.with_columns(
        *[pl.lit(None, pl.Int64).alias("steps_to_correct"), pl.lit(None, pl.Float64).alias("margin")],
        margin_lower=pl.lit(1.0),
        first_event=pl.lit("catastrophe"),
    )
    draws = [never] + [
        results.runs.with_columns(
            run_id=pl.lit(f"{k:x}") + pl.col("run_id"),
            seed=pl.col("seed") + 3 * k,
            steps_to_correct=pl.lit(k * k, pl.Int64),
            steps_to_correct_lower=pl.lit(k * k - 1, pl.Int64),
            margin=pl.lit(k / 4 - 0.6),
            margin_lower=pl.lit(k / 4 - 0.6),
            first_event=pl.lit("removed"),
        )
        for k in range(1, 4)
    ]
    runs = pl.concat([f.with_columns(pl.lit(i / 4).alias("overseer.coverage")) for i, f in enumerate(draws)])
    swept = {"overseer.coverage": [i / 4 for i in range(4)]}
    manifest = {**results.manifest, "what": {**results.manifest["what"], "swept": swept}}
    out = tmp_path_factory.mktemp("page") / "report.html"
    page.write(rs.Results(runs, results.traces, manifest), out, recorded, folder="results/some where")
    return out.as_uri()


@pytest.fixture(scope="module")
def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1200,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture
def browser(shared_browser: Any, address: str) -> Iterator[Any]:
    """The page, freshly loaded; afterwards: nothing was asked of a network, and nothing complained."""
    shared_browser.get_log("performance"), shared_browser.get_log("browser")
    shared_browser.get(address)
    yield shared_browser
    assert shared_browser.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in shared_browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"]
    assert {url for url in urls if not url.startswith(("data:", "blob:"))} <= {address}


def all_of(browser: Any, selector: str) -> list[Any]:
    return browser.find_elements("css selector", selector)


def one(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def drag(browser: Any, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drags between two points of an element, given as shares of its width and height."""
    from selenium.webdriver import ActionChains

    target = one(browser, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", target)
    width, height = target.size["width"], target.size["height"]

    def offset(share: tuple[float, float]) -> tuple[int, int]:
        return round((share[0] - 0.5) * width), round((share[1] - 0.5) * height)

    (x0, y0), (x1, y1) = offset(start), offset(end)
    chain = ActionChains(browser, duration=20).move_to_element_with_offset(target, x0, y0).click_and_hold()
    chain.move_by_offset((x1 - x0) // 2, (y1 - y0) // 2).move_by_offset(
        x1 - x0 - (x1 - x0) // 2, y1 - y0 - (y1 - y0) // 2
    )
    chain.release().perform()


def seeds(browser: Any) -> list[int]:
    return [int(row.find_elements("css selector", "td")[1].text) for row in all_of(browser, "#runs tbody tr")]


def frame(browser: Any) -> int:
    return int(one(browser, "#scrub").get_attribute("value"))


def open_replay(browser: Any) -> None:
    next(b for b in all_of(browser, ".open-run") if "replay" in b.text).click()
    until(lambda: len(all_of(browser, "#scrub")) == 1)


def test_it_opens_from_a_file(browser: Any) -> None:
    assert len(seeds(browser)) == 12
    assert one(browser, "#count").text == "12 of 12 runs"
    assert len(all_of(browser, "#plane .dot")) == 12
    assert one(browser, "h1").text
    assert "#c" not in browser.current_url


def test_dragging_over_the_plane_filters_table_and_spectrum(browser: Any) -> None:
    drag(browser, "#plane svg", (0.10, 0.02), (0.35, 0.90))  # the runs that were corrected early
    left = seeds(browser)
    assert 0 < len(left) < 12
    assert one(browser, "#count").text == f"{len(left)} of 12 runs"
    assert len(all_of(browser, "#plane > svg > g .dot:not(.out)")) == len(left)
    assert len(all_of(browser, "#strip .dot.out")) == len(all_of(browser, "#strip .dot")) - len(left)
    one(browser, "#clear").click()
    assert len(seeds(browser)) == 12


def test_dragging_over_the_spectrum_filters_table_and_plane(browser: Any) -> None:
    drag(browser, "#strip svg", (0.03, 0.3), (0.42, 0.5))  # left of 0
    left = seeds(browser)
    assert left == [3, 4, 5, 6, 7, 8]  # margins -0.35 and -0.1
    assert len(all_of(browser, "#plane > svg > g .dot.out")) == 6
    one(browser, "body").send_keys("\ue00c")  # Escape
    assert len(seeds(browser)) == 12


def test_words_choices_and_sorting(browser: Any) -> None:
    from selenium.webdriver.support.select import Select

    Select(one(browser, "#event")).select_by_visible_text("removed")
    assert len(seeds(browser)) == 9
    one(browser, "#search").send_keys("coverage 0.5")
    assert seeds(browser) == [6, 7, 8]
    one(browser, "#clear").click()
    by_time = next(b for b in all_of(browser, "#runs thead button") if b.text.startswith("T_c"))
    by_time.click()
    assert seeds(browser)[:3] == [3, 4, 5]
    assert "censored" in one(browser, "#runs tbody tr:last-child").text  # later than every time
    by_time.click()
    assert "censored" in one(browser, "#runs tbody tr").text
    heading = next(h for h in all_of(browser, "#runs thead th") if h.text.startswith("T_c"))
    assert heading.get_attribute("aria-sort") == "descending"


def test_curves_and_sweep_follow_their_choices(browser: Any) -> None:
    from selenium.webdriver.support.select import Select

    shape = "return document.querySelector('#incidence svg .line.c0').getAttribute('d')"
    before = browser.execute_script(shape)
    Select(one(browser, "#curve")).select_by_index(3)
    assert browser.execute_script(shape) != before
    assert says(one(browser, "#incidence-key").text, "removed", "1.00")
    assert len(all_of(browser, "#heat svg .median")) == 4


def test_a_click_opens_a_replay_and_it_plays(browser: Any) -> None:
    open_replay(browser)
    assert one(browser, "#dossier").is_displayed()
    assert one(browser, "#dossier-title").text.startswith("Run of seed")
    until(lambda: frame(browser) >= 2)
    one(browser, "#play").click()
    at = frame(browser)
    time.sleep(0.7)
    assert frame(browser) == at  # it pauses
    one(browser, "#play").click()
    until(lambda: frame(browser) > at)  # and goes on


def test_the_replay_scrubs_and_shows_other_pictures(browser: Any) -> None:
    open_replay(browser)
    last = int(one(browser, "#scrub").get_attribute("max"))
    pixels = "return [...document.querySelectorAll('#player canvas')].map((c) => c.toDataURL())"
    one(browser, "#scrub").send_keys("\ue010")  # End, which stops a film that plays
    one(browser, "#scrub").send_keys("\ue011")  # Home
    first, start = browser.execute_script(pixels), one(browser, "#moment").text
    assert frame(browser) == 0
    assert len(first) == 6
    one(browser, "#scrub").send_keys("\ue010")  # End
    assert frame(browser) == last
    assert browser.execute_script(pixels) != first
    assert start == "episode 1 of 3, step 0"
    assert one(browser, "#moment").text.startswith("episode 3 of 3")
    bad = len(all_of(browser, "#player .bad .said"))
    assert bad == sum("misbehaved" in said.text for said in all_of(browser, "#player .said"))
    assert bad == browser.execute_script(
        "const d = JSON.parse(document.getElementById('data').textContent).replays[0];"
        "return d.stages.reduce((n, s) => n + s.bad.filter((c) => c[2].some(Boolean)).length, 0)"
    )
    assert one(browser, "#player .timeline .seen").get_attribute("d")


def test_a_run_that_was_not_recorded_says_how_to_see_it(browser: Any) -> None:
    next(b for b in all_of(browser, ".open-run") if "replay" not in b.text).click()
    until(lambda: len(all_of(browser, "#player code")) == 1)
    command = one(browser, "#player code").text
    assert command.startswith("robustsim replay 'results/some where' --seed ")
    assert "--set overseer.coverage=0" in command
    until(lambda: len(all_of(browser, "#traces svg .dots")) == 1)
    one(browser, "#close").click()
    assert not one(browser, "#dossier").is_displayed()


def test_a_point_of_the_plane_opens_its_run(browser: Any) -> None:
    from selenium.webdriver import ActionChains

    dot = all_of(browser, "#plane > svg > g .dot")[-1]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", dot)
    ActionChains(browser).move_to_element(dot).click().perform()
    until(lambda: one(browser, "#dossier").is_displayed())
    assert says(one(browser, "#dossier-title").text, 0.75)


def test_the_keyboard_reaches_everything(browser: Any) -> None:
    one(browser, "body").click()
    button = all_of(browser, ".open-run")[0]
    browser.execute_script("arguments[0].focus()", button)
    button.send_keys("\ue007")  # Enter
    until(lambda: browser.execute_script("return document.activeElement.id") == "dossier")
    one(browser, "#close").send_keys("\ue007")
    assert browser.execute_script("return document.activeElement.className") == "open-run"
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('button, select, input, canvas, [role=img]')].filter((x) =>"
        "!(x.textContent.trim() || x.getAttribute('aria-label') || x.closest('label'))).length"
    )
    assert unnamed == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_and_their_button(browser: Any, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def dark() -> bool:
        red = browser.execute_script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        return int(red) < 100

    try:
        assert dark() == (scheme == "dark")
        button = one(browser, "#theme")
        for wanted in (False, True, scheme == "dark"):  # light, dark, as the system
            button.click()
            assert dark() == wanted
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_phone_needs_no_scrolling_sideways(browser: Any) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.refresh()
        open_replay(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_scripts_the_tables_are_there(browser: Any) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.refresh()
        for summary in all_of(browser, "details > summary"):
            if summary.is_displayed():
                summary.click()
        tables = [t for t in all_of(browser, "details table") if t.is_displayed()]
        assert len(tables) >= 4  # settings, spectrum, runs, curves
        assert one(browser, "noscript").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_drawn_design_is_points_over_any_two_axes(shared_browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.support.select import Select

    sweep = rs.Sweep(
        "bandit",
        {
            "overseer.coverage": rs.Range(0.1, 1),
            "overseer.penalty": rs.Range(1, 30, True),
            "env.bonus": rs.Range(0.5, 1),
        },
        seeds=1,
        settings={"deployment.budget": 200},
        design="sobol",
        samples=16,
    )
    out = sweep.run().report(tmp_path / "report.html", replays=0)
    shared_browser.get_log("browser")
    shared_browser.get(out.as_uri())
    places = "return [...document.querySelectorAll('#heat circle')].map((c) => c.getAttribute('cx'))"
    before = shared_browser.execute_script(places)
    assert len(before) == 16
    Select(one(shared_browser, "#heat-across")).select_by_visible_text("env.bonus")
    assert shared_browser.execute_script(places) != before
    assert says(one(shared_browser, "#heat-caption").text, "env.bonus")
    drag(shared_browser, "#strip svg", (0.02, 0.3), (0.6, 0.4))  # chooses configurations
    assert 0 < len(seeds(shared_browser)) < 16
    assert shared_browser.get_log("browser") == []


def test_numbers_are_rounded_as_everywhere_else(browser: Any) -> None:
    """0.194977 was +0.19 in the text and +0.20 on the page; 1/8 was 0.12 here and 0.13 there."""
    numbers = [0.194977, 0.125, 0.375, 0.625, 0.875, 0.145, 1.005, 0.285, 8.345, -0.125, -0.004, 0.0, 12.5, 0.9949]
    helpers = (Path(page.__file__).parent / "template" / "base.js").read_text(encoding="utf-8")
    positive = [x for x in numbers if x >= 0]
    both = f"{helpers}\nreturn [arguments[0].map(signed), arguments[1].map(share)]"
    signed, share = browser.execute_script(both, numbers, positive)
    assert [x.replace("\u2212", "-") for x in signed] == [words.decades(x) for x in numbers]
    assert share == [words.rate(x) for x in positive]


def test_the_map_colours_no_bound(small_results: tuple[rs.Results, Path], shared_browser: Any, tmp_path: Path) -> None:
    """Where a margin is only bounded, its colour would say "in time" beside a catastrophe that comes first."""
    from selenium.webdriver.support.select import Select

    runs = small_results[0].runs
    known = runs.with_columns(margin=pl.lit(1.0), margin_lower=pl.lit(1.0))
    bounded = runs.with_columns(margin=pl.lit(None, pl.Float64), margin_lower=pl.lit(-1.5))
    cells = [(known, 0.5, 1), (bounded, 0.5, 2), (known, 1.0, 1), (known, 1.0, 2)]
    lost = pl.lit("catastrophe").alias("first_event")
    parts = [f.with_columns(pl.lit(x).alias("overseer.coverage"), pl.lit(y).alias("env.a"), lost) for f, x, y in cells]
    swept = {"overseer.coverage": [0.5, 1.0], "env.a": [1, 2]}
    manifest = {**small_results[0].manifest, "what": {**small_results[0].manifest["what"], "swept": swept}}
    out = tmp_path / "report.html"
    page.write(rs.Results(pl.concat(parts), small_results[0].traces, manifest), out)
    shared_browser.get(out.as_uri())
    fills = "return [...document.querySelectorAll('#heat rect.cell')].map((c) => c.getAttribute('fill'))"
    assert Select(one(shared_browser, "#heat-what")).first_selected_option.get_attribute("value") == "p"
    assert len(set(shared_browser.execute_script(fills))) == 1  # the catastrophe comes first everywhere
    Select(one(shared_browser, "#heat-what")).select_by_value("m")
    colours = shared_browser.execute_script(fills)
    assert len(set(colours)) == 2
    (odd,) = [colour for colour in colours if colours.count(colour) == 1]
    red, green, blue = (int(x) for x in odd[4:-1].split(","))
    assert max(red, green, blue) - min(red, green, blue) < 20  # grey
    hatched = "return [...document.querySelectorAll('#heat rect')].filter((r) => /hatch/.test(r.outerHTML)).length"
    assert shared_browser.execute_script(hatched) == 1
