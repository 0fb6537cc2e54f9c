"""The small world of the random histories: two users, five Tweets, the tasks that read them and the ids of runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from airflow_provider_engagement.simulator import Handle, Tweet
from airflow_provider_engagement.tweet_id import first_id_at

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hour_of(time: datetime) -> datetime:
    """Return the start of the hour."""
    return time.replace(minute=0, second=0, microsecond=0)


def day_of(time: datetime) -> datetime:
    """Return the start of the day."""
    return hour_of(time).replace(hour=0)


def in_milliseconds(time: datetime) -> datetime:
    """Return a time as the columns hold it."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def since_1970(time: datetime) -> int:
    """Return whole hours since 1970."""
    return int(time.timestamp() // 3600)


METRICS = ("impressions", "favorites", "retweets")


@dataclass
class Counts:
    """The counts of the simulated world. They grow with time, and a revision changes all of a Tweet."""

    revisions: dict[str, int] = field(default_factory=dict)

    def cumulative(self, tweet: Tweet, metrics: Iterable[str], times: Sequence[float]) -> dict[str, list[int]]:
        """Return counts since the creation of a Tweet, as the simulator asks for them."""
        assert tweet.created_at is not None
        hours = [max(0, int(time) - since_1970(tweet.created_at)) for time in times]
        return {
            metric: [number * self._base(tweet.id, metric) + number * (number - 1) // 2 for number in hours]
            for metric in metrics
        }

    def total(self, tweet: Tweet, metric: str) -> int:
        """Return the total of a Tweet."""
        return 1000 * self._base(tweet.id, metric)

    def hour(self, tweet: Tweet, metric: str, hour: datetime, now: datetime) -> int:
        """Return the count of an hour. That of an hour that is not over is zero."""
        assert tweet.created_at is not None
        age = since_1970(hour) - since_1970(tweet.created_at)
        return 0 if hour + HOUR > now else self._base(tweet.id, metric) + age

    def _base(self, tweet_id: str, metric: str) -> int:
        known = METRICS.index(metric) if metric in METRICS else len(METRICS)
        return int(tweet_id) % 89 * 10 + known + 100 * self.revisions.get(tweet_id, 0)


@dataclass(frozen=True)
class Task:
    """A task.

    :param name: the task id.
    :param endpoint: ``totals``, ``28hr`` or ``historical``.
    :param metrics: the requested metrics.
    :param auth: the credentials.
    :param hours: a relative interval: so many hours before ``now``.
    :param granularity: the granularity of rows.
    :param reuse_hours: for how long other runs reuse counts that are not final.
    :param has_any_age: whether current counts may be stored under the time of an old run.
    :param zone: the time zone of days and hours of day.
    :param has_groupings: whether it requests the counts of each Tweet in a nesting of the API too.
    """

    name: str
    endpoint: str
    metrics: tuple[str, ...]
    dag: str = "d"
    auth: str = "user"
    hours: int | None = None
    granularity: str = "hour"
    reuse_hours: int = 24
    has_any_age: bool = False
    zone: str = "UTC"
    has_groupings: bool = False

    @property
    def table(self) -> str:
        """The folder of the table that it writes."""
        if self.endpoint == "totals":
            return "tweet_totals"
        return "tweet_hours_of_day" if self.granularity == "hour_of_day" else f"tweet_metrics/{self.granularity}"

    def period_of(self, hour: datetime, interval: tuple[datetime, datetime]) -> tuple[object, ...]:
        """Return what the key of a row says beside the Tweet: the row that an hour is counted in."""
        if self.granularity == "hour":
            return hour, hour + HOUR, "hour", self.zone
        if self.granularity == "day":
            return *local_day(hour, self.zone), "day", self.zone
        if self.granularity == "total":
            return *interval, "total", self.zone
        return *interval, hour.astimezone(ZoneInfo(self.zone)).hour, self.zone


OWNERS = [
    Handle(user_id=user_id, screen_name=f"user{user_id}", access_token=f"{user_id}-token", access_token_secret="secret")
    for user_id in ("100", "200")
]
CREATED = [timedelta(days=20), timedelta(days=9), timedelta(hours=4), timedelta(days=19), timedelta(hours=30)]
TWEETS = {
    str(int(first_id_at(NOW - age)) + number): Tweet(
        id=str(int(first_id_at(NOW - age)) + number), author_id=OWNERS[number // 3].user_id
    )
    for number, age in enumerate(CREATED)
}
TASKS = [
    Task("totals", "totals", ("impressions", "favorites"), dag="d.e"),
    Task("e.totals", "totals", ("favorites",)),
    Task("public", "totals", ("favorites", "retweets"), auth="app"),
    Task("t" * 250, "totals", ("impressions",), has_any_age=True),
    Task("tâche", "28hr", ("impressions", "favorites")),
    Task("tache", "28hr", ("favorites",)),
    Task("history", "historical", ("impressions", "favorites"), reuse_hours=1),
    Task("hours", "historical", ("favorites",), hours=5),
    Task("sums", "historical", ("impressions",), granularity="total"),
    Task("days", "historical", ("favorites",), hours=50, granularity="day", zone="Europe/Berlin"),
    Task("days", "historical", ("impressions",), dag="d.e", hours=75, granularity="day", zone="America/New_York"),
    Task("clock", "historical", ("impressions",), hours=30, granularity="hour_of_day", zone="Europe/Berlin"),
    Task("grouped", "totals", ("impressions", "favorites"), has_groupings=True),
    Task("groups", "28hr", ("favorites",), has_groupings=True),
]
RUN_IDS = ["camp:1", "camp-1", "camp~1", "käse", "kase", "r" * 250, "r" * 249 + "s"]


def created(tweet: str) -> datetime:
    """Return when a Tweet was created."""
    time = TWEETS[tweet].created_at
    assert time is not None
    return time


def hours_between(start: datetime, end: datetime) -> list[datetime]:
    """Return the starts of the hours of an interval."""
    return [start + number * HOUR for number in range((end - start) // HOUR)]


def local_day(time: datetime, zone: str) -> tuple[datetime, datetime]:
    """Return the start and the end of the day of a time zone."""
    midnight = day_of(time.astimezone(ZoneInfo(zone)))
    return midnight.astimezone(UTC), (midnight + timedelta(days=1)).astimezone(UTC)


def last_28_hours(now: datetime) -> tuple[datetime, datetime]:
    """Return the hours of ``28hr``: 29 of them, unless the hour has just begun."""
    end = hour_of(now) if now == hour_of(now) else hour_of(now) + HOUR
    return hour_of(now - 28 * HOUR), end
