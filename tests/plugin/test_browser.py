"""The page in Airflow's interface, in a real browser: Chromium of the system, driven by Playwright.

The tests need the package ``playwright`` and Chromium, which Debian's package ``chromium`` installs. If one is missing,
they are skipped. ``.ci/run`` prints the reasons of skipped tests.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_engagement.pull.progress import ProgressRecord

from .api_server import PASSWORD, api_server, chromium
from .conftest import (
    DAG_ID,
    DAYS,
    METRICS,
    NEEDS_TASK_STATE,
    REQUESTS_PER_MINUTE,
    TODAY,
    USERS,
    Pulled,
    change_task,
)

pytestmark = pytest.mark.system

pytest.importorskip("playwright", reason="playwright is not installed, so no browser can be driven")
if chromium() is None:
    pytest.skip("Chromium is not installed. On Debian: apt-get install chromium", allow_module_level=True)

from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

SECONDS = 60_000
expect.set_options(timeout=SECONDS)


@pytest.fixture(scope="module")
def address(pulled: Pulled) -> Iterator[str]:
    """The address of an API server with the plugin."""
    with api_server(Path(os.environ["AIRFLOW_HOME"]), USERS) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Any]:
    """Log in, and return a page of the browser. An error in a script of the page fails the test."""
    contexts, errors = [], []

    def opened(user: str = "victor", **options: Any) -> Page:
        context = browser.new_context(base_url=address, viewport={"width": 1300, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto("/")
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/auth/" not in url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def settled(place: Any) -> None:
    """Wait until every figure is there."""
    place.locator("section, table, .empty, .error").first.wait_for(timeout=SECONDS)
    expect(place.locator("[aria-busy=true]")).to_have_count(0, timeout=SECONDS)


def cells(place: Any, figure: str) -> list[list[str]]:
    """Return the texts of the table of a figure, which is opened."""
    details = place.locator(f"#{figure} details")
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    return [row.locator("td").all_inner_texts() for row in place.locator(f"#{figure} tbody tr").all()]


def open_dataset(page: Page, query: str = "") -> None:
    page.goto("/engagement/")
    page.get_by_role("link", name=re.compile("dataset")).last.click()
    settled(page)
    if query:
        page.goto(f"{page.url}&{query}")
        settled(page)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_the_navigation_leads_to_the_datasets(open_page: Any, pulled: Pulled) -> None:
    page = open_page()
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Engagement").click()

    frame = page.frame_locator("iframe")
    settled(frame)
    expect(frame.get_by_role("link", name=pulled.folder)).to_be_visible()


def test_the_tab_of_a_task_instance_shows_the_pull(open_page: Any, pulled: Pulled) -> None:
    page = open_page()
    page.goto(f"/dags/{DAG_ID}/runs/{quote(pulled.run_id)}/tasks/series")
    page.locator('a[href$="/plugin/engagement-pull"]').click()

    frame = page.frame_locator("iframe")
    settled(frame)
    complete = frame.get_by_text(re.compile(rf"\d+ of {len(pulled.tweet_ids)} complete"))
    expect(complete).to_be_visible()
    days = cells(frame, "series")
    start = TODAY - timedelta(days=DAYS)
    assert [number(row[1]) for row in days] == [
        pulled.count("impressions", start + timedelta(days=day), start + timedelta(days=day + 1)) for day in range(DAYS)
    ]
    expect(frame.locator("#series svg").first).to_be_visible()
    expect(frame.locator("#series .plot").first).to_have_attribute("aria-label", re.compile("impressions by day"))


def test_the_numbers_of_the_page_are_those_of_the_world(open_page: Any, pulled: Pulled) -> None:
    page = open_page()
    start = TODAY - timedelta(days=DAYS)
    open_dataset(page, f"start={start:%Y-%m-%d}&end={TODAY:%Y-%m-%d}")

    summary = {row[0]: number(row[1]) for row in cells(page, "summary")}
    assert summary == {metric: pulled.count(metric, start, TODAY) for metric in METRICS}


def test_filters_change_what_is_shown_and_the_url(open_page: Any, pulled: Pulled) -> None:
    page = open_page()
    open_dataset(page)
    page.get_by_label("From (UTC)").fill(f"{TODAY - timedelta(days=2):%Y-%m-%d}")
    page.get_by_label("To, not included (UTC)").fill(f"{TODAY - timedelta(days=1):%Y-%m-%d}")
    page.get_by_label("Periods").select_option("hour")
    for metric in METRICS[1:]:
        page.get_by_label(metric, exact=True).uncheck()
    page.get_by_role("button", name="Show", exact=True).click()
    settled(page)

    start = TODAY - timedelta(days=2)
    truth = [
        pulled.count("impressions", start + timedelta(hours=hour), start + timedelta(hours=hour + 1))
        for hour in range(24)
    ]
    assert [number(row[1]) for row in cells(page, "series")] == truth
    assert "metrics=impressions" in page.url
    assert "granularity=hour" in page.url
    # The URL is enough to see the same again.
    again = page.context.new_page()
    again.goto(page.url)
    settled(again)
    assert [number(row[1]) for row in cells(again, "series")] == truth
    page.go_back()
    settled(page)
    assert "metrics=" not in page.url


def test_the_table_downloads_as_csv(open_page: Any, pulled: Pulled) -> None:
    page = open_page()
    open_dataset(page)
    page.locator("#top summary").click()
    with page.expect_download() as downloaded:
        page.locator("#top").get_by_role("link", name="Download as CSV").click()

    assert downloaded.value.suggested_filename == "top.csv"
    with open(downloaded.value.path(), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["tweet_id"] for row in rows] == [row[2] for row in cells(page, "top")]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_page_has_the_theme_of_airflow(open_page: Any, theme: str) -> None:
    other = "light" if theme == "dark" else "dark"
    page = open_page(color_scheme=other)
    page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
    open_dataset(page)

    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", background))) < 64) == (theme == "dark")


def test_the_page_works_with_the_keyboard(open_page: Any) -> None:
    page = open_page()
    open_dataset(page)
    assert page.evaluate("document.activeElement.id") == "content"
    page.reload()
    settled(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    summary = page.locator("#series summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#series table")).to_be_visible()
    unnamed = page.locator("input, select, button").evaluate_all(
        "elements => elements.filter((e) => !e.labels?.length && !e.textContent.trim()).length"
    )
    assert unnamed == 0


def test_the_page_fits_a_narrow_window(open_page: Any) -> None:
    page = open_page()
    page.set_viewport_size({"width": 390, "height": 800})
    open_dataset(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_user_without_rights_gets_no_page_and_no_data(open_page: Any) -> None:
    page = open_page("nobody")
    for path in ("/engagement/", "/engagement/data/datasets"):
        response = page.goto(path)
        assert response is not None
        assert response.status == 403


def test_an_expired_dataset_says_what_to_do(open_page: Any) -> None:
    page = open_page()
    page.goto(f"/engagement/?dag_id={DAG_ID}&dataset=0123456789abcdef")
    settled(page)
    expect(page.get_by_role("alert").first).to_contain_text("Run the DAG again.")
    expect(page.get_by_role("button", name="Try again").first).to_be_visible()


def test_a_wrong_filter_is_explained_once(open_page: Any) -> None:
    page = open_page()
    open_dataset(page)
    page.goto(f"{page.url}&start=yesterday")
    settled(page)
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(page.get_by_role("alert")).to_contain_text("start: 'yesterday' is not a time")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_view_in_the_frame_has_a_link_with_its_filters(open_page: Any, pulled: Pulled) -> None:
    page = open_page()
    page.goto("/plugin/engagement")
    frame = page.frame_locator("iframe")
    settled(frame)
    frame.get_by_role("link", name=pulled.folder).click()
    settled(frame)

    link = frame.get_by_role("link", name="Link to this view")
    expect(link).to_have_attribute("href", re.compile(r"/engagement/\?.*dataset="))
    page.goto(link.get_attribute("href"))
    settled(page)
    expect(page.get_by_text(f"{pulled.folder}, a dataset of the DAG")).to_be_visible()


def test_the_browser_loads_everything_from_airflow(open_page: Any, address: str) -> None:
    page = open_page()
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    open_dataset(page)

    assert any(url.endswith("/vega.js") for url in requested)
    assert [url for url in requested if not url.startswith((address, "data:", "blob:"))] == []


@NEEDS_TASK_STATE
def test_a_task_that_waits_shows_its_progress_until_it_has_ended(
    open_page: Any, pulled: Pulled, waiting: ProgressRecord
) -> None:
    page = open_page()
    page.goto(f"/engagement/?dag_id={DAG_ID}&run_id={quote(pulled.run_id)}&task_id=totals")

    expect(page.locator("#progress")).to_contain_text(str(waiting.progress))
    expect(page.locator("#progress")).to_contain_text("The task waits for the rate limit until")
    expect(page.get_by_role("progressbar", name="Share of the requests that are done")).to_have_attribute(
        "value", "0.25"
    )
    change_task("totals", state="success", result_key="return_value")
    expect(page.get_by_text(re.compile(rf"\d+ of {len(pulled.tweet_ids)} complete"))).to_be_visible()
    expect(page.locator("#progress")).to_have_count(0)


@NEEDS_TASK_STATE
def test_the_rate_limit_shows_unfinished_pulls_and_what_the_api_stated(
    open_page: Any, pulled: Pulled, waiting: ProgressRecord
) -> None:
    page = open_page()
    page.goto("/engagement/?view=rate_limit")
    settled(page)

    (unfinished,) = cells(page, "unfinished")
    assert unfinished[1:6] == ["totals", pulled.run_id, "deferred", "25", "90"]
    (saved,) = cells(page, "saved")
    assert saved[0].removeprefix("file://") == pulled.folder
    assert number(saved[3]) == REQUESTS_PER_MINUTE
