"""Tweet ids and their owners, from a list or a string."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from airflow_provider_engagement.api.tweet_id import MAX_DIGITS, is_tweet_id
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import parse_list, quoted

log = logging.getLogger(__name__)

FIELD = "tweet_ids"
KEYS = ("tweet_id", "id_str", "id")
OWNER_KEY = "owner"
MAX_OWNER_LENGTH = 100
MAX_CONFLICTS_LOGGED = 10


def parse_tweet_ids(value: object) -> tuple[str, ...]:
    """Parse Tweet ids: trimmed, checked, without duplicates, in the given order.

    :param value: what :func:`parse_tweets` accepts.
    :raises InvalidQueryError: with the first value that is not a Tweet id.
    """
    return tuple(parse_tweets(value))


def parse_tweets(value: object) -> dict[str, str | None]:
    """Parse Tweet ids with their owners. If a Tweet is listed with several owners, the first one counts.

    The API names the author of a Tweet that belongs to another user, so a pull corrects a wrong owner by itself.

    :param value: a list (or another iterable), or a string that
        :func:`~airflow_provider_engagement.inputs.lists.parse_list` reads. An item is an id as a string or an integer,
        a pair of id and owner, or a mapping with ``tweet_id`` and ``owner``.
    :return: the owner of each Tweet, or ``None`` if the item does not name one.
    :raises InvalidQueryError: with the first value that is not a Tweet id, or not an owner.
    """
    owners: dict[str, str | None] = {}
    conflicts: dict[str, tuple[str, str]] = {}
    for item in parse_list(value, field=FIELD):
        given, given_owner = _divide(item)
        tweet_id, owner = _parse_tweet_id(given), parse_owner(given_owner)
        known = owners.get(tweet_id)
        if known is None:
            owners[tweet_id] = owner
        elif owner not in (None, known):
            conflicts[tweet_id] = known, str(owner)
    for tweet_id, (first, other) in list(conflicts.items())[:MAX_CONFLICTS_LOGGED]:
        log.warning("Tweet %s is listed with the owners %s and %s. Using %s.", tweet_id, first, other, first)
    if len(conflicts) > MAX_CONFLICTS_LOGGED:
        log.warning("%d Tweets are listed with several owners.", len(conflicts))
    return owners


def parse_owner(value: object, *, field: str = OWNER_KEY) -> str | None:
    """Parse the owner of Tweets.

    :param value: a user id, or another name of an owner whose access token the connection holds; ``None`` or an empty
        string for none.
    :param field: the parameter that an error names.
    :raises InvalidQueryError: if the value is neither a string nor an integer, or is too long.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidQueryError(field, f"{quoted(value)} is not an owner", "Pass user ids as strings.")
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
        raise InvalidQueryError(field, "the owner is longer than a user id", "Pass user ids as strings.")
    owner = str(value).strip()
    if len(owner) > MAX_OWNER_LENGTH or not owner.isprintable():
        raise InvalidQueryError(field, f"{quoted(owner)} is not an owner", "Pass user ids as strings.")
    return owner or None


def _divide(item: object) -> tuple[object, object]:
    """Return the id and the owner of an item."""
    if isinstance(item, Mapping):
        return next((item[key] for key in KEYS if item.get(key) is not None), None), item.get(OWNER_KEY)
    if isinstance(item, Sequence) and not isinstance(item, (str, bytes)) and len(item) in (1, 2):
        return item[0], item[1] if len(item) == 2 else None
    return item, None


def _parse_tweet_id(value: object) -> str:
    if isinstance(value, float):
        raise InvalidQueryError(
            FIELD, f"{value!r} is a float and cannot hold a Tweet id exactly", "Pass ids as strings."
        )
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidQueryError(FIELD, f"{quoted(value)} is not a Tweet id", "Pass ids as strings.")
    too_long = isinstance(value, int) and abs(value) >= 10**MAX_DIGITS
    # Python does not convert integers of thousands of digits to text.
    text = value.strip() if isinstance(value, str) else "a longer number" if too_long else str(value)
    if not is_tweet_id(text):
        raise InvalidQueryError(FIELD, f"{quoted(text)} is not a Tweet id", f"An id has 1 to {MAX_DIGITS} digits.")
    return str(int(text))
