"""What a report or the page shows, as a person writes it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_engagement.engagement_api.time_range import to_api
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.report_options import parse_report_options

A, B = "1070059276213702656", "1385449730818285569"
NOW = datetime(2026, 1, 10, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", [f"{A},{B}", f"https://x.com/a/status/{A}?s=20 https://twitter.com/i/web/status/{B}", [int(A), B]]
)
def test_a_filter_of_tweets_has_ids_or_addresses(value: object) -> None:
    assert parse_report_options(tweet_ids=value)["tweet_ids"] == (A, B)


def test_one_number_filters_one_tweet() -> None:
    assert parse_report_options(tweet_ids=int(A))["tweet_ids"] == (A,)


def test_a_filter_that_is_no_tweet_is_an_error() -> None:
    with pytest.raises(InvalidQueryError, match=r"item 1: .* is not the address of a Tweet"):
        parse_report_options(tweet_ids="https://x.com/jack")


@pytest.mark.parametrize(("zone", "start"), [(None, "2026-01-05T00:00:00Z"), ("Europe/Berlin", "2026-01-04T23:00:00Z")])
def test_a_date_is_midnight_in_the_time_zone(zone: str | None, start: str) -> None:
    options = parse_report_options(start="2026-01-05", end="now", time_zone=zone, now=NOW)
    assert (to_api(options["start"]), to_api(options["end"])) == (start, "2026-01-10T12:00:00Z")


def test_an_option_that_is_empty_has_its_default() -> None:
    options = parse_report_options(start="", end="", metrics="", granularity="", time_zone="", tweet_ids="")
    assert options == {"start": None, "end": None, "metrics": (), "step": None, "zone": None, "tweet_ids": ()}
