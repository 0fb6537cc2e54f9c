"""The Tweets of a pull with their owners, from a list, from files, or from a database."""

from __future__ import annotations

from airflow_provider_engagement.connections.storage_options import storage_path
from airflow_provider_engagement.connections.tweet_id_query import query_tweet_ids
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.tweet_id_files import read_tweet_ids
from airflow_provider_engagement.inputs.tweet_ids import parse_tweets, warn_of_old_ids
from airflow_provider_engagement.inputs.tweet_source import TweetSource


def read_tweets(source: TweetSource) -> dict[str, str | None]:
    """Return the owner of each Tweet, or ``None`` if neither the list of ids nor the task names one.

    :param source: where the ids come from.
    :raises InvalidQueryError: if there are no ids, or if one is invalid.
    """
    owners = parse_tweets(_read(source))
    if not owners and source.file is not None:
        raise InvalidQueryError("tweets", f"{source.file} contains no ids", "Check the file, or what writes it.")
    if not owners and source.sql is not None:
        raise InvalidQueryError("tweets", "the result has no rows", "Check the query.")
    warn_of_old_ids(owners)
    return {tweet_id: listed or source.owner for tweet_id, listed in owners.items()}


def _read(source: TweetSource) -> object:
    if source.sql is not None:
        return query_tweet_ids(source.sql, source.conn_id, column=source.column, owner_column=source.owner_column)
    if source.file is not None:
        path = storage_path(source.file, field="tweets")
        return read_tweet_ids(path, column=source.column, owner_column=source.owner_column)
    return source.ids
