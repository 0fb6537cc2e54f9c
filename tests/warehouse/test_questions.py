"""The questions of the cookbook, asked with its SQL, have the answers of the simulator's world.

The world is pulled as a careless platform would pull it: hours, days of two time zones, and totals with user and with
app credentials, all into one dataset. One owner has revoked the access token.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.parameters import Limits
from airflow_provider_engagement.simulator import Clock, Simulator, Tweet, World
from airflow_provider_engagement.tweet_id import first_id_at
from airflow_provider_engagement.warehouse.destinations import Target

from .pulled_world import HOUR, Ask, connection_of_all_owners, execute, hours, hours_of, load, query

COOKBOOK = Path(__file__).parents[2] / "docs" / "cookbook.md"
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SETTLING = timedelta(hours=72)
"""How long the counts of an hour can change, unless the operator is told otherwise."""
FIRST = NOW - 10 * DAY
LAST_BERLIN = NOW - HOUR
SNAPSHOTS = (NOW - DAY, NOW)
SERIES = ("impressions", "engagements", "favorites", "retweets", "replies")
TOTALS = ("impressions", "engagements", "favorites", "retweets", "replies", "quote_tweets", "video_views")

HANDLES = list(World.generate(seed=5, handles=3, tweets=0).handles.values())
AGES = {
    "brand": (timedelta(days=9, hours=-7), timedelta(days=4, hours=-3), timedelta(days=90, hours=12)),
    "agency": (timedelta(days=8, hours=-11), timedelta(days=2, hours=-20), timedelta(days=5)),
    "revoked": (timedelta(days=3, hours=2),),
}


def _tweets() -> dict[str, list[Tweet]]:
    number = iter(range(1, 100))
    return {
        name: [
            Tweet(id=str(int(first_id_at(NOW - age)) + next(number)), author_id=handle.user_id) for age in AGES[name]
        ]
        for name, handle in zip(AGES, HANDLES, strict=True)
    }


TWEETS = _tweets()
OLD, DELETED, UNREAD = TWEETS["brand"][2].id, TWEETS["agency"][2].id, TWEETS["revoked"][0].id
READ = [tweet for name in ("brand", "agency") for tweet in TWEETS[name] if tweet.id != DELETED]
OWNER = {tweet.id: tweet.author_id for tweets in TWEETS.values() for tweet in tweets}


@pytest.fixture(scope="module")
def world() -> World:
    made = World(handles=HANDLES, tweets=[tweet for tweets in TWEETS.values() for tweet in tweets])
    made.change_tweet(DELETED, deleted=True)
    made.change_handle(HANDLES[2].user_id, revoked=True)
    return made


@pytest.fixture(scope="module")
def dataset(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pull the series of ten days three times, and totals twice with each kind of credentials."""
    folder = tmp_path_factory.mktemp("dataset")
    owned = list(OWNER.items())
    output = {"dataset_path": f"file://{folder}", "limits": Limits(wait_on_worker=timedelta(seconds=300))}
    with Simulator(world, clock=Clock(NOW)) as simulator, pytest.MonkeyPatch.context() as patch:
        simulator.set_limit(per_minute=1_000_000)
        patch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", connection_of_all_owners(simulator))
        for at in SNAPSHOTS:
            simulator.clock.set(at)
            with time_machine.travel(at, tick=False):
                user = EngagementTotalsOperator(task_id="of_users", tweets=owned, metrics=list(TOTALS), **output)
                with pytest.raises(AirflowFailException, match="1 unauthorized"):
                    execute(user, at)
                public = [name for name in TOTALS if name not in ("impressions", "engagements")]
                app = EngagementTotalsOperator(
                    task_id="of_the_app", tweets=list(OWNER), metrics=public, auth="app", **output
                )
                execute(app, at)
        for task, granularity, zone, start, end in (
            ("hours", "hour", "UTC", FIRST, NOW),
            ("days", "day", "UTC", FIRST, NOW),
            ("days_in_berlin", "day", "Europe/Berlin", FIRST - HOUR, LAST_BERLIN),
        ):
            pull = EngagementHistoricalOperator(
                task_id=task,
                tweets=owned,
                metrics=list(SERIES),
                granularity=granularity,
                time_zone=zone,
                start=start.isoformat(),
                end=end.isoformat(),
                **output,
            )
            with time_machine.travel(NOW, tick=False), pytest.raises(AirflowFailException, match="1 unauthorized"):
                execute(pull, NOW)
    return folder


@pytest.fixture(scope="module")
def ask(dataset: Path, target: Target) -> Ask:
    """Load the dataset with the views in Berlin's time, and ask in a session that is in another time zone."""
    load(dataset, target, time_zone="Europe/Berlin")
    return lambda sql: query(target, sql)


def question(heading: str) -> str:
    """Return the SQL below a heading of the cookbook."""
    section = COOKBOOK.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    (sql,) = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    return sql


def berlin(hour: datetime) -> datetime:
    return hour.astimezone(BERLIN)


def in_berlin(world: World, tweet_id: str, metric: str) -> dict[date, int]:
    """Return the counts of a Tweet by day in Berlin, for all days that were pulled."""
    found: Counter[date] = Counter()
    for hour in hours_of(tweet_id, FIRST - HOUR, LAST_BERLIN):
        found[berlin(hour).date()] += world.count(tweet_id, metric, hour, hour + HOUR)
    return dict(found)


def test_impressions_per_week_and_owner(ask: Ask, world: World) -> None:
    expected: Counter[tuple[str, date]] = Counter()
    for tweet in READ:
        for day, count in in_berlin(world, tweet.id, "impressions").items():
            expected[tweet.author_id, day - day.weekday() * DAY] += count

    rows = ask(question("How many impressions did each owner have per week?"))

    assert {(owner, week): count for owner, week, count in rows} == expected
    assert len(rows) == len(expected)


def test_the_engagement_rate_of_each_tweet_is_a_ratio_of_sums(ask: Ask, world: World) -> None:
    rows = ask(question("What is the engagement rate of each Tweet?"))

    sums = {
        tweet.id: [sum(in_berlin(world, tweet.id, name).values()) for name in ("engagements", "impressions")]
        for tweet in READ
    }
    assert {row[0]: row[1:3] for row in rows} == {tweet_id: tuple(pair) for tweet_id, pair in sums.items()}
    assert {row[0]: row[3] for row in rows} == pytest.approx(
        {
            tweet_id: engagements / impressions if impressions else None
            for tweet_id, (engagements, impressions) in sums.items()
        }
    )


def test_the_engagement_rate_of_each_owner_and_day(ask: Ask, world: World) -> None:
    sums: dict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0])
    for tweet in READ:
        for index, name in enumerate(("engagements", "impressions")):
            for day, count in in_berlin(world, tweet.id, name).items():
                sums[tweet.author_id, day][index] += count

    rows = ask(question("What is the engagement rate of each owner and day?"))

    assert {row[:2]: row[2] for row in rows} == pytest.approx(
        {key: engagements / impressions if impressions else None for key, (engagements, impressions) in sums.items()}
    )


def test_the_top_tweets_of_seven_days_are_those_of_168_hours(ask: Ask, world: World) -> None:
    expected = {
        tweet.id: sum(
            world.count(tweet.id, "impressions", hour, hour + HOUR) for hour in hours_of(tweet.id, NOW - 7 * DAY, NOW)
        )
        for tweet in READ
    }

    rows = ask(question("Which Tweets had the most impressions in the last seven days?"))

    assert [(row[0], row[2]) for row in rows] == sorted(expected.items(), key=lambda item: -item[1])
    assert {row[0]: row[1] for row in rows} == {tweet.id: tweet.author_id for tweet in READ}


def test_the_growth_of_totals_is_counted_once_for_both_kinds_of_credentials(ask: Ask, world: World) -> None:
    first, second = SNAPSHOTS
    expected = {
        tweet_id: world.total(tweet_id, "favorites", second) - world.total(tweet_id, "favorites", first)
        for tweet_id in OWNER
        if tweet_id != DELETED
    }

    rows = ask(question("How much did the likes of each Tweet grow between snapshots?"))

    assert dict(rows) == expected
    assert len(rows) == len(expected)


def test_the_heat_map_has_the_hours_of_berlin_in_any_session(ask: Ask, world: World) -> None:
    expected: Counter[tuple[int, int]] = Counter()
    for tweet in READ:
        for hour in hours_of(tweet.id, FIRST, NOW):
            local = berlin(hour)
            expected[local.isoweekday(), local.hour] += world.count(tweet.id, "impressions", hour, hour + HOUR)

    rows = ask(question("At which hour of the day do people see our Tweets?"))

    assert {(int(day), hour): count for day, hour, count in rows} == expected


def test_newest_totals_prefer_user_credentials_and_keep_a_count_that_the_api_no_longer_gives(
    ask: Ask, world: World
) -> None:
    rows = {row[0]: row[1:] for row in ask(question("What are the newest totals of each Tweet?"))}

    assert rows.keys() == OWNER.keys() - {DELETED}
    for tweet in READ:
        seen = SNAPSHOTS[0] if tweet.id == OLD else NOW
        favorites, impressions = world.total(tweet.id, "favorites", NOW), world.total(tweet.id, "impressions", seen)
        assert rows[tweet.id] == (tweet.author_id, favorites, impressions, 24 if tweet.id == OLD else 0)
    # Public metrics of the owner who revoked the token come from app credentials.
    assert rows[UNREAD] == (None, world.total(UNREAD, "favorites", NOW), None, None)


def test_missing_hours_have_a_reason(ask: Ask) -> None:
    rows = ask(question("Which hours are missing, and why?"))

    assert {(row[0], row[1], row[2], row[4]) for row in rows} == {
        (DELETED, OWNER[DELETED], "unavailable", len([*hours_of(DELETED, FIRST, NOW)])),
        (UNREAD, OWNER[UNREAD], "unauthorized", len([*hours_of(UNREAD, FIRST, NOW)])),
    }
    assert all(row[3] for row in rows)


def test_the_newest_status_of_each_endpoint_is_not_hidden_by_another_task(ask: Ask) -> None:
    rows = ask(question("Which Tweets can the API not return, and why?"))

    assert {row[:3] for row in rows} == {
        (OLD, "totals", "unsupported_90d"),
        (DELETED, "totals", "unavailable"),
        (DELETED, "historical", "unavailable"),
        (UNREAD, "historical", "unauthorized"),
    }
    assert all(row[3] for row in rows)


def test_days_that_are_not_final_are_counted_in_one_time_zone(ask: Ask) -> None:
    rows = ask(question("Which days can still change?"))

    days = {berlin(hour).date() for hour in hours(FIRST - HOUR, LAST_BERLIN)}
    recent = [day for day in days if datetime(day.year, day.month, day.day, tzinfo=BERLIN) + DAY > NOW - SETTLING]
    assert dict(rows) == {
        day: sum(
            day in {berlin(hour).date() for hour in hours_of(tweet.id, FIRST - HOUR, LAST_BERLIN)} for tweet in READ
        )
        for day in recent
    }


def test_hours_days_and_totals_agree_where_they_can_be_compared(ask: Ask) -> None:
    rows = dict(ask(question("Do hours, days and totals agree?")))

    # Hours reach back to the creation of all Tweets but the old one. The Tweet of the revoked token has totals alone.
    assert rows == {"equal": len(SERIES) * (len(READ) - 1), "not comparable": len(SERIES) * 2}


@pytest.mark.parametrize("heading", re.findall(r"^## (.*\?)$", COOKBOOK.read_text(encoding="utf-8"), re.MULTILINE))
def test_every_question_has_an_answer(ask: Ask, heading: str) -> None:
    assert ask(question(heading))


def test_the_sums_over_all_days_are_those_of_one_time_zone_in_every_choice(
    dataset: Path, target: Target, ask: Ask, world: World
) -> None:
    def total(zone: str | None) -> list[tuple[Any, ...]]:
        load(dataset, target, time_zone=zone)
        return query(target, "SELECT sum(impressions), max(time_zone), count(*) FROM engagement.engagement_by_day")

    by_zone = {zone: total(zone) for zone in ("UTC", None, "Europe/Berlin")}

    def truth(start: datetime, end: datetime) -> int:
        return sum(
            world.count(tweet.id, "impressions", hour, hour + HOUR)
            for tweet in READ
            for hour in hours_of(tweet.id, start, end)
        )

    assert by_zone["UTC"][0][:2] == (truth(FIRST, NOW), "UTC")
    assert by_zone["Europe/Berlin"][0][:2] == (truth(FIRST - HOUR, LAST_BERLIN), "Europe/Berlin")
    assert by_zone[None][0][:2] in [rows[0][:2] for zone, rows in by_zone.items() if zone]
