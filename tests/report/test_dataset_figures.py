"""The numbers of the figures are those of the simulator's world."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import altair
import pytest

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.report.choice import choose
from airflow_provider_engagement.report.dataset_figures import FIGURES, DatasetFigures
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.tables.granularity import Granularity

from .conftest import METRICS, TODAY, Pulled

DAY = timedelta(days=1)


def figures(dataset: Pulled, **options: object) -> DatasetFigures:
    reader = DatasetReader(dataset.folder)
    return DatasetFigures(reader, choose(reader, **options))


def rows(dataset: Pulled, name: str, **options: object) -> list[dict[str, object]]:
    return figures(dataset, **options).figure(name).records()


@pytest.mark.parametrize("dataset_format", ["parquet", "csv", "jsonl", "delta"])
@pytest.mark.parametrize("granularity", ["hour", "day"])
def test_sums_over_time_equal_the_counts_of_the_world(
    pull: Callable[..., Pulled], dataset_format: str, granularity: str
) -> None:
    dataset = pull(dataset_format, granularity)

    found = rows(dataset, "series", metrics=METRICS, step=Granularity.DAY)

    assert len(found) == 28
    for row in found:
        start = row["period_start"]
        assert isinstance(start, datetime)
        assert {metric: row[metric] for metric in METRICS} == {
            metric: dataset.count(metric, start, start + DAY) for metric in METRICS
        }
        assert row["missing"] == 0


def test_hours_equal_the_counts_of_the_world(hours: Pulled) -> None:
    found = rows(hours, "series", metrics=METRICS[:2], start=TODAY - 2 * DAY, end=TODAY)

    assert [row["period_start"] for row in found] == [TODAY - timedelta(hours=48 - hour) for hour in range(48)]
    assert [row["impressions"] for row in found] == [
        hours.count("impressions", row["period_start"], row["period_start"] + timedelta(hours=1))  # type: ignore[operator,arg-type]
        for row in found
    ]


@pytest.mark.parametrize("step", [Granularity.HOUR, Granularity.DAY])
def test_plots_are_valid_and_show_the_numbers_of_their_table(hours: Pulled, step: Granularity) -> None:
    figure = figures(hours, metrics=METRICS, start=TODAY - 3 * DAY, end=TODAY, step=step).figure("series")

    for metric, plot in zip(METRICS, figure.plots, strict=True):
        assert [point["value"] for point in plot["data"]["values"]] == [row[metric] for row in figure.records()]
        altair.LayerChart.from_dict(dict(plot))


def test_days_follow_the_time_zone(hours: Pulled) -> None:
    zone = ZoneInfo("America/New_York")
    end = datetime(2026, 1, 10, tzinfo=zone)

    found = rows(hours, "series", start=end - 3 * DAY, end=end, zone=zone, step=Granularity.DAY)

    assert [row["impressions"] for row in found] == [
        hours.count("impressions", end - days * DAY, end - (days - 1) * DAY) for days in (3, 2, 1)
    ]


def test_the_summary_compares_with_the_interval_before(hours: Pulled) -> None:
    found = {row["metric"]: row for row in rows(hours, "summary", metrics=METRICS)}

    for metric in METRICS:
        now = hours.count(metric, TODAY - 28 * DAY, TODAY)
        before = hours.count(metric, TODAY - 56 * DAY, TODAY - 28 * DAY)
        change = 100 * (now - before) / before if before else None
        assert (found[metric]["sum"], found[metric]["before"]) == (now, before)
        assert found[metric]["change_percent"] == (None if change is None else pytest.approx(change))


def test_hours_before_the_first_tweet_do_not_prevent_the_comparison(pull: Callable[..., Pulled]) -> None:
    dataset = pull()
    newest = sorted(dataset.available, key=int)[-3:]
    created = dataset.world.tweets[newest[0]].created_at
    assert created is not None
    days = (TODAY - created).days
    assert days > 0

    found = rows(dataset, "summary", tweet_ids=newest, start=TODAY - days * DAY, end=TODAY)[0]

    start = TODAY - 2 * days * DAY
    truth = sum(dataset.world.count(tweet_id, "impressions", start, TODAY - days * DAY) for tweet_id in newest)
    assert found["before"] == truth


def test_without_a_whole_interval_before_there_is_no_comparison(hours: Pulled) -> None:
    figure = figures(hours, start=TODAY - 40 * DAY, end=TODAY).figure("summary")

    assert [row["before"] for row in figure.records()] == [None] * 5
    assert any("there is no comparison" in note for note in figure.notes)


def test_the_top_tweets_are_those_of_the_world(hours: Pulled) -> None:
    found = [row for row in rows(hours, "top") if row["metric"] == "impressions"]

    truth = sorted(
        (-hours.world.count(tweet_id, "impressions", TODAY - 28 * DAY, TODAY), int(tweet_id))
        for tweet_id in hours.available
    )[:10]
    assert [(-int(str(row["count"])), int(str(row["tweet_id"]))) for row in found] == truth
    assert found[0]["link"] == f"https://twitter.com/i/web/status/{found[0]['tweet_id']}"


def test_the_best_hour_is_that_of_the_world(hours: Pulled) -> None:
    best = rows(hours, "rhythm")[0]

    means = {}
    for weekday in range(7):
        for hour in range(24):
            starts = [
                TODAY - days * DAY + timedelta(hours=hour)
                for days in range(1, 29)
                if (TODAY - days * DAY).weekday() == weekday
            ]
            counts = [hours.count("impressions", start, start + timedelta(hours=1)) for start in starts]
            means[weekday, hour] = sum(counts) / len(counts)
    assert best["mean"] == pytest.approx(max(means.values()))
    assert best["periods"] == 4


def test_only_the_chosen_tweets_are_summed(hours: Pulled) -> None:
    tweet_id = hours.available[-1]

    found = rows(hours, "summary", tweet_ids=[tweet_id])

    assert found[0]["sum"] == hours.world.count(tweet_id, "impressions", TODAY - 28 * DAY, TODAY)


def test_coverage_tells_deleted_tweets_from_complete_and_unread_days(hours: Pulled) -> None:
    found = rows(hours, "coverage", start=TODAY - 58 * DAY, end=TODAY, metrics=("impressions",))

    states: dict[str, set[str]] = {}
    for row in found:
        states.setdefault(str(row["tweet_id"]), set()).add(str(row["state"]))
    deleted = set(hours.tweet_ids) - set(hours.available)
    assert deleted
    for tweet_id in deleted & states.keys():
        assert "complete" not in states[tweet_id]
    oldest = min(states.keys() & set(hours.available), key=int)
    assert states[oldest] <= {"complete", "not yet read"}
    assert "complete" in states[oldest]
    tasks = rows(hours, "tasks", start=TODAY - 58 * DAY, end=TODAY)
    assert [(row["days"], row["state"]) for row in tasks] == [(2, "not yet read"), (26, "partial"), (30, "partial")]
    assert tasks[-1]["reason"] == f"{len(deleted)} unavailable"


def test_metrics_that_were_not_requested_are_not_covered(hours: Pulled) -> None:
    found = rows(hours, "coverage", metrics=("user_follows",))

    assert {row["state"] for row in found} == {"not yet read"}


def test_outcomes_count_the_deleted_tweets(hours: Pulled) -> None:
    found = {(row["task"], row["outcome"]): row["tweets"] for row in rows(hours, "outcomes")}

    deleted = len(hours.tweet_ids) - len(hours.available)
    assert found["engagement.series", "unavailable"] == deleted
    assert found["engagement.series", "ok"] == len(hours.available)
    gaps = [row for row in rows(hours, "gaps") if row["task"] == "engagement.series"]
    assert {row["tweet_id"] for row in gaps} == set(hours.tweet_ids) - set(hours.available)


@pytest.mark.parametrize("dataset_format", ["parquet", "delta"])
def test_snapshots_are_the_totals_of_the_world(pull: Callable[..., Pulled], dataset_format: str) -> None:
    dataset = pull(dataset_format)
    found = rows(dataset, "snapshots")

    assert [row["snapshot_at"] for row in found] == [TODAY, TODAY - DAY]
    assert {row["favorites"] for row in found} == {
        sum(
            dataset.world.total(tweet_id, "favorites", datetime(2026, 1, 12, 9, 30, tzinfo=TODAY.tzinfo))
            for tweet_id in dataset.available
        )
    }


def test_every_figure_of_an_interval_without_rows_is_empty(hours: Pulled) -> None:
    later = TODAY + 600 * DAY

    made = figures(hours, start=later, end=later + DAY)

    for name in set(FIGURES) - {"summary", "series", "tasks"}:
        figure = made.figure(name)
        assert {row["state"] for row in figure.records()} <= {"not yet read"} if name == "coverage" else not figure.rows


def test_days_of_another_time_zone_are_an_error_that_names_the_zones(pull: Callable[..., Pulled]) -> None:
    dataset = pull("parquet", "day", "Europe/Prague")
    reader = DatasetReader(dataset.folder)

    assert choose(reader).zone.key == "Europe/Prague"
    with pytest.raises(InvalidQueryError, match=r"time_zone: .*Asia/Tokyo.*Europe/Prague"):
        choose(reader, zone=ZoneInfo("Asia/Tokyo"))


def test_a_reader_stops_before_it_reads_more_rows_than_it_may(hours: Pulled) -> None:
    reader = DatasetReader(hours.folder, max_rows=1000)
    with pytest.raises(InvalidQueryError, match="more than 1,000 rows"):
        DatasetFigures(reader, choose(reader, start=TODAY - 28 * DAY, end=TODAY)).figure("series")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ("impressions; DROP TABLE",)}, "metrics: .*is not a metric"),
        ({"metrics": ("quote_tweets",)}, "metrics: quote_tweets has no hourly counts"),
        ({"start": TODAY, "end": TODAY}, "start: .*is not before"),
        ({"zone": ZoneInfo("Asia/Kolkata"), "step": Granularity.DAY}, "time_zone"),
    ],
)
def test_a_selection_that_is_not_possible_is_an_error(hours: Pulled, options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidQueryError, match=message):
        rows(hours, "series", **options)
