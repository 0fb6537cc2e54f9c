"""A listing that X cut off is never taken for a complete one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.http.credentials import Auth
from airflow_provider_engagement.x_api.catalogue import Excluded
from airflow_provider_engagement.x_api.query import ListingQuery
from airflow_provider_engagement.x_api.reach import complete_from, is_complete, plan_probe

NOW = datetime(2026, 11, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
START = NOW - 1000 * HOUR


def listing(**parameters: object) -> ListingQuery:
    return ListingQuery(**{"user_id": "42", "auth": Auth.APP, **parameters})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "listed", "tweet_count", "expected"),
    [
        (listing(start=START), 0, 3200, True),
        (listing(start=START, end=NOW - HOUR), 3, 3201, False),
        (listing(start=START), 3199, 9000, True),
        (listing(start=START), 3200, 9000, False),
        (listing(start=START, excluded=(Excluded.RETWEETS,)), 3, 9000, False),
        (listing(start=START, excluded=(Excluded.REPLIES,)), 3, 801, False),
        (listing(start=START, excluded=(Excluded.REPLIES,)), 3, 800, True),
        (listing(), 3200, None, False),
        (listing(), 10, None, False),
    ],
)
def test_a_listing_is_complete_if_nothing_can_be_cut_off(
    query: ListingQuery, listed: int, tweet_count: int | None, expected: bool
) -> None:
    assert is_complete(query, listed=listed, tweet_count=tweet_count, now=NOW) is expected


def test_a_probe_asks_for_the_smallest_page_before_the_start() -> None:
    probe = plan_probe(listing(start=START, end=NOW, excluded=(Excluded.REPLIES,)))

    assert probe is not None
    parameters = probe.parameters()
    assert (parameters["max_results"], parameters["exclude"]) == ("5", "replies")
    assert parameters["end_time"] == START.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "start_time" not in parameters


@pytest.mark.parametrize("start", [None, datetime(2010, 11, 6, 0, 0, 1, tzinfo=UTC)])
def test_there_is_nothing_to_probe_before_the_first_tweet(start: datetime | None) -> None:
    assert plan_probe(listing(start=start)) is None


@given(
    hours=st.lists(st.integers(1, 2000), max_size=60, unique=True),
    reach=st.integers(1, 40),
    first=st.integers(1, 2100),
    last=st.none() | st.integers(0, 2000),
    count_is_known=st.booleans(),
)
def test_what_is_said_to_be_complete_lacks_no_tweet(
    hours: list[int], reach: int, first: int, last: int | None, count_is_known: bool
) -> None:
    """A user posted at some hours before now, and the API lists the newest of these Tweets."""

    class WithReach(ListingQuery):
        @property
        def reach(self) -> int:
            return reach

    if last is not None and last >= first:
        return
    query = WithReach(
        user_id="42", auth=Auth.APP, start=NOW - first * HOUR, end=None if last is None else NOW - last * HOUR
    )
    posted = sorted((NOW - age * HOUR for age in hours), reverse=True)
    reachable = posted[:reach]
    end = NOW if query.end is None else query.end
    listed = [time for time in reachable if query.start <= time < end]  # type: ignore[operator]

    complete = is_complete(query, listed=len(listed), tweet_count=len(posted) if count_is_known else None, now=NOW)
    found_older = any(time < query.start for time in reachable)  # type: ignore[operator]
    since = complete_from(
        query,
        is_complete=complete or found_older,
        oldest_listed=min(listed, default=None),
        now=NOW,
    )

    assert since is not None
    assert [time for time in posted if since <= time < end] == [time for time in listed if since <= time]
    if found_older or (count_is_known and len(posted) <= reach):
        assert since == query.start
