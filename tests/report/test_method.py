"""The caveats of a report name what changed in its interval and in the interval before, which it is compared with."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Endpoint
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.report.choice import choose
from airflow_provider_engagement.report.contents import make_report
from airflow_provider_engagement.report.dataset_figures import DatasetFigures
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.report.method import SERIES, caveats
from airflow_provider_engagement.report.selection import Selection

from .conftest import Pulled

ALL = ("impressions", "engagements", "favorites", "video_views", "media_views", "media_engagements", "quote_tweets")


def found(
    start: str, end: str, *, metrics: tuple[str, ...] = ALL, endpoints: Collection[Endpoint] = SERIES
) -> list[str]:
    interval = TimeRange(*(datetime.fromisoformat(edge).replace(tzinfo=UTC) for edge in (start, end)))
    return caveats(Selection(interval=interval, metrics=metrics), endpoints=endpoints)


def dates(texts: list[str]) -> set[str]:
    return {text[:10] for text in texts if text[:2] == "20"}


@pytest.mark.parametrize(
    ("start", "end", "is_named"),
    [
        ("2017-10-08", "2017-10-10", True),
        ("2017-10-09", "2017-10-10", True),
        ("2017-09-20", "2017-10-09", False),  # the end is exclusive
        ("2017-09-20", "2017-10-09T01:00", True),
        ("2017-10-10", "2017-10-20", True),  # compared with 2017-09-30 to 2017-10-10
        ("2017-10-19", "2017-10-29", True),  # compared with 2017-10-09, whose hours are partly from before the change
        ("2017-10-20", "2017-10-30", False),
    ],
)
def test_a_change_is_named_if_it_is_within_what_is_shown_or_compared(start: str, end: str, is_named: bool) -> None:
    assert ("2017-10-09" in dates(found(start, end))) is is_named


def test_the_change_of_the_aggregation_concerns_every_metric() -> None:
    for metric in ALL:
        (text,) = [
            text
            for text in found("2017-10-08", "2017-10-10", metrics=(metric,))
            if text.startswith("2017-10-09, every metric")
        ]
        assert "analytics.twitter.com" in text


def test_a_report_of_hours_names_no_change_of_totals() -> None:
    assert dates(found("2018-07-01", "2018-07-31")) == set()
    assert dates(found("2018-07-01", "2018-07-31", endpoints=[Endpoint.TOTALS])) == {"2018-07-06"}
    assert dates(found("2020-07-01", "2020-07-31")) == set()
    assert dates(found("2020-07-01", "2020-07-31", endpoints=[Endpoint.TOTALS])) == {"2020-07-07"}


def test_a_report_of_totals_names_no_change_of_metrics_that_totals_do_not_have() -> None:
    texts = found("2017-10-01", "2017-10-31", endpoints=[Endpoint.TOTALS])
    assert not any(text.startswith("2017-10-09, media") for text in texts)
    assert any(text.startswith("2017-10-09, engagements") for text in texts)


@pytest.mark.parametrize(
    ("start", "end", "is_named"),
    [
        ("2015-09-05", "2015-09-15", True),
        ("2015-09-16", "2015-09-26", True),  # compared with 2015-09-06 to 2015-09-16
        ("2015-09-25", "2015-10-05", False),
    ],
)
def test_zeros_without_data_are_named_if_they_are_shown_or_compared(start: str, end: str, is_named: bool) -> None:
    assert any("there is no data" in text for text in found(start, end)) is is_named


def test_zeros_without_data_are_named_only_with_the_metrics_and_endpoints_that_have_them() -> None:
    assert not any("there is no data" in text for text in found("2015-01-01", "2015-02-01", metrics=("impressions",)))
    totals = found("2015-01-01", "2015-02-01", endpoints=[Endpoint.TOTALS])
    assert not any("there is no data" in text for text in totals)


def test_the_report_of_a_dataset_asks_for_the_endpoints_that_it_shows(
    hours: Pulled, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Collection[Endpoint]] = []

    def recorded(selection: Selection, *, endpoints: Collection[Endpoint]) -> list[str]:
        asked.append(endpoints)
        return []

    monkeypatch.setattr("airflow_provider_engagement.report.contents.caveats", recorded)
    reader = DatasetReader(hours.folder)
    made = DatasetFigures(reader, choose(reader))
    make_report(made)
    hourly = DatasetFigures(reader, choose(reader, metrics=("url_clicks",)))
    make_report(hourly)
    assert asked == [set(Endpoint), SERIES]
