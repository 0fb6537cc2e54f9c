"""A query that the API would reject is an error before a request is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pendulum
import pytest

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.http.credentials import Auth
from airflow_provider_engagement.x_api.catalogue import Excluded, FieldGroup
from airflow_provider_engagement.x_api.query import ListingQuery, LookupQuery, UserQuery


@pytest.mark.parametrize("tweet_ids", [(), ("1", "1"), ("x",), ("12345678901234567890",)])
def test_a_lookup_names_valid_tweets_each_once(tweet_ids: tuple[str, ...]) -> None:
    with pytest.raises(InvalidQueryError, match=r"^tweets: "):
        LookupQuery(tweet_ids=tweet_ids, groups=(FieldGroup.PUBLIC,), auth=Auth.APP)


def test_public_and_private_metrics_are_not_mixed() -> None:
    with pytest.raises(InvalidQueryError, match="mixes public and private metrics"):
        LookupQuery(tweet_ids=("1",), groups=(FieldGroup.PUBLIC, FieldGroup.ORGANIC), auth=Auth.USER)


@pytest.mark.parametrize("groups", [(), (FieldGroup.ORGANIC, FieldGroup.ORGANIC)])
def test_each_group_is_named_once(groups: tuple[FieldGroup, ...]) -> None:
    with pytest.raises(InvalidQueryError, match="no group or a duplicate"):
        LookupQuery(tweet_ids=("1",), groups=groups, auth=Auth.USER)


def test_private_metrics_need_user_credentials() -> None:
    with pytest.raises(InvalidQueryError, match="organic_metrics are not available with app credentials"):
        ListingQuery(user_id="1", groups=(FieldGroup.ORGANIC,), auth=Auth.APP)


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        (datetime(2026, 1, 1), None, "has no time zone"),
        (datetime(2026, 1, 1, microsecond=1, tzinfo=UTC), None, "is not a whole second"),
        (datetime(2010, 11, 6, tzinfo=UTC), None, "is before 2010-11-06T00:00:01"),
        (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), "is not before end"),
    ],
)
def test_an_interval_has_whole_seconds_that_the_api_has(start: datetime, end: datetime | None, problem: str) -> None:
    with pytest.raises(InvalidQueryError, match=problem):
        ListingQuery(user_id="1", start=start, end=end, auth=Auth.APP)


def test_times_of_a_listing_are_in_utc() -> None:
    query = ListingQuery(
        user_id="1",
        start=datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        end=pendulum.datetime(2026, 1, 2, 1, tz="Europe/Berlin"),
        auth=Auth.APP,
    )

    assert (query.start, query.end) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    assert type(query.end) is datetime


@pytest.mark.parametrize(("excluded", "reach"), [((), 3200), ((Excluded.RETWEETS,), 3200), ((Excluded.REPLIES,), 800)])
def test_a_listing_without_replies_reaches_fewer_tweets(excluded: tuple[Excluded, ...], reach: int) -> None:
    assert ListingQuery(user_id="1", excluded=excluded, auth=Auth.APP).reach == reach


@pytest.mark.parametrize(
    ("handles", "user_ids"),
    [((), ()), (("@acme",), ()), (("a" * 16,), ()), (("ACME", "acme"), ()), ((), ("1", "1")), ((), ("acme",))],
)
def test_users_are_named_validly_and_once(handles: tuple[str, ...], user_ids: tuple[str, ...]) -> None:
    with pytest.raises(InvalidQueryError, match=r"^users: "):
        UserQuery(handles=handles, user_ids=user_ids, auth=Auth.APP)
