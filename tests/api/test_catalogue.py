"""The catalogue against the reference's tables, written down here once more by hand."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from airflow_provider_engagement.api import catalogue
from airflow_provider_engagement.api.catalogue import METRICS, Auth, Counts, Dimension, Endpoint, metrics_of

PUBLIC = {"favorites", "retweets", "replies", "quote_tweets", "video_views"}
ON_TOTALS = PUBLIC | {"impressions", "engagements"}
SERIES = {
    "impressions",
    "engagements",
    "favorites",
    "retweets",
    "replies",
    "video_views",
    "media_views",
    "media_engagements",
    "url_clicks",
    "hashtag_clicks",
    "detail_expands",
    "permalink_clicks",
    "app_install_attempts",
    "app_opens",
    "email_tweet",
    "user_follows",
    "user_profile_clicks",
}


@pytest.mark.parametrize(
    ("endpoint", "auth", "metrics"),
    [
        (Endpoint.TOTALS, Auth.APP, PUBLIC),
        (Endpoint.TOTALS, Auth.USER, ON_TOTALS),
        (Endpoint.LAST_28_HOURS, Auth.USER, SERIES),
        (Endpoint.HISTORICAL, Auth.USER, SERIES),
        (Endpoint.LAST_28_HOURS, Auth.APP, set()),
        (Endpoint.HISTORICAL, Auth.APP, set()),
    ],
)
def test_each_endpoint_gives_the_documented_metrics(endpoint: Endpoint, auth: Auth, metrics: set[str]) -> None:
    given = metrics_of(endpoint, auth)
    assert set(given) == metrics
    assert len(given) == len(metrics)


def test_there_are_eighteen_metrics_each_under_its_own_name() -> None:
    assert len(METRICS) == 18
    assert all(name == metric.name for name, metric in METRICS.items())


@pytest.mark.parametrize(
    ("endpoint", "path", "tweets", "dimensions"),
    [
        (Endpoint.TOTALS, "/insights/engagement/totals", 250, {Dimension.TWEET, Dimension.METRIC}),
        (Endpoint.LAST_28_HOURS, "/insights/engagement/28hr", 25, set(Dimension)),
        (Endpoint.HISTORICAL, "/insights/engagement/historical", 25, set(Dimension)),
    ],
)
def test_each_endpoint_has_the_documented_path_and_limits(
    endpoint: Endpoint, path: str, tweets: int, dimensions: set[Dimension]
) -> None:
    rule = catalogue.ENDPOINTS[endpoint]
    assert (rule.path, rule.tweets_per_request, set(rule.dimensions)) == (path, tweets, dimensions)


def test_dimensions_are_spelt_as_the_api_spells_them() -> None:
    assert [*Dimension] == ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"]


def test_only_impressions_engagements_and_video_views_have_age_limits() -> None:
    limits = {
        name: (metric.totals_age_limit, metric.series_age_limit)
        for name, metric in METRICS.items()
        if metric.totals_age_limit or metric.series_age_limit
    }
    assert limits == {
        "impressions": (timedelta(days=90), None),
        "engagements": (timedelta(days=90), None),
        "video_views": (timedelta(days=1800), timedelta(days=1800)),
    }


def test_impressions_are_organic_and_engagements_are_not() -> None:
    assert METRICS["impressions"].counts is Counts.ORGANIC
    assert METRICS["engagements"].counts is Counts.ALL


def test_the_dated_changes_are_the_documented_ones() -> None:
    dated = {(change.on, change.metric) for change in catalogue.METRIC_CHANGES}
    assert {
        (date(2017, 10, 9), "engagements"),
        (date(2017, 10, 9), "media_engagements"),
        (date(2017, 10, 9), "media_views"),
        (date(2018, 7, 6), "video_views"),
        (date(2020, 7, 7), "quote_tweets"),
        (date(2021, 8, 16), "video_views"),
    } == dated


def test_every_metric_change_and_endpoint_names_its_source() -> None:
    sourced = [*METRICS.values(), *catalogue.METRIC_CHANGES, *catalogue.ENDPOINTS.values()]
    sourced += catalogue.RENAMED_METRICS.values()
    assert all(
        one.source.split(",")[0].split(";")[0] in ("reference", "guide", "changes", "changelog", "sample")
        for one in sourced
    )


def test_media_clicks_became_media_engagements_and_nothing_else_was_renamed() -> None:
    assert {old: (new.old, new.new) for old, new in catalogue.RENAMED_METRICS.items()} == {
        "media_clicks": ("media_clicks", "media_engagements")
    }


def test_the_limits_of_a_request_and_of_history_are_the_documented_ones() -> None:
    assert catalogue.MAX_GROUPINGS == 3
    assert timedelta(hours=672) == catalogue.MAX_WINDOW
    assert timedelta(days=365) == catalogue.HISTORY_MAX_AGE
    assert catalogue.HISTORY_START.isoformat() == "2014-09-01T00:00:00+00:00"
    assert catalogue.ZERO_BEFORE.isoformat() == "2015-09-15T00:00:00+00:00"
    assert [tuple(map(str, order)) for order in catalogue.FOUR_ITEM_ORDERS] == [
        ("tweet.id", "engagement.type", "engagement.day", "engagement.hour"),
        ("engagement.type", "tweet.id", "engagement.day", "engagement.hour"),
    ]


def test_the_keys_beside_the_groupings_are_spelt_as_documented() -> None:
    assert {"start", "end", "errors", "unavailable_tweet_ids"} == catalogue.RESERVED_GROUPING_NAMES
    assert catalogue.UNSUPPORTED_ENGAGEMENTS_KEY == "unsupported_for_impressions_engagements_tweet_ids"
    assert catalogue.UNSUPPORTED_VIDEO_KEY == "unsupported_for_video_views_tweet_ids"
    for key in (catalogue.UNSUPPORTED_ENGAGEMENTS_KEY, catalogue.UNSUPPORTED_VIDEO_KEY):
        assert key.startswith(catalogue.UNSUPPORTED_PREFIX)
