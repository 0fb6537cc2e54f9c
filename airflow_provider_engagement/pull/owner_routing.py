"""Divide the query of a pull by the credentials that read its Tweets."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.routing import route
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import quoted_names
from airflow_provider_engagement.inputs.tweet_source import TweetSource
from airflow_provider_engagement.pull.api import Api
from airflow_provider_engagement.pull.pull import TweetOwners


def divide_by_owner(query: Query, owners: TweetOwners, source: TweetSource, api: Api, *, time: datetime) -> list[Query]:
    """Return the query, divided by the credentials that read its Tweets.

    :param query: the query for all Tweets.
    :param owners: the Tweets, with their owners.
    :param source: where the Tweets come from.
    :param api: the connection.
    :param time: the time of the run, which is the same in every attempt, and so are the queries.
    :raises InvalidQueryError: if the owners are those of a column that can mean something else, or if there are none
        and the connection has no access token of its own.
    """
    if query.auth is Auth.APP:
        return [query]
    user_ids: dict[str | None, str | None] = {None: api.credentials.user_id}
    for owner in owners.values():
        if owner is not None and owner not in user_ids:
            user_ids[owner] = api.accounts.resolve(owner)
    _check_guessed(user_ids, source, api)
    if set(user_ids) == {None} and not api.credentials.has_user and not api.accounts.is_empty:
        raise InvalidQueryError(
            "owners.default",
            "no Tweet has an owner, and the connection has no access token of its own",
            "Set tweets.owner_column or owners.default, or list the ids with their owners.",
        )
    by_user_id = {tweet_id: user_ids[owner] for tweet_id, owner in owners.items()}
    return route(query, by_user_id, has_app=api.credentials.has_app, now=time)


def _check_guessed(owners: Collection[str | None], source: TweetSource, api: Api) -> None:
    """Reject the owners of a column that was found by its name, if there is no token of any of them."""
    listed = [owner for owner in owners if owner is not None and owner != source.owner]
    if not listed or not source.guesses_owners or any(map(api.accounts.has_token, listed)):
        return
    raise InvalidQueryError(
        "tweets.owner_column",
        "the column owner was read as the owners of the Tweets, but there is no access token of "
        f"{quoted_names(sorted(listed))}",
        "If the column means something else, set tweets.owner_column=False. Otherwise add the tokens to "
        "account_tokens of the connection.",
    )
