"""The catalogue agrees with the numbers of the documentation, which are repeated here."""

from __future__ import annotations

from airflow_provider_engagement.http.credentials import Auth
from airflow_provider_engagement.x_api.catalogue import (
    LISTED_TWEETS,
    LISTED_TWEETS_WITHOUT_REPLIES,
    RATE_WINDOW,
    X_ENDPOINTS,
    X_METRICS,
    FieldGroup,
    metrics_in,
)


def test_each_endpoint_has_the_limits_of_the_documentation() -> None:
    limits = {rule.path: (rule.per_request, rule.app_limit, rule.user_limit) for rule in X_ENDPOINTS.values()}

    assert limits == {
        "/2/tweets": (100, 3_500, 5_000),
        "/2/users/{id}/tweets": (100, 10_000, 900),
        "/2/users": (100, 300, 900),
        "/2/users/by": (100, 300, 900),
        "/2/users/me": (1, None, 75),
    }
    assert RATE_WINDOW.total_seconds() == 900
    assert (LISTED_TWEETS, LISTED_TWEETS_WITHOUT_REPLIES) == (3200, 800)


def test_an_endpoint_without_a_limit_for_apps_accepts_no_app() -> None:
    for rule in X_ENDPOINTS.values():
        assert (rule.app_limit is not None) == (Auth.APP in rule.auths)


def test_each_group_has_the_metrics_of_the_documentation() -> None:
    names = {str(group): [metric.name for metric in metrics_in(group)] for group in FieldGroup}

    assert names == {
        "public": [
            "retweet_count",
            "reply_count",
            "like_count",
            "quote_count",
            "bookmark_count",
            "impression_count",
        ],
        "non_public": ["impression_count", "url_link_clicks", "user_profile_clicks", "engagements"],
        "organic": [
            "impression_count",
            "like_count",
            "reply_count",
            "retweet_count",
            "url_link_clicks",
            "user_profile_clicks",
        ],
    }


def test_metrics_of_the_same_name_have_columns_of_their_own() -> None:
    columns = [metric.column for metric in X_METRICS]

    assert len(set(columns)) == len(columns)
    assert "organic_like_count" in columns
    assert "public_like_count" in columns
