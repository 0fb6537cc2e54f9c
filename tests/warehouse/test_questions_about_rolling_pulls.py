"""Natural queries on the views have right answers, too, where hours and days are pulled again while they still change.

Each run pulls the last 72 hours, the whole days in Berlin among them, and totals with user and with app credentials.
Counts grow for two days. In the meantime, an owner revokes the access token, and a Tweet is deleted. The clocks go back
in the week of the questions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.parameters import Limits
from airflow_provider_engagement.simulator import Clock, Simulator, Switches, Tweet, World
from airflow_provider_engagement.simulator.visible_counts import VisibleCounts
from airflow_provider_engagement.tweet_id import created_at, first_id_at
from airflow_provider_engagement.warehouse.destinations import Target

from .pulled_world import HOUR, Ask, connection_of_all_owners, execute, hours, hours_of, load, query

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = datetime(2025, 10, 16, tzinfo=UTC)
RUNS = tuple(datetime(2025, 10, day, 7, tzinfo=UTC) for day in (20, 22, 24, 25, 27, 29))
LOOKBACK = timedelta(hours=72)
GONE = datetime(2025, 10, 24, 12, tzinfo=UTC)
"""When an owner revokes the access token, and a Tweet is deleted."""
MONDAY, SUNDAY = date(2025, 10, 20), date(2025, 10, 26)
LAST_WEEK = f"period_date BETWEEN DATE '{MONDAY}' AND DATE '{SUNDAY}'"
SERIES = ("impressions", "engagements", "favorites", "retweets", "replies")
PUBLIC = SERIES[2:]

HANDLES = list(World.generate(seed=5, handles=3, tweets=0).handles.values())
CREATED = (
    (datetime(2025, 10, 16, 9, 20), datetime(2025, 10, 21, 22, 30), datetime(2025, 10, 25, 5, 45)),
    (datetime(2025, 10, 17, 8, 10), datetime(2025, 10, 19, 13, 5)),
    (datetime(2025, 10, 19, 10, 15),),
)
TWEETS = [
    Tweet(id=str(int(first_id_at(time.replace(tzinfo=UTC))) + number), author_id=handle.user_id)
    for number, (handle, times) in enumerate(zip(HANDLES, CREATED, strict=True))
    for time in times
]
OWNER = {tweet.id: tweet.author_id for tweet in TWEETS}
DELETED, REVOKED = TWEETS[3].id, TWEETS[5].id


def is_created(tweet_id: str, time: datetime) -> bool:
    created = created_at(tweet_id)
    return created is not None and created < time


@pytest.fixture(scope="module")
def world() -> World:
    return World(handles=HANDLES, tweets=TWEETS)


@pytest.fixture(scope="module")
def dataset(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    output: dict[str, Any] = {
        "dataset_path": f"file://{folder}",
        "limits": Limits(wait_on_worker=timedelta(seconds=300)),
    }
    clock, switches = Clock(RUNS[0]), Switches(restatement=True)
    with Simulator(world, clock=clock, switches=switches) as simulator, pytest.MonkeyPatch.context() as patch:
        simulator.set_limit(per_minute=1_000_000)
        patch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", connection_of_all_owners(simulator))
        for at in RUNS:
            if at > GONE:
                world.change_tweet(DELETED, deleted=True)
                world.change_handle(OWNER[REVOKED], revoked=True)
            owned = [(tweet_id, owner) for tweet_id, owner in OWNER.items() if is_created(tweet_id, at)]
            start = FIRST if at == RUNS[0] else at - LOOKBACK
            series: dict[str, Any] = {"tweets": owned, "metrics": list(SERIES), **output}
            operators = (
                EngagementTotalsOperator(task_id="totals", **series),
                EngagementTotalsOperator(
                    task_id="public_totals",
                    tweets=[tweet_id for tweet_id, _ in owned],
                    metrics=list(PUBLIC),
                    auth="app",
                    **output,
                ),
                EngagementHistoricalOperator(
                    task_id="hours", start=start.isoformat(), end=at.isoformat(), granularity="hour", **series
                ),
                EngagementHistoricalOperator(
                    task_id="days", start="3d", end="now", granularity="day", time_zone="Europe/Berlin", **series
                ),
                EngagementHistoricalOperator(task_id="days_in_utc", start="3d", end="now", granularity="day", **series),
            )
            clock.set(at)
            with time_machine.travel(at, tick=False):
                # A trial with another time zone was given up before the token was revoked.
                for operator in operators if at < GONE else operators[:-1]:
                    with suppress(AirflowFailException):
                        execute(operator, at)
    return folder


@pytest.fixture(scope="module")
def ask(dataset: Path, target: Target) -> Ask:
    load(dataset, target, time_zone="Europe/Berlin")
    return lambda sql: query(target, sql)


def last_read(tweet_id: str, hour: datetime) -> datetime | None:
    """Return when the API gave the count of an hour last."""
    for at in reversed(RUNS):
        start = FIRST if at == RUNS[0] else at - LOOKBACK
        if start <= hour < at and not (tweet_id in (DELETED, REVOKED) and at > GONE):
            return at
    return None


def counts(world: World, metric: str) -> Iterator[tuple[str, datetime, int]]:
    """Yield each Tweet and hour that was read, with the count at that time."""
    for tweet_id in OWNER:
        for hour in hours_of(tweet_id, FIRST, RUNS[-1]):
            at = last_read(tweet_id, hour)
            if at is not None:
                seen = VisibleCounts(source=world.counts, now=at, restatement=True)
                yield tweet_id, hour, seen.count(world.tweets[tweet_id], metric, hour, hour + HOUR)


def day_of(hour: datetime) -> date:
    return hour.astimezone(BERLIN).date()


def days(world: World, metric: str) -> dict[tuple[str, date], int]:
    """Return the counts of each Tweet and day in Berlin of which all hours were read."""
    sums: Counter[tuple[str, date]] = Counter()
    for tweet_id, hour, count in counts(world, metric):
        sums[tweet_id, day_of(hour)] += count
    cut = {(tweet_id, day_of(GONE)) for tweet_id in (DELETED, REVOKED)} | {(i, day_of(RUNS[-1])) for i in OWNER}
    return {key: count for key, count in sums.items() if key not in cut}


def total(world: World, tweet_id: str, metric: str, at: datetime) -> int:
    seen = VisibleCounts(source=world.counts, now=at, restatement=True)
    return seen.total(world.tweets[tweet_id], metric)


def test_impressions_of_last_week_by_owner(ask: Ask, world: World) -> None:
    expected: Counter[str] = Counter()
    for (tweet_id, day), count in days(world, "impressions").items():
        if MONDAY <= day <= SUNDAY:
            expected[OWNER[tweet_id]] += count

    rows = ask(f"SELECT owner, sum(impressions) FROM engagement.engagement_by_day WHERE {LAST_WEEK} GROUP BY owner")

    assert dict(rows) == expected


@pytest.mark.parametrize("metric", SERIES)
def test_each_day_has_the_counts_that_its_hours_have_now(ask: Ask, world: World, metric: str) -> None:
    rows = ask(f"SELECT tweet_id, period_date, {metric} FROM engagement.engagement_by_day")

    assert {row[:2]: row[2] for row in rows} == days(world, metric)


def test_each_day_says_when_its_newest_hour_was_read(ask: Ask, world: World) -> None:
    newest: dict[tuple[str, date], datetime] = {}
    for tweet_id in OWNER:
        for hour in hours_of(tweet_id, FIRST, RUNS[-1]):
            at = last_read(tweet_id, hour)
            if at is not None:
                key = tweet_id, day_of(hour)
                newest[key] = max(newest.get(key, at), at)

    rows = ask("SELECT tweet_id, period_date, fetched_at FROM engagement.engagement_by_day")

    assert {row[:2]: row[2].astimezone(UTC) for row in rows} == {key: newest[key] for key in days(world, "impressions")}


def test_the_sums_of_last_week_are_the_same_by_hour_and_by_day(ask: Ask) -> None:
    by_day, by_hour = (
        dict(
            ask(
                f"SELECT period_date, sum(impressions) FROM engagement.{view} WHERE {LAST_WEEK} "
                f"AND tweet_id NOT IN ('{DELETED}', '{REVOKED}') GROUP BY period_date"
            )
        )
        for view in ("engagement_by_day", "engagement_by_hour")
    )

    assert len(by_day) == 7
    assert by_day == by_hour


def test_the_best_tweet_by_rate(ask: Ask, world: World) -> None:
    sums = {name: Counter[str]() for name in ("engagements", "impressions")}
    for name, found in sums.items():
        for (tweet_id, _), count in days(world, name).items():
            found[tweet_id] += count

    rows = ask(
        "SELECT tweet_id, all_engagements_per_organic_impression FROM engagement.engagement_rates "
        "ORDER BY all_engagements_per_organic_impression DESC"
    )

    assert dict(rows) == pytest.approx(
        {tweet_id: sums["engagements"][tweet_id] / seen for tweet_id, seen in sums["impressions"].items()}
    )
    assert [rate for _, rate in rows] == sorted((rate for _, rate in rows), reverse=True)


def test_the_growth_of_likes_by_owner_belongs_to_the_owner_after_the_token_was_revoked_too(
    ask: Ask, world: World
) -> None:
    expected: Counter[str] = Counter()
    for tweet_id, owner in OWNER.items():
        runs = [at for at in RUNS if is_created(tweet_id, at) and not (tweet_id == DELETED and at > GONE)]
        expected[owner] += total(world, tweet_id, "favorites", runs[-1]) - total(world, tweet_id, "favorites", runs[0])

    rows = ask("SELECT owner, sum(favorites_change) FROM engagement.tweet_totals_changes GROUP BY owner")

    assert {owner: int(growth) for owner, growth in rows} == expected


def test_the_likes_of_each_owner_until_now(ask: Ask, world: World) -> None:
    expected: Counter[str] = Counter()
    for tweet_id, owner in OWNER.items():
        newest = max(at for at in RUNS if at < GONE) if tweet_id == DELETED else RUNS[-1]
        expected[owner] += total(world, tweet_id, "favorites", newest)

    rows = ask("SELECT owner, sum(favorites) FROM engagement.newest_totals GROUP BY owner")

    assert dict(rows) == expected


def test_missing_hours_by_owner_and_reason(ask: Ask) -> None:
    hours_since = len([*hours(max(at for at in RUNS if at < GONE), RUNS[-1])])

    rows = ask("SELECT owner, outcome, count(*) FROM engagement.missing_hours GROUP BY owner, outcome")

    assert {*rows} == {
        (OWNER[DELETED], "unavailable", hours_since),
        (OWNER[REVOKED], "unauthorized", hours_since),
    }


def test_totals_and_sums_of_hours_differ_for_those_tweets_whose_hours_have_grown_since(ask: Ask, world: World) -> None:
    sums: Counter[str] = Counter()
    for tweet_id, _, count in counts(world, "impressions"):
        sums[tweet_id] += count
    totals = {
        tweet_id: total(world, tweet_id, "impressions", max(at for at in RUNS if tweet_id != DELETED or at < GONE))
        for tweet_id in OWNER
    }
    expected: dict[str, tuple[int, int | None, str]] = {
        tweet_id: (count, totals[tweet_id], "equal" if count == totals[tweet_id] else "different")
        for tweet_id, count in sums.items()
    }
    # The newest snapshot of the Tweet of the revoked token has public metrics alone.
    expected[REVOKED] = (sums[REVOKED], None, "not comparable")

    rows = ask(
        "SELECT tweet_id, hours_count, total_count, result FROM engagement.engagement_reconciliation "
        "WHERE metric = 'impressions'"
    )

    assert {tweet_id: answer for tweet_id, *answer in rows} == {key: [*answer] for key, answer in expected.items()}
    assert {result for *_, result in rows} == {"different", "not comparable"}


def test_the_hour_that_comes_twice_when_the_clocks_go_back_is_counted_twice(ask: Ask, world: World) -> None:
    expected: Counter[int] = Counter()
    for _, hour, count in counts(world, "impressions"):
        if day_of(hour) == SUNDAY:
            expected[hour.astimezone(BERLIN).hour] += count

    rows = ask(
        "SELECT hour_of_day, sum(impressions), count(DISTINCT period_start) FROM engagement.engagement_by_hour "
        f"WHERE period_date = DATE '{SUNDAY}' GROUP BY hour_of_day"
    )

    assert {hour: count for hour, count, _ in rows} == {hour: expected[hour] for hour in range(24)}
    assert {hour: starts for hour, _, starts in rows if starts > 1} == {2: 2}


def test_impressions_of_the_first_day_after_each_tweet(ask: Ask, world: World) -> None:
    expected: Counter[str] = Counter()
    for tweet_id, hour, count in counts(world, "impressions"):
        created = created_at(tweet_id)
        assert created is not None
        if hour < created + timedelta(hours=24):
            expected[tweet_id] += count

    rows = ask(
        "SELECT tweet_id, sum(impressions) FROM engagement.engagement_by_hour "
        "WHERE period_start < tweet_created_at + INTERVAL '24 hours' GROUP BY tweet_id"
    )

    assert dict(rows) == expected
