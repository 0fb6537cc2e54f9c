"""The facts about the tables of a dataset: columns, keys, folders, and how rows of the same key become one.

Every run writes the same columns. A metric is null if it was not requested, or if the API had no value for it; the
table ``tweet_status`` says which. Metric columns have the API's names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from airflow_provider_engagement.engagement_api.catalogue import METRICS, Endpoint
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.x_api.catalogue import USER_METRICS, X_METRICS

OLDER_COUNTS = "older_counts"

RUNS = "runs"
"""The column with the digests of the runs that have a row."""


class Merge(StrEnum):
    """What a run does with rows whose keys other runs write too."""

    APART = "each run writes files of its own"
    BY_SNAPSHOT = "runs of the same time merge their rows in one file"
    BY_PARTITION = "all runs merge their rows in one file of the partition"


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One table of the dataset.

    :param name: the name of the table and of its folder.
    :param key: the columns that identify a row: a rerun replaces rows of the same key.
    :param columns: the other columns except metrics, in order.
    :param metrics: the metric columns.
    :param time: the column that determines the partition of a row.
    :param kept: the columns that keep their newest known value if a newer read does not have it.
    :param granularities: the granularities that have folders of their own.
    :param merge: what a run does with rows whose keys other runs write too.
    :param key_is_in_one_partition: whether all rows of the same key are in one partition.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    time: str = "period_start"
    kept: tuple[str, ...] = ()
    granularities: tuple[Granularity, ...] = ()
    merge: Merge = Merge.APART
    key_is_in_one_partition: bool = True

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the folders of its rows, below that of the dataset."""
        return tuple(f"{self.name}/{granularity}" for granularity in self.granularities) or (self.name,)


def _metrics_of(*endpoints: Endpoint) -> tuple[str, ...]:
    return tuple(metric.name for metric in METRICS.values() if not metric.endpoints.isdisjoint(endpoints))


TWEET_TOTALS = Table(
    name="tweet_totals",
    key=("tweet_id", "snapshot_at", "auth"),
    columns=("owner", "tweet_created_at", "fetched_at", OLDER_COUNTS, RUNS),
    metrics=_metrics_of(Endpoint.TOTALS),
    time="snapshot_at",
    merge=Merge.BY_SNAPSHOT,
)
TWEET_METRICS = Table(
    name="tweet_metrics",
    key=("tweet_id", "period_start", "period_end", "granularity", "time_zone"),
    columns=("period_date", "owner", "tweet_created_at", "endpoint", "fetched_at", OLDER_COUNTS, "is_final"),
    metrics=_metrics_of(Endpoint.LAST_28_HOURS, Endpoint.HISTORICAL),
    granularities=(Granularity.HOUR, Granularity.DAY, Granularity.TOTAL),
    merge=Merge.BY_PARTITION,
)
TWEET_HOURS_OF_DAY = Table(
    name="tweet_hours_of_day",
    key=("tweet_id", "period_start", "period_end", "hour_of_day", "time_zone"),
    columns=("owner", "tweet_created_at", "endpoint", "fetched_at", OLDER_COUNTS, "is_final"),
    metrics=TWEET_METRICS.metrics,
    merge=Merge.BY_PARTITION,
)
RESTATEMENTS = Table(
    name="restatements",
    key=("tweet_id", "period_start", "period_end", "granularity", "time_zone", "metric", "new_fetched_at"),
    columns=("old_value", "new_value", "old_fetched_at"),
    key_is_in_one_partition=False,
)
TWEET_STATUS = Table(
    name="tweet_status",
    key=("tweet_id", "run_id", "task"),
    columns=("owner", "endpoint", "outcome", "metrics_affected", "message", "author", "checked_at"),
)
COVERAGE = Table(
    name="coverage",
    key=("tweet_id", "window_start", "window_end", "granularity", "time_zone", "run_id", "task"),
    columns=("metrics", "outcome", "fetched_at"),
)
OWNER_LEDGER = Table(
    name="owner_ledger",
    key=("owner", "run_id", "task", "requested_at"),
    columns=("endpoint", "tweets"),
    time="requested_at",
)

TWEETS = Table(
    name="tweets",
    key=("tweet_id",),
    columns=(
        "id_time",
        "author_id",
        "author_handle",
        "author_name",
        "tweet_created_at",
        "kind",
        "language",
        "text",
        "conversation_id",
        "replied_to_id",
        "quoted_id",
        "retweeted_id",
        "media_keys",
        "media_types",
        "edit_history",
        "seen_at",
        "gone_at",
        "gone_because",
        "fetched_at",
        OLDER_COUNTS,
    ),
    time="id_time",
    kept=("author_id", "tweet_created_at", "kind", "language"),
    merge=Merge.BY_PARTITION,
)
USERS = Table(
    name="users",
    key=("user_id",),
    columns=("handle", "name", "user_created_at", "is_protected", "fetched_at", OLDER_COUNTS),
    time="fetched_at",
    merge=Merge.BY_PARTITION,
)
TWEET_SNAPSHOTS = Table(
    name="tweet_snapshots",
    key=("tweet_id", "snapshot_at", "auth"),
    columns=("author_id", "tweet_created_at", "fetched_at", OLDER_COUNTS, RUNS),
    metrics=tuple(metric.column for metric in X_METRICS),
    time="snapshot_at",
    merge=Merge.BY_SNAPSHOT,
)
USER_SNAPSHOTS = Table(
    name="user_snapshots",
    key=("user_id", "snapshot_at"),
    columns=("handle", "fetched_at", OLDER_COUNTS, RUNS),
    metrics=USER_METRICS,
    time="snapshot_at",
)
USER_STATUS = Table(
    name="user_status",
    key=("user", "run_id", "task"),
    columns=("user_id", "outcome", "listed", "complete_from", "message", "checked_at"),
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            TWEET_TOTALS,
            TWEET_METRICS,
            TWEET_HOURS_OF_DAY,
            TWEET_STATUS,
            COVERAGE,
            RESTATEMENTS,
            OWNER_LEDGER,
        )
    }
)

X_TABLES: Mapping[str, Table] = MappingProxyType(
    {table.name: table for table in (TWEETS, USERS, TWEET_SNAPSHOTS, USER_SNAPSHOTS, USER_STATUS)}
)
"""The tables of what X API v2 returns. Its counts have other definitions than those of the Engagement API."""

COLUMN_MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "tweet_id": "the id of the Tweet",
        "snapshot_at": "the time of the snapshot, the same in every execution of the run",
        "auth": "the kind of credentials: ``user`` or ``app``",
        "owner": "the id of the user whose credentials the pull used; null with app credentials",
        "tweet_status.owner": "the id of the user whose credentials the pull used; null with app credentials, and for "
        "Tweets of other users",
        "owner_ledger.owner": "the id of the owner whose data was requested",
        "tweet_created_at": "the creation time of the Tweet, from its id; null for ids from before 2010-11-04",
        "fetched_at": "when the API returned the counts. If they come from several responses, the time of the latest",
        OLDER_COUNTS: "the metrics whose counts come from an earlier read than ``fetched_at``, each with the time of "
        'that read, as JSON such as ``{"favorites":"2026-01-12T09:30:15.250Z"}``; null if there are none',
        RUNS: "the runs that have the row, as in the names of their files, separated by commas",
        "period_start": "the start of the period",
        "period_date": "the date on which the period starts in ``time_zone``",
        "period_end": "the end of the period, which is not part of it",
        "granularity": "the granularity of the rows: ``hour``, ``day``, ``total`` or ``hour_of_day``",
        "time_zone": "the IANA name of the time zone of the days or hours of day; ``UTC`` for hours and totals",
        "hour_of_day": "the hour of the day in the time zone, 0 to 23",
        "endpoint": "the endpoint: ``totals``, ``28hr`` or ``historical``",
        "is_final": "whether all hours of the period were older than the settling time at ``fetched_at``. It says "
        "nothing about ``older_counts``",
        "run_id": "the id of the run",
        "task": "the name of the DAG, of the task and, for a mapped task, the map index",
        "outcome": "the outcome of the Tweet",
        "coverage.outcome": "the outcome of the Tweet in this request",
        "metrics_affected": "the metrics that are null for the Tweet, separated by commas",
        "message": "the reason for the outcome, in words",
        "author": "the id of the user who posted the Tweet, if that is another user and the API names the id",
        "checked_at": "when the API last returned a response about the Tweet",
        "window_start": "the start of the first hour that was requested",
        "window_end": "the end of the last hour that was requested",
        "metrics": "the requested metrics, separated by commas",
        "metric": "the metric whose count changed",
        "old_value": "the count before; null if there was none",
        "new_value": "the count that replaced it",
        "old_fetched_at": "when the API returned the old count",
        "new_fetched_at": "when the API returned the new count",
        "tweets": "how many Tweets of the owner the API returned a response for",
        "requested_at": "when the API last returned a response about a Tweet of the owner",
        "tweets.tweet_created_at": "when the Tweet was created",
        "tweets.fetched_at": "when the API last returned a response about the Tweet",
        "users.fetched_at": "when the API last returned the user",
        "id_time": "the time in the id, or 2010-11-04 for older ids, which contain none. It sets the partition",
        "author_id": "the id of the author",
        "author_handle": "the handle of the author, without the @",
        "author_name": "the name of the author that readers see",
        "kind": "``original``, ``reply``, ``quote`` or ``retweet``. A reply that quotes is a reply",
        "language": "the language that X detected, such as ``en``",
        "text": "the whole text; that of a Retweet is cut by X. Null if the Tweet is gone",
        "conversation_id": "the Tweet that began the conversation",
        "replied_to_id": "the Tweet that it replies to",
        "quoted_id": "the Tweet that it quotes",
        "retweeted_id": "the Tweet that it repeats",
        "media_keys": "the keys of its media, separated by commas. Null if the Tweet is gone",
        "media_types": "what its media are, in the same order: ``photo``, ``animated_gif`` or ``video``",
        "edit_history": "the ids of all its versions, oldest first, separated by commas; null if there is only one",
        "seen_at": "when the API last returned the Tweet",
        "gone_at": "when the API first said that the Tweet is gone, since it was last seen; null if it is not gone",
        "gone_because": "the outcome of a Tweet that is gone: ``deleted``, ``protected`` or ``withheld``",
        "user_id": "the id of the user",
        "handle": "the handle of the user, without the @",
        "name": "the name of the user that readers see",
        "user_created_at": "when the account was created",
        "is_protected": "whether only followers see the user's Tweets",
        "user": "the user as the task names it: a handle or an id",
        "user_status.outcome": "the outcome of the user: ``ok``, or why the Tweets are not listed",
        "listed": "how many Tweets were listed",
        "complete_from": "the time from which on the list has all Tweets. Earlier ones may be missing, because X lists "
        "only the newest. Null if the list has all Tweets of the user, or if it could not be read completely",
    }
)
"""What each column holds. A key with the name of a table replaces the text for the column of this table."""
