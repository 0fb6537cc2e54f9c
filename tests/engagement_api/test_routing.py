"""Dividing a query by the credentials that read its Tweets: every Tweet once, in the fewest requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.engagement_api.planner import plan
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.routing import route
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.tweet_id import first_id_at

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
METRICS = ("impressions", "favorites", "retweets")


def ids(number: int, *, days_old: float, first: int = 0) -> list[str]:
    start = int(first_id_at(NOW - timedelta(days=days_old)))
    return [str(start + first + index) for index in range(number)]


def totals(tweet_ids: list[str], **changes: object) -> Query:
    fields: dict[str, object] = {"endpoint": Endpoint.TOTALS, "auth": Auth.USER, "metrics": METRICS}
    return Query(tweet_ids=tuple(tweet_ids), **{**fields, **changes})  # type: ignore[arg-type]


def requests(queries: list[Query]) -> int:
    return sum(len(plan(query)) for query in queries)


def test_each_owner_has_a_query_in_the_order_of_the_tweets() -> None:
    queries = route(totals(["1", "2", "3"]), {"1": "7", "2": "8", "3": "7"}, has_app=False, now=NOW)

    assert [(query.owner, query.tweet_ids) for query in queries] == [("7", ("1", "3")), ("8", ("2",))]
    assert all(query.metrics == METRICS and query.auth is Auth.USER for query in queries)


def test_tweets_without_an_owner_belong_to_the_user_of_the_connection() -> None:
    queries = route(totals(["1", "2"]), {"1": "7"}, has_app=False, now=NOW)

    assert [(query.owner, query.tweet_ids) for query in queries] == [("7", ("1",)), (None, ("2",))]


def test_app_credentials_read_the_tweets_of_all_owners_at_once() -> None:
    query = totals(["1", "2"], auth=Auth.APP, metrics=("favorites",))

    assert route(query, {"1": "7", "2": "8"}, has_app=True, now=NOW) == [query]


def test_old_tweets_of_many_owners_share_a_request_with_app_credentials() -> None:
    tweet_ids = ids(10, days_old=200)
    owners = {tweet_id: str(index) for index, tweet_id in enumerate(tweet_ids)}

    (query,) = route(totals(tweet_ids), owners, has_app=True, now=NOW)

    assert (query.auth, query.owner, query.metrics) == (Auth.APP, None, ("favorites", "retweets"))
    assert query.too_old_for == ("impressions",)


def test_old_tweets_stay_with_their_owner_if_the_request_has_room() -> None:
    young, old = ids(10, days_old=20), ids(100, days_old=200)

    (query,) = route(totals([*young, *old]), dict.fromkeys([*young, *old], "7"), has_app=True, now=NOW)

    assert (query.auth, query.too_old_for, len(query.tweet_ids)) == (Auth.USER, (), 110)


def test_a_tweet_just_beyond_the_age_limit_is_left_to_the_api() -> None:
    tweet_ids = ids(2, days_old=90.5)
    owners = dict(zip(tweet_ids, ("7", "8"), strict=True))

    assert {query.auth for query in route(totals(tweet_ids), owners, has_app=True, now=NOW)} == {Auth.USER}


def test_groupings_and_series_are_requested_with_user_credentials_alone() -> None:
    tweet_ids = ids(2, days_old=200)
    owners = dict(zip(tweet_ids, ("7", "8"), strict=True))
    interval = TimeRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    for query in (
        totals(tweet_ids, groupings={"sum": (Dimension.METRIC,)}),
        totals(tweet_ids, endpoint=Endpoint.HISTORICAL, interval=interval),
        totals(tweet_ids, metrics=("impressions",)),
        totals(tweet_ids, metrics=("favorites",)),
    ):
        assert {one.auth for one in route(query, owners, has_app=True, now=NOW)} == {Auth.USER}


@given(sizes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 600)), min_size=1, max_size=6), app=st.booleans())
def test_each_tweet_is_requested_once_and_no_division_takes_fewer_requests(
    sizes: list[tuple[int, int]], app: bool
) -> None:
    owners: dict[str, str | None] = {}
    for number, (young, old) in enumerate(sizes):
        owners |= dict.fromkeys(ids(young, days_old=20, first=1000 * number), str(number))
        owners |= dict.fromkeys(ids(old, days_old=200, first=1000 * number), str(number))
    if not owners:
        return
    queries = route(totals(list(owners)), owners, has_app=app, now=NOW)

    named = [tweet_id for query in queries for tweet_id in query.tweet_ids]
    assert sorted(named) == sorted(owners)
    for query in queries:
        assert query.auth is Auth.APP or {owners[tweet_id] for tweet_id in query.tweet_ids} == {query.owner}
    young_of = {str(number): young for number, (young, _) in enumerate(sizes)}
    alone = sum(-(-(young + old) // 250) for young, old in sizes)
    # Young Tweets need their owner's requests. The rest of the old Tweets fits into requests that all owners share.
    rest = sum(max(0, old - -young % 250) for young, old in sizes)
    fewest = sum(-(-young // 250) for young in young_of.values()) + -(-rest // 250)
    assert requests(queries) == (min(alone, fewest) if app else alone)
