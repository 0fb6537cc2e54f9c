"""Parse the answers of X API into Tweets, users and media. A count that is not there is null, never 0."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

from airflow_provider_engagement.exceptions import InvalidResponseError
from airflow_provider_engagement.http.redaction import describe_value
from airflow_provider_engagement.tweet_id import created_at, is_tweet_id
from airflow_provider_engagement.x_api.catalogue import (
    OTHER_WORDS,
    USER_METRICS,
    X_METRICS,
    FieldGroup,
    TweetKind,
)
from airflow_provider_engagement.x_api.problems import Problem, read_problems

Count = int | None

_COUNT = re.compile(r"[0-9]{1,19}", re.ASCII)
_LARGEST_COUNT: Final = 2**63 - 1

_KINDS: Final[Mapping[str, TweetKind]] = {
    "retweeted": TweetKind.RETWEET,
    "reposted": TweetKind.RETWEET,
    "replied_to": TweetKind.REPLY,
    "quoted": TweetKind.QUOTE,
}
_BY_PRECEDENCE: Final = (TweetKind.RETWEET, TweetKind.REPLY, TweetKind.QUOTE)


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaObject:
    """A picture, GIF or video.

    :param key: its key.
    :param type: ``photo``, ``animated_gif`` or ``video``; ``None`` if the API did not say.
    """

    key: str
    type: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UserObject:
    """A user.

    :param id: the id.
    :param handle: the handle without the @.
    :param name: the name that readers see.
    :param created_at: when the account was created, in UTC.
    :param is_protected: whether only followers see the user's Tweets.
    :param counts: the public counts by name.
    """

    id: str
    handle: str | None = None
    name: str | None = None
    created_at: datetime | None = None
    is_protected: bool | None = None
    counts: Mapping[str, Count] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TweetObject:
    """A Tweet. What a request did not ask for, and what the API left out, is ``None`` or empty.

    :param id: the id.
    :param text: the whole text. That of a Retweet is cut by the API.
    :param author_id: the id of the author.
    :param created_at: when it was created, in UTC; else the time in its id.
    :param language: the language that X detected, such as ``en``.
    :param kind: what it is; ``None`` if the request did not ask.
    :param conversation_id: the Tweet that began the conversation.
    :param references: the Tweets that it replies to, quotes or repeats, each with the API's word for it.
    :param media_keys: the keys of its media.
    :param edit_history: the ids of all its versions, oldest first. Each version has metrics of its own.
    :param counts: the counts by column.
    """

    id: str
    text: str | None = None
    author_id: str | None = None
    created_at: datetime | None = None
    language: str | None = None
    kind: TweetKind | None = None
    conversation_id: str | None = None
    references: tuple[tuple[str, str], ...] = ()
    media_keys: tuple[str, ...] = ()
    edit_history: tuple[str, ...] = ()
    counts: Mapping[str, Count] = field(default_factory=dict)

    def joined(self, other: Self) -> Self:
        """Return what two answers about the same Tweet say. Where both say something, the first has precedence.

        :param other: the Tweet of the other answer.
        """
        known = {
            one.name: getattr(self, one.name) or getattr(other, one.name)
            for one in fields(self)
            if one.name != "counts"
        }
        counts = dict(other.counts)
        counts |= {column: count for column, count in self.counts.items() if count is not None or column not in counts}
        return replace(self, **known, counts=counts)


@dataclass(frozen=True, kw_only=True, slots=True)
class TweetsAnswer:
    """The answer to a request for Tweets.

    :param tweets: the Tweets by id, in the order of the answer.
    :param users: the authors by id.
    :param media: the media by key.
    :param problems: what the API reports as missing, and why.
    :param next_token: the token of the next page, if the answer is a page that names one.
    """

    tweets: Mapping[str, TweetObject]
    users: Mapping[str, UserObject]
    media: Mapping[str, MediaObject]
    problems: tuple[Problem, ...] = ()
    next_token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UsersAnswer:
    """The answer to a request for users.

    :param users: the users by id, in the order of the answer.
    :param problems: what the API reports as missing, and why.
    """

    users: Mapping[str, UserObject]
    problems: tuple[Problem, ...] = ()


def parse_tweets(body: Mapping[str, Any], *, groups: Sequence[FieldGroup]) -> TweetsAnswer:
    """Parse the answer to a request for Tweets.

    :param body: the decoded JSON object, of HTTP 200.
    :param groups: the groups of metrics that the request asked for. Each of their counts is a number or null.
    :raises InvalidResponseError: if the body has an unknown shape.
    """
    includes = _object(body.get("includes"), "includes")
    meta = _object(body.get("meta"), "meta")
    tweets = [_tweet(_object(node, "data"), groups) for node in _list(body.get("data"), "data")]
    users = [_user(_object(node, "includes.users")) for node in _list(includes.get("users"), "includes.users")]
    media = [_media(_object(node, "includes.media")) for node in _list(includes.get("media"), "includes.media")]
    return TweetsAnswer(
        tweets={tweet.id: tweet for tweet in tweets},
        users={user.id: user for user in users},
        media={one.key: one for one in media},
        problems=read_problems(body),
        next_token=_string(meta.get("next_token"), "meta.next_token") or None,
    )


def parse_users(body: Mapping[str, Any]) -> UsersAnswer:
    """Parse the answer to a request for users, or for the user of a token.

    :param body: the decoded JSON object, of HTTP 200.
    :raises InvalidResponseError: if the body has an unknown shape.
    """
    data = body.get("data")
    nodes = [data] if isinstance(data, Mapping) else _list(data, "data")
    users = [_user(_object(node, "data")) for node in nodes]
    return UsersAnswer(users={user.id: user for user in users}, problems=read_problems(body))


def _tweet(node: Mapping[str, Any], groups: Sequence[FieldGroup]) -> TweetObject:
    tweet_id = _id(node.get("id"), "data.id")
    references = tuple(
        (_string(one.get("type"), "type") or "", _id(one.get("id"), "id"))
        for one in (
            _object(reference, "referenced_tweets")
            for reference in _list(_either(node, "referenced_tweets"), "referenced_tweets")
        )
    )
    note = _object(_either(node, "note_tweet"), "note_tweet")
    attachments = _object(node.get("attachments"), "attachments")
    return TweetObject(
        id=tweet_id,
        text=_string(note.get("text"), "note_tweet.text") or _string(node.get("text"), "text"),
        author_id=_optional_id(node.get("author_id"), "author_id"),
        created_at=_time(node.get("created_at"), "created_at") or created_at(tweet_id),
        language=_string(node.get("lang"), "lang"),
        kind=_kind(node, references),
        conversation_id=_optional_id(node.get("conversation_id"), "conversation_id"),
        references=references,
        media_keys=_strings(attachments.get("media_keys"), "attachments.media_keys"),
        edit_history=_strings(_either(node, "edit_history_tweet_ids"), "edit_history_tweet_ids"),
        counts={
            metric.column: _count(
                _either(_object(node.get(metric.group.field), metric.group.field), metric.name), metric.name
            )
            for metric in X_METRICS
            if metric.group in groups
        },
    )


def _kind(node: Mapping[str, Any], references: Iterable[tuple[str, str]]) -> TweetKind | None:
    """Return what a Tweet is. Without an author in the answer, the request did not ask for it."""
    if "author_id" not in node:
        return None
    kinds = {_KINDS[word] for word, _ in references if word in _KINDS}
    if node.get("in_reply_to_user_id"):
        # The Tweet that is replied to may be deleted.
        kinds.add(TweetKind.REPLY)
    return next((kind for kind in _BY_PRECEDENCE if kind in kinds), TweetKind.ORIGINAL)


def _user(node: Mapping[str, Any]) -> UserObject:
    counts = _object(node.get("public_metrics"), "public_metrics")
    protected = node.get("protected")
    return UserObject(
        id=_id(node.get("id"), "user.id"),
        handle=_string(node.get("username"), "username"),
        name=_string(node.get("name"), "name"),
        created_at=_time(node.get("created_at"), "created_at"),
        is_protected=protected if isinstance(protected, bool) else None,
        counts={name: _count(_either(counts, name), name) for name in USER_METRICS},
    )


def _media(node: Mapping[str, Any]) -> MediaObject:
    key = _string(node.get("media_key"), "media_key")
    if not key:
        raise InvalidResponseError("The answer contains media without a key.")
    return MediaObject(key=key, type=_string(node.get("type"), "type"))


def _either(node: Mapping[str, Any], name: str) -> Any:
    """Return a field of an object under either of its names."""
    value = node.get(name)
    return node.get(OTHER_WORDS[name]) if value is None and name in OTHER_WORDS else value


def _object(node: Any, name: str) -> Mapping[str, Any]:
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        raise InvalidResponseError(f"{name} in the answer is {describe_value(node)}, which is not an object.")
    return node


def _list(node: Any, name: str) -> list[Any]:
    if node is None:
        return []
    if not isinstance(node, list):
        raise InvalidResponseError(f"{name} in the answer is {describe_value(node)}, which is not a list.")
    return node


def _string(value: Any, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidResponseError(f"{name} in the answer is {describe_value(value)}, which is not a text.")
    return value


def _strings(node: Any, name: str) -> tuple[str, ...]:
    return tuple(text for text in (_string(value, name) for value in _list(node, name)) if text)


def _optional_id(value: Any, name: str) -> str | None:
    return None if value is None else _id(value, name)


def _id(value: Any, name: str) -> str:
    """Return an id. A number is refused, because it may have lost digits on its way."""
    if not isinstance(value, str) or not is_tweet_id(value):
        raise InvalidResponseError(f"{name} in the answer is {describe_value(value)}, which is not an id.")
    return value


def _count(value: Any, name: str) -> Count:
    if value is None:
        return None
    if type(value) is int or (isinstance(value, str) and _COUNT.fullmatch(value)):
        count = int(value)
        if 0 <= count <= _LARGEST_COUNT:
            return count
    raise InvalidResponseError(f"{name} in the answer is {describe_value(value)}, which is not a count.")


def _time(value: Any, name: str) -> datetime | None:
    text = _string(value, name)
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidResponseError(f"{name} in the answer is {describe_value(value)}, which is not a time.") from None
