"""The catalogue has the facts of the reference, which are repeated here independently."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from airflow_provider_engagement.engagement_api import catalogue
from airflow_provider_engagement.engagement_api.catalogue import METRICS, Auth, Counted, Dimension, Endpoint, metrics_of

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
def test_each_endpoint_has_the_documented_metrics(endpoint: Endpoint, auth: Auth, metrics: set[str]) -> None:
    names = metrics_of(endpoint, auth)
    assert set(names) == metrics
    assert len(names) == len(metrics)


def test_eighteen_metrics_are_listed_by_name() -> None:
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
def test_each_endpoint_has_the_documented_rules(
    endpoint: Endpoint, path: str, tweets: int, dimensions: set[Dimension]
) -> None:
    rule = catalogue.ENDPOINTS[endpoint]
    assert (rule.path, rule.tweets_per_request, set(rule.dimensions)) == (path, tweets, dimensions)


def test_dimensions_have_the_names_of_the_api() -> None:
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


def test_the_lists_of_the_api_match_the_age_limits_of_the_metrics() -> None:
    for limit in catalogue.AGE_LIMITS:
        assert {METRICS[name].totals_age_limit for name in limit.metrics} == {limit.max_age}
    assert [limit.message for limit in catalogue.AGE_LIMITS] == [
        "the Tweet is more than 90 days old",
        "the Tweet is more than 1,800 days old",
    ]


def test_impressions_are_organic_and_engagements_are_not() -> None:
    assert METRICS["impressions"].counted is Counted.ORGANIC
    assert METRICS["engagements"].counted is Counted.ALL


def test_all_documented_changes_are_listed() -> None:
    dated = {(change.on, change.metric) for change in catalogue.METRIC_CHANGES}
    assert {
        (date(2017, 10, 9), None),
        (date(2017, 10, 9), "engagements"),
        (date(2017, 10, 9), "media_engagements"),
        (date(2017, 10, 9), "media_views"),
        (date(2018, 7, 6), "video_views"),
        (date(2020, 7, 7), "quote_tweets"),
        (date(2021, 8, 16), "video_views"),
    } == dated


def test_a_change_concerns_only_endpoints_that_have_the_metric() -> None:
    for change in catalogue.METRIC_CHANGES:
        metric = METRICS.get(change.metric or "impressions")
        assert metric is not None
        assert change.endpoints <= metric.endpoints
    endpoints = {(change.on.year, change.metric): change.endpoints for change in catalogue.METRIC_CHANGES}
    assert endpoints[2017, None] == set(Endpoint)
    assert endpoints[2018, "video_views"] == endpoints[2020, "quote_tweets"] == {Endpoint.TOTALS}


@pytest.mark.parametrize(
    ("start", "end", "number"),
    [
        ("2017-10-08T00:00Z", "2017-10-09T00:00Z", 0),
        ("2017-10-08T00:00Z", "2017-10-09T01:00Z", 1),
        ("2017-10-09T23:00Z", "2017-10-10T05:00Z", 1),
        ("2017-10-10T00:00Z", "2017-10-10T05:00Z", 0),
        ("2017-10-09T08:00+09:00", "2017-10-09T09:00+09:00", 0),
    ],
)
def test_changes_are_found_on_the_utc_days_of_an_interval(start: str, end: str, number: int) -> None:
    edges = (datetime.fromisoformat(edge) for edge in (start, end))
    changes = catalogue.changes_between(*edges, metrics=("url_clicks",), endpoints=(Endpoint.HISTORICAL,))
    assert [change.metric for change in changes] == [None] * number


def test_the_sources_say_no_more_about_quote_tweets_than_that_tweets_of_others_have_them_on_totals() -> None:
    (change,) = [change for change in catalogue.METRIC_CHANGES if change.metric == "quote_tweets"]
    assert "other users" in change.what
    assert "No values before" not in change.effect


def test_every_fact_names_its_source() -> None:
    sourced = [*METRICS.values(), *catalogue.METRIC_CHANGES, *catalogue.ENDPOINTS.values()]
    sourced += catalogue.RENAMED_METRICS.values()
    assert all(
        one.source.split(",")[0].split(";")[0] in ("reference", "guide", "changes", "changelog", "sample")
        for one in sourced
    )


def test_media_clicks_is_the_only_renamed_metric() -> None:
    assert {old: (new.old, new.new) for old, new in catalogue.RENAMED_METRICS.items()} == {
        "media_clicks": ("media_clicks", "media_engagements")
    }


def test_requests_and_history_have_the_documented_limits() -> None:
    assert catalogue.MAX_GROUPINGS == 3
    assert timedelta(hours=672) == catalogue.MAX_WINDOW
    assert timedelta(days=365) == catalogue.HISTORY_MAX_AGE
    assert catalogue.HISTORY_START.isoformat() == "2014-09-01T00:00:00+00:00"
    assert catalogue.ZERO_BEFORE.isoformat() == "2015-09-15T00:00:00+00:00"
    assert [tuple(map(str, order)) for order in catalogue.FOUR_ITEM_ORDERS] == [
        ("tweet.id", "engagement.type", "engagement.day", "engagement.hour"),
        ("engagement.type", "tweet.id", "engagement.day", "engagement.hour"),
    ]


def test_response_keys_have_the_names_of_the_api() -> None:
    assert {"start", "end", "errors", "unavailable_tweet_ids"} == catalogue.RESERVED_GROUPING_NAMES
    assert catalogue.UNSUPPORTED_ENGAGEMENTS_KEY == "unsupported_for_impressions_engagements_tweet_ids"
    assert catalogue.UNSUPPORTED_VIDEO_KEY == "unsupported_for_video_views_tweet_ids"
    for key in (catalogue.UNSUPPORTED_ENGAGEMENTS_KEY, catalogue.UNSUPPORTED_VIDEO_KEY):
        assert key.startswith(catalogue.UNSUPPORTED_PREFIX)
