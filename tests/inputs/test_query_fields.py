"""Metrics, groupings and credentials, from what a DAG can contain."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint, metrics_of
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.query_fields import choose_auth, parse_groupings, parse_metrics

TWEET, METRIC, DAY, HOUR = Dimension


def parse_historical(value: object) -> tuple[str, ...]:
    return parse_metrics(value, endpoint=Endpoint.HISTORICAL, auth=Auth.USER)


def test_metrics_have_many_forms() -> None:
    for value in (
        ["impressions", "url_clicks", "impressions"],
        "impressions, url_clicks",
        '["impressions", "url_clicks"]',
    ):
        assert parse_historical(value) == ("impressions", "url_clicks")


def test_without_metrics_all_of_the_endpoint_are_requested() -> None:
    for endpoint in Endpoint:
        for auth in Auth:
            assert parse_metrics(None, endpoint=endpoint, auth=auth) == metrics_of(endpoint, auth)


def test_media_clicks_becomes_media_engagements_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert parse_historical(["media_clicks", "url_clicks"]) == ("media_engagements", "url_clicks")

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "replaced media_clicks with media_engagements on 2017-10-09" in record.getMessage()


def test_a_metric_with_its_old_and_its_new_name_is_requested_once() -> None:
    assert parse_historical(["media_engagements", "media_clicks"]) == ("media_engagements",)


def test_current_names_are_read_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    parse_historical(list(metrics_of(Endpoint.HISTORICAL, Auth.USER)))

    assert not caplog.records


def test_a_value_that_is_not_a_list_of_names_is_an_error() -> None:
    for value in (5, [5], [None], [["impressions"]], {"impressions": 1}, b"impressions"):
        with pytest.raises(InvalidQueryError, match=r"^metrics: "):
            parse_historical(value)


def test_groupings_have_the_form_of_the_request_body_or_a_shorter_one() -> None:
    long = {
        "daily": {"group_by": ["tweet.id", "engagement.type", "engagement.day"]},
        "all": {"group_by": ["engagement.type"]},
    }
    short = {name: value["group_by"] for name, value in long.items()}

    for value in (long, short, json.dumps(long), str(short)):
        assert parse_groupings(value) == {"daily": (TWEET, METRIC, DAY), "all": (METRIC,)}
    assert parse_groupings(None) == {}


@pytest.mark.parametrize(
    "value",
    [
        5,
        [],
        "daily",
        '["tweet.id"]',
        {"daily": None},
        {"daily": 5},
        {"daily": "tweet.id"},
        {"daily": {}},
        {"daily": {"group_by": "tweet.id"}},
        {"daily": ["tweet"]},
        {"daily": ["tweet.id", 5]},
        {"daily": [["tweet.id"]]},
        {"daily": b"tweet.id"},
    ],
    ids=str,
)
def test_a_value_that_is_not_a_grouping_is_an_error(value: Any) -> None:
    with pytest.raises(InvalidQueryError, match=r"^groupings: ") as error:
        parse_groupings(value)

    assert error.value.remedy


def test_the_error_of_an_unknown_dimension_lists_the_dimensions() -> None:
    with pytest.raises(
        InvalidQueryError,
        match=r"^groupings: 'daily' names the unknown dimension 'tweet'\. Choose one of tweet\.id, engagement\.type",
    ):
        parse_groupings({"daily": ["tweet"]})


def test_the_name_of_a_grouping_with_an_unknown_dimension_can_have_braces() -> None:
    with pytest.raises(InvalidQueryError, match=r"^groupings: '\{daily\}' names the unknown dimension 'tweet'\."):
        parse_groupings({"{daily}": ["tweet"]})


@pytest.mark.parametrize(
    ("endpoint", "metrics", "has_user", "has_app", "expected"),
    [
        (Endpoint.TOTALS, ("favorites",), True, True, Auth.APP),
        (Endpoint.TOTALS, ("favorites", "impressions"), True, True, Auth.USER),
        (Endpoint.TOTALS, ("favorites",), True, False, Auth.USER),
        (Endpoint.TOTALS, ("favorites",), False, False, Auth.APP),
        (Endpoint.TOTALS, None, True, True, Auth.USER),
        (Endpoint.TOTALS, None, False, True, Auth.APP),
        (Endpoint.HISTORICAL, ("favorites",), False, True, Auth.USER),
        (Endpoint.LAST_28_HOURS, None, False, True, Auth.USER),
    ],
)
def test_app_credentials_read_public_metrics_and_user_credentials_the_others(
    endpoint: Endpoint, metrics: tuple[str, ...] | None, has_user: bool, has_app: bool, expected: Auth
) -> None:
    for unset in (None, ""):
        chosen = choose_auth(unset, endpoint=endpoint, metrics=metrics, has_user=has_user, has_app=has_app)
        assert chosen is expected


def test_a_given_kind_of_credentials_is_used_and_an_unknown_one_is_an_error() -> None:
    fields: dict[str, Any] = {"endpoint": Endpoint.TOTALS, "metrics": None, "has_user": True, "has_app": True}

    assert choose_auth("app", **fields) is Auth.APP
    with pytest.raises(InvalidQueryError, match=r"^auth: 'admin' is not a valid choice\. Choose one of user, app\.$"):
        choose_auth("admin", **fields)
