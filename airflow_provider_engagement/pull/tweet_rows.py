"""Make rows of the tables of X API v2 from Tweets and users."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import pyarrow

from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.tables import RUNS, TWEET_SNAPSHOTS, TWEETS, USER_SNAPSHOTS, USERS
from airflow_provider_engagement.tweet_id import created_at
from airflow_provider_engagement.x_api.catalogue import USER_METRICS
from airflow_provider_engagement.x_api.outcomes import XOutcome
from airflow_provider_engagement.x_api.response import MediaObject, TweetObject, UserObject

BEFORE_IDS_HAD_A_TIME = datetime(2010, 11, 4, tzinfo=UTC)

_REFERENCES = {
    "replied_to_id": ("replied_to",),
    "quoted_id": ("quoted",),
    "retweeted_id": ("retweeted", "reposted"),
}


def tweet_rows(
    tweets: Sequence[TweetObject],
    users: Mapping[str, UserObject],
    media: Mapping[str, MediaObject],
    *,
    fetched_at: datetime,
) -> pyarrow.Table:
    """Return the rows of ``tweets`` for Tweets that the API returned.

    :param tweets: the Tweets.
    :param users: their authors by id.
    :param media: their media by key.
    :param fetched_at: when the API returned them.
    """
    authors = [users.get(tweet.author_id or "") for tweet in tweets]
    return columns_to_table(
        TWEETS,
        {
            "tweet_id": [tweet.id for tweet in tweets],
            "id_time": [_id_time(tweet.id) for tweet in tweets],
            "author_id": [tweet.author_id for tweet in tweets],
            "author_handle": [author and author.handle for author in authors],
            "author_name": [author and author.name for author in authors],
            "tweet_created_at": [tweet.created_at for tweet in tweets],
            "kind": [tweet.kind and str(tweet.kind) for tweet in tweets],
            "language": [tweet.language for tweet in tweets],
            "text": [tweet.text for tweet in tweets],
            "conversation_id": [tweet.conversation_id for tweet in tweets],
            **{
                column: [next((id_ for word, id_ in tweet.references if word in words), None) for tweet in tweets]
                for column, words in _REFERENCES.items()
            },
            "media_keys": [",".join(tweet.media_keys) or None for tweet in tweets],
            "media_types": [_types(tweet.media_keys, media) for tweet in tweets],
            "edit_history": [",".join(tweet.edit_history) if len(tweet.edit_history) > 1 else None for tweet in tweets],
            "seen_at": [fetched_at] * len(tweets),
            "fetched_at": [fetched_at] * len(tweets),
        },
    )


def gone_rows(gone: Mapping[str, XOutcome], *, fetched_at: datetime) -> pyarrow.Table:
    """Return the rows of ``tweets`` for Tweets that are gone: without text and media.

    :param gone: the outcome of each Tweet.
    :param fetched_at: when the API said so.
    """
    return columns_to_table(
        TWEETS,
        {
            "tweet_id": list(gone),
            "id_time": [_id_time(tweet_id) for tweet_id in gone],
            "tweet_created_at": [created_at(tweet_id) for tweet_id in gone],
            "gone_at": [fetched_at] * len(gone),
            "gone_because": [str(outcome) for outcome in gone.values()],
            "fetched_at": [fetched_at] * len(gone),
        },
    )


def snapshot_rows(
    tweets: Sequence[TweetObject], *, run: TaskRun, auth: str, snapshot_at: datetime, fetched_at: datetime
) -> pyarrow.Table:
    """Return the rows of ``tweet_snapshots``.

    :param tweets: the Tweets, each with the counts of all its answers.
    :param run: the run of the task.
    :param auth: the kind of credentials that the pull uses.
    :param snapshot_at: the time of the snapshot.
    :param fetched_at: when the API returned the public counts.
    """
    number = len(tweets)
    return columns_to_table(
        TWEET_SNAPSHOTS,
        {
            "tweet_id": [tweet.id for tweet in tweets],
            "snapshot_at": [snapshot_at] * number,
            "auth": [auth] * number,
            "author_id": [tweet.author_id for tweet in tweets],
            "tweet_created_at": [tweet.created_at for tweet in tweets],
            "fetched_at": [fetched_at] * number,
            RUNS: [run.digest] * number,
            **{column: [tweet.counts.get(column) for tweet in tweets] for column in TWEET_SNAPSHOTS.metrics},
        },
    )


def user_rows(users: Iterable[UserObject], *, fetched_at: datetime) -> pyarrow.Table:
    """Return the rows of ``users``.

    :param users: the users.
    :param fetched_at: when the API returned them.
    """
    found = list(users)
    return columns_to_table(
        USERS,
        {
            "user_id": [user.id for user in found],
            "handle": [user.handle for user in found],
            "name": [user.name for user in found],
            "user_created_at": [user.created_at for user in found],
            "is_protected": [user.is_protected for user in found],
            "fetched_at": [fetched_at] * len(found),
        },
    )


def user_snapshot_rows(
    users: Iterable[UserObject], *, run: TaskRun, snapshot_at: datetime, fetched_at: datetime
) -> pyarrow.Table:
    """Return the rows of ``user_snapshots``.

    :param users: the users.
    :param run: the run of the task.
    :param snapshot_at: the time of the snapshot.
    :param fetched_at: when the API returned them.
    """
    found = list(users)
    return columns_to_table(
        USER_SNAPSHOTS,
        {
            "user_id": [user.id for user in found],
            "snapshot_at": [snapshot_at] * len(found),
            "handle": [user.handle for user in found],
            "fetched_at": [fetched_at] * len(found),
            RUNS: [run.digest] * len(found),
            **{name: [user.counts.get(name) for user in found] for name in USER_METRICS},
        },
    )


def _id_time(tweet_id: str) -> datetime:
    return created_at(tweet_id) or BEFORE_IDS_HAD_A_TIME


def _types(keys: Sequence[str], media: Mapping[str, MediaObject]) -> str | None:
    return ",".join((media[key].type or "") if key in media else "" for key in keys) or None
