"""Write screenshots of the page in Airflow and of a report to ``docs/images``: ``scripts/screenshots``.

The data are those of the demo: the same simulated world. Everything else is in a temporary folder.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
IMAGES = ROOT / "docs" / "images"
SEED, HANDLES, TWEETS = 28, 3, 5000
"""The world of ``scripts/demo.py``."""

NEWEST = 300
"""How many of the newest Tweets of a user are pulled."""

METRICS = ("impressions", "engagements", "favorites", "retweets", "replies", "url_clicks")
DAG_ID = "engagement"
USERS = {"demo": "viewer"}
WIDTH, HEIGHT = 1300, 860
SECONDS = 120_000


def main() -> int:
    """Pull the data, write the screenshots, and return the exit status."""
    sys.path.insert(0, str(HERE))
    from api_server import api_server, chromium

    browser = chromium()
    if browser is None:
        print("Chromium is not installed. On Debian: apt-get install chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="engagement-screenshots-") as folder:
        home = Path(folder, "airflow")
        (home / "dags").mkdir(parents=True)
        set_environment(home)
        # The page shows the path of the dataset. A relative one does not tell where it was made.
        os.chdir(folder)
        run_id, report = pull(Path("engagement"))
        with api_server(home, USERS) as address:
            take(browser, address, run_id, report)
    return 0


def set_environment(home: Path) -> None:
    """Set up an Airflow installation below a folder, before Airflow is imported."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    from airflow.utils.db import initdb

    initdb()


def pull(folder: Path) -> tuple[str, str]:
    """Pull six weeks and three snapshots with three runs of a DAG. Return the id of the last run, and its report."""
    from airflow.sdk import DAG
    from conftest import run_dag

    from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
    from airflow_provider_engagement.operators.report import EngagementReportOperator
    from airflow_provider_engagement.simulator import Clock, Simulator, World

    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    today = now.replace(hour=0)
    world = World.generate(seed=SEED, handles=HANDLES, tweets=TWEETS, end=now)
    author = next(iter(world.handles.values()))
    with Simulator(world, clock=Clock(now)) as simulator:
        app = world.app
        extra = {
            "api_key": app.consumer_key,
            "api_key_secret": app.consumer_secret,
            "access_token": author.access_token,
            "access_token_secret": author.access_token_secret,
        }
        os.environ["AIRFLOW_CONN_ENGAGEMENT_DEFAULT"] = json.dumps(
            {"conn_type": "engagement", "host": simulator.base_url, "extra": extra}
        )
        common: dict[str, Any] = {"tweets": world.tweets_of(author.user_id)[-NEWEST:], "dataset_path": str(folder)}
        for days in (14, 7, 0):
            end = today - timedelta(days=days)
            with DAG(DAG_ID, schedule=None) as dag:
                series = EngagementHistoricalOperator(
                    task_id="series",
                    metrics=METRICS,
                    start=end - timedelta(days=42 if days == 14 else 9),
                    end=end,
                    extra_tables=["restatements"],
                    **common,
                )
                EngagementTotalsOperator(task_id="totals", snapshot_at=end, **common)
                series >> EngagementReportOperator(task_id="report", dataset_path=str(folder))
            run = run_dag(dag)
    report = max((folder.absolute() / "_reports").glob("*.html"), key=lambda path: path.stat().st_mtime)
    return run.run_id, str(report)


def take(executable: str, address: str, run_id: str, report: str) -> None:
    """Take the screenshots."""
    from api_server import PASSWORD
    from playwright.sync_api import expect, sync_playwright

    def save(page: Any, name: str) -> None:
        page.screenshot(path=str(IMAGES / f"{name}.png"))
        print((IMAGES / f"{name}.png").relative_to(ROOT))

    def settle(place: Any) -> None:
        place.locator("section, table, .empty, .error").first.wait_for(timeout=SECONDS)
        expect(place.locator("[aria-busy=true]")).to_have_count(0, timeout=SECONDS)

    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            context = browser.new_context(
                base_url=address, viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme
            )
            page = context.new_page()
            page.set_default_timeout(SECONDS)
            page.goto("/")
            page.fill("input[name=username]", "demo")
            page.fill("input[name=password]", PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(lambda url: "/auth/" not in url)
            page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
            if theme == "light":
                page.goto("/plugin/engagement")
                frame = page.frame_locator("iframe")
                frame.locator("table a").first.click()
                settle(frame)
                page.set_viewport_size({"width": WIDTH, "height": 1_080})
                save(page, "dataset")
                page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
                frame.locator("#coverage").scroll_into_view_if_needed()
                frame.locator("#coverage").evaluate("element => element.scrollIntoView()")
                save(page, "coverage")
                page.goto(f"file://{report}")
                save(page, "report")
            else:
                page.goto(f"/dags/{DAG_ID}/runs/{quote(run_id)}/tasks/series/plugin/engagement-pull")
                frame = page.frame_locator("iframe")
                settle(frame)
                save(page, "pull")
            context.close()
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
