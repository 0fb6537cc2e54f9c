"""The endpoints that look up Tweets and users: by id, by name, and the user who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_engagement.simulator.entities import Tweet
from airflow_provider_engagement.simulator.profiles import Profile
from airflow_provider_engagement.simulator.x_api.answer import Answer
from airflow_provider_engagement.simulator.x_api.reader import Reader
from airflow_provider_engagement.simulator.x_api.spelling import in_tweet_words
from airflow_provider_engagement.simulator.x_api.tweet_selection import TweetSelection
from airflow_provider_engagement.simulator.x_api.user_objects import user_object


def tweets_by_id(reader: Reader, query: Mapping[str, Any]) -> Answer:
    """Return the Tweets with some ids, and an error for each that the reader cannot see."""
    answer, found = Answer(), []
    selection = TweetSelection.of_query(reader, query)
    for tweet_id in query["ids"]:
        tweet = reader.find(tweet_id, "ids")
        if isinstance(tweet, Tweet):
            found.append(tweet)
        else:
            answer.errors.append(tweet)
    selection.show(found, answer, "ids")
    return answer


def users_by_id(reader: Reader, query: Mapping[str, Any]) -> Answer:
    """Return the users with some ids, and an error for each that does not exist."""
    found = [(user_id, reader.world.profiles.find(user_id)) for user_id in query["ids"]]
    return _users(reader, query, "ids", found)


def users_by_name(reader: Reader, query: Mapping[str, Any]) -> Answer:
    """Return the users with some names, and an error for each that does not exist."""
    found = [(username, reader.world.profiles.named(username)) for username in query["usernames"]]
    return _users(reader, query, "usernames", found)


def own_user(reader: Reader, query: Mapping[str, Any]) -> Answer:
    """Return the user who asks."""
    if reader.identity.handle is None:
        raise ValueError("There is no user without user credentials.")
    profile = reader.world.profiles.of(reader.identity.handle.user_id)
    fields = in_tweet_words(query.get("user.fields", ()))
    return Answer(data=user_object(reader, profile, fields), users=[profile.user_id])


def _users(
    reader: Reader, query: Mapping[str, Any], parameter: str, found: Sequence[tuple[str, Profile | None]]
) -> Answer:
    answer, data = Answer(), []
    fields = in_tweet_words(query.get("user.fields", ()))
    for value, profile in found:
        if profile is None:
            answer.errors.append(reader.problems.not_found("user", parameter, value))
        elif profile.suspended:
            answer.errors.append(reader.problems.suspended(parameter, value))
        else:
            data.append(user_object(reader, profile, fields))
            answer.users.append(profile.user_id)
    answer.data = data
    return answer
