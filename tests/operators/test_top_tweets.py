"""The operator that ranks the Tweets of a dataset."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.operators.links import BestTweetLink
from airflow_provider_engagement.operators.top_tweets import EngagementTopTweetsOperator
from airflow_provider_engagement.report.ranking import TopTweet
from airflow_provider_engagement.report.ranking_documents import ranking_as_csv, ranking_as_markdown
from airflow_provider_engagement.simulator import Handle, Simulator, World

Execute = Callable[..., Any]

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
END = datetime(2026, 1, 10, tzinfo=UTC)

every_format = pytest.mark.parametrize("dataset_format", ["parquet", "csv", "jsonl", "delta"])


def best(counts: dict[str, int], number: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], int(item[0])))[:number]


def shown(result: dict[str, Any], metric: str) -> list[tuple[str, int]]:
    return [(tweet["tweet_id"], tweet["count"]) for tweet in result["top"][metric]]


def is_older(simulator: Simulator, tweet_id: str, time: datetime) -> bool:
    """Return whether a Tweet was created before a time."""
    created_at = simulator.world.tweets[tweet_id].created_at
    return created_at is not None and created_at < time


@pytest.fixture
def tweets(world: World, author: Handle) -> list[str]:
    """The newest Tweets of the author that are not deleted."""
    return sorted(world.tweets_of(author.user_id, deleted=False), key=int)[-40:]


@every_format
def test_the_newest_snapshot_is_ranked_by_every_metric_that_has_counts(
    execute: Execute,
    connect: Callable[..., str],
    author: Handle,
    simulator: Simulator,
    tweets: list[str],
    tmp_path: Path,
    dataset_format: str,
) -> None:
    connect(author)
    for snapshot_at, ids in (("2026-01-11T00:00:00Z", tweets), ("2026-01-12T08:00:00Z", tweets[:30])):
        pull = EngagementTotalsOperator(
            task_id="pull",
            tweets=ids,
            metrics=["favorites", "impressions"],
            snapshot_at=snapshot_at,
            dataset_path=str(tmp_path / "dataset"),
            dataset_format=dataset_format,
        )
        execute(pull)

    def rank(**options: Any) -> dict[str, Any]:
        operator = EngagementTopTweetsOperator(
            task_id="top", dataset_path="{{ params.folder }}", limit="{{ params.limit }}", **options
        )
        result: dict[str, Any] = execute(operator, params={"folder": str(tmp_path / "dataset"), "limit": 5})
        return result

    found = rank()
    assert (found["snapshot_at"], found["tweets"]) == ("2026-01-12T08:00:00+00:00", 30)
    assert list(found["top"]) == ["impressions", "favorites"]
    for metric in found["top"]:
        totals = {tweet_id: simulator.total(tweet_id, metric) for tweet_id in tweets[:30]}
        assert shown(found, metric) == best(totals, 5)
    assert [tweet["rank"] for tweet in found["top"]["favorites"]] == [1, 2, 3, 4, 5]
    earlier = rank(snapshot_at="2026-01-11", metrics="favorites")
    assert (earlier["tweets"], list(earlier["top"])) == (40, ["favorites"])
    with pytest.raises(AirflowFailException, match=r"no snapshot of 2026-01-05.*the newest is 2026-01-12T08"):
        rank(snapshot_at="2026-01-05")


@every_format
@pytest.mark.parametrize("granularity", ["hour", "day"])
def test_the_counts_of_an_interval_are_summed(
    execute: Execute,
    connect: Callable[..., str],
    author: Handle,
    simulator: Simulator,
    tweets: list[str],
    tmp_path: Path,
    dataset_format: str,
    granularity: str,
) -> None:
    connect(author)
    execute(
        EngagementHistoricalOperator(
            task_id="pull",
            tweets=tweets,
            metrics=["impressions", "url_clicks"],
            start=END - 5 * DAY,
            end=END,
            granularity=granularity,
            dataset_path=str(tmp_path),
            dataset_format=dataset_format,
        )
    )
    top = EngagementTopTweetsOperator(
        task_id="top", dataset_path=str(tmp_path), table="tweet_metrics", granularity=granularity, limit=7
    )
    found = execute(top, data_interval_start=END - 3 * DAY, data_interval_end=END - DAY)
    assert found["interval"] == ["2026-01-07T00:00:00Z", "2026-01-09T00:00:00Z"]
    existing = [tweet_id for tweet_id in tweets if is_older(simulator, tweet_id, END - DAY)]
    for metric in ("impressions", "url_clicks"):
        sums = {tweet_id: simulator.count(tweet_id, metric, END - 3 * DAY, END - DAY) for tweet_id in existing}
        assert shown(found, metric) == best(sums, 7)
    assert list(found["top"]) == ["impressions", "url_clicks"]


def test_the_ranking_is_written_as_csv_and_markdown_and_the_link_leads_to_the_best_tweet(
    execute: Execute, connect: Callable[..., str], author: Handle, tweets: list[str], tmp_path: Path
) -> None:
    connect(author)
    execute(EngagementTotalsOperator(task_id="pull", tweets=tweets, dataset_path=str(tmp_path / "dataset")))
    top = EngagementTopTweetsOperator(
        task_id="top",
        dataset_path=str(tmp_path / "dataset"),
        metrics=["favorites", "quote_tweets"],
        limit=3,
        csv_path=str(tmp_path / "reports" / "top.csv"),
        markdown_path=str(tmp_path / "reports" / "top.md"),
    )
    found = execute(top)
    rows = list(csv.DictReader((tmp_path / "reports" / "top.csv").open(newline="")))
    assert [(row["metric"], int(row["rank"]), row["tweet_id"], int(row["count"]), row["link"]) for row in rows] == [
        (metric, tweet["rank"], tweet["tweet_id"], tweet["count"], tweet["link"])
        for metric, ranked in found["top"].items()
        for tweet in ranked
    ]
    first = found["top"]["favorites"][0]
    assert first["link"] == f"https://twitter.com/i/web/status/{first['tweet_id']}"
    text = (tmp_path / "reports" / "top.md").read_text()
    assert f"| 1 | [{first['tweet_id']}]({first['link']}) | {first['count']:,} |" in text
    assert "## quote\\_tweets" in text
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == ["top.csv", "top.md"]
    assert found["outputs"] == {"csv": top.csv_path, "markdown": top.markdown_path}
    assert BestTweetLink().get_link(top, ti_key=None) == first["link"]  # type: ignore[arg-type]


def write_totals(folder: Path, **columns: list[Any]) -> None:
    """Write a CSV table of totals as another program might."""
    place = folder / "tweet_totals" / "snapshot_date=2026-01-12"
    place.mkdir(parents=True)
    length = len(next(iter(columns.values())))
    rows = {"snapshot_at": ["2026-01-12 00:00:00.000Z"] * length, "auth": ["user"] * length, **columns}
    with (place / "other.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows)
        writer.writerows(zip(*rows.values(), strict=True))


def test_equal_counts_are_in_the_order_of_the_ids_as_numbers_and_unknown_counts_are_left_out(
    execute: Execute, tmp_path: Path
) -> None:
    write_totals(tmp_path, tweet_id=["1000", "999", "5", "7"], favorites=["3", "3", "", "-2"])
    found = execute(EngagementTopTweetsOperator(task_id="top", dataset_path=str(tmp_path)))
    assert shown(found, "favorites") == [("999", 3), ("1000", 3), ("7", -2)]


def test_a_count_with_user_credentials_comes_before_one_with_app_credentials(execute: Execute, tmp_path: Path) -> None:
    write_totals(tmp_path, tweet_id=["5", "5", "6", "6"], auth=["app", "user"] * 2, favorites=["9", "8", "4", ""])
    found = execute(EngagementTopTweetsOperator(task_id="top", dataset_path=str(tmp_path)))
    assert (shown(found, "favorites"), found["tweets"]) == ([("5", 8), ("6", 4)], 2)


@pytest.mark.parametrize("tweet_id", ["=cmd|' /C calc'!A0", "-5", "0", "", "1.5e18", "9" * 20, "' OR 1=1 --"])
def test_an_id_that_is_not_a_tweets_is_an_error(execute: Execute, tmp_path: Path, tweet_id: str) -> None:
    write_totals(tmp_path, tweet_id=["5", tweet_id], favorites=["9", "8"])
    with pytest.raises(AirflowFailException, match=r"tweet_id contains .*, which is not a Tweet id\. Remove the row\."):
        execute(EngagementTopTweetsOperator(task_id="top", dataset_path=str(tmp_path)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "tweet_status"}, "table: 'tweet_status' is not a valid choice. Choose one of tweet_totals, tweet_m"),
        ({"metrics": "likes"}, "metrics: 'likes' is not a valid choice"),
        ({"limit": 0}, "limit: 0 is not valid"),
        ({"limit": 1001}, "limit: 1001 is too many. Pass at most 1000."),
        ({"table": "tweet_metrics"}, "has no table tweet_metrics"),
    ],
)
def test_an_invalid_parameter_is_named(execute: Execute, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    write_totals(tmp_path, tweet_id=["5"], favorites=["9"])
    with pytest.raises(AirflowFailException, match=re.escape(message)):
        execute(EngagementTopTweetsOperator(task_id="top", dataset_path=str(tmp_path), **options))


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", " =1", "\t=1", "\rx"])
def test_a_text_in_the_csv_file_is_not_a_formula(name: str) -> None:
    text = ranking_as_csv({name: [TopTweet("5", -3, "https://twitter.com/i/web/status/5")]})
    [_, row] = csv.reader(io.StringIO(text, newline=""))
    assert row == [f"'{name}", "1", "5", "-3", "https://twitter.com/i/web/status/5"]


def test_a_text_in_the_markdown_file_is_not_markup() -> None:
    text = ranking_as_markdown({"a|b\n# c": []}, title="<script>[x](y)", subtitle="*s*")
    assert text.startswith("# \\<script\\>\\[x\\]\\(y\\)\n\n\\*s\\*\n\n## a\\|b \\# c\n")


@pytest.mark.parametrize(
    ("options", "interval"),
    [
        ({"granularity": "day"}, (datetime(2026, 1, 6, tzinfo=UTC), datetime(2026, 1, 12, tzinfo=UTC))),
        (
            {"granularity": "day", "time_zone": "America/New_York"},
            (datetime(2026, 1, 5, 5, tzinfo=UTC) + DAY, datetime(2026, 1, 12, 5, tzinfo=UTC)),
        ),
        (
            {"start": "2026-01-11T03:20:00Z", "end": "2026-01-11T09:40:00Z"},
            (datetime(2026, 1, 11, 4, tzinfo=UTC), datetime(2026, 1, 11, 9, tzinfo=UTC)),
        ),
    ],
    ids=["days", "days of a zone", "hours"],
)
def test_only_periods_that_the_interval_contains_completely_are_summed(
    execute: Execute,
    connect: Callable[..., str],
    author: Handle,
    simulator: Simulator,
    tweets: list[str],
    tmp_path: Path,
    options: dict[str, Any],
    interval: tuple[datetime, datetime],
) -> None:
    connect(author)
    pull = EngagementHistoricalOperator(
        task_id="pull",
        tweets=tweets,
        metrics=["impressions"],
        start=datetime(2026, 1, 4, 5, tzinfo=UTC) if "time_zone" in options else datetime(2026, 1, 4, tzinfo=UTC),
        end=datetime(2026, 1, 12, 5 if "time_zone" in options else 0, tzinfo=UTC),
        dataset_path=str(tmp_path),
        **{name: options[name] for name in ("granularity", "time_zone") if name in options},
    )
    execute(pull)

    top = EngagementTopTweetsOperator(
        task_id="top", dataset_path=str(tmp_path), table="tweet_metrics", **{"start": "7d", "end": "now", **options}
    )
    found = execute(top, data_interval_start=NOW - DAY, data_interval_end=NOW)

    start, end = interval
    assert found["interval"] == [f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in interval]
    sums = {
        tweet_id: simulator.count(tweet_id, "impressions", start, end)
        for tweet_id in tweets
        if is_older(simulator, tweet_id, end)
    }
    assert shown(found, "impressions") == best(sums, 10)


def test_the_event_of_an_outlet_says_what_was_ranked(
    execute: Execute, connect: Callable[..., str], author: Handle, tweets: list[str], tmp_path: Path
) -> None:
    connect(author)
    execute(EngagementTotalsOperator(task_id="pull", tweets=tweets, dataset_path=str(tmp_path / "dataset")))
    best_tweets = Asset("s3://bucket/best.csv")
    events: defaultdict[Asset, SimpleNamespace] = defaultdict(SimpleNamespace)
    csv_path = str(tmp_path / "best.csv")
    top = EngagementTopTweetsOperator(
        task_id="top", dataset_path=str(tmp_path / "dataset"), csv_path=csv_path, outlets=[best_tweets]
    )

    found = execute(top, outlet_events=events)

    assert events[best_tweets].extra == {
        "dataset": str(tmp_path / "dataset"),
        "table": "tweet_totals",
        "snapshot_at": found["snapshot_at"],
        "tweets": len(tweets),
        "outputs": {"csv": csv_path},
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            "start: the interval of the run, from 2026-01-12T09:30:16.700000+00:00 to "
            "2026-01-12T09:30:16.700000+00:00, contains no whole hour. "
            "Set start and end, such as start='7d' and end='now'.",
        ),
        (
            {"start": "20h", "end": "now", "granularity": "day"},
            "start: the interval from 2026-01-11T13:00:00+00:00 to 2026-01-12T09:00:00+00:00 contains no whole day. "
            "Set start and end to a longer interval.",
        ),
        ({"start": "now", "end": "7d"}, "start: 2026-01-12T09:00:00+00:00 is not before end"),
        ({"start": "7d", "end": "now", "granularity": "day", "time_zone": "Asia/Kolkata"}, "not a whole UTC hour"),
    ],
)
def test_an_interval_without_a_whole_period_is_an_error(
    execute: Execute, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "tweet_metrics").mkdir()
    time = NOW + timedelta(seconds=16, milliseconds=700)
    top = EngagementTopTweetsOperator(task_id="top", dataset_path=str(tmp_path), table="tweet_metrics", **options)
    with pytest.raises(AirflowFailException, match=re.escape(message)):
        execute(top, data_interval_start=time, data_interval_end=time)
