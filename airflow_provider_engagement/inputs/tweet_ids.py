"""Tweet ids and their owners, from a list or a string."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from numbers import Real
from typing import NamedTuple

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.id_columns import IdColumns
from airflow_provider_engagement.inputs.lists import parse_list, plain_value, quoted
from airflow_provider_engagement.inputs.tweet_id_forms import is_plain, parse_tweet_id, stripped
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.tweet_id import FIRST_SNOWFLAKE_ID, MAX_DIGITS, TweetIds, newest_id_at

log = logging.getLogger(__name__)

FIELD = "tweets"
OWNER_FIELD = "owner"
MAX_OWNER_LENGTH = 100
MAX_CONFLICTS_LOGGED = 10

MAX_TWEETS = 10_000_000
"""How many Tweets a list can have at most, so that a file cannot fill the memory of a worker."""

_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NOT_OWNERS = re.compile(r"nan|none|null|false|true|[0-9]+\.[0-9]*|[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]+", re.IGNORECASE)
_OWNER_RULE = (
    f"An owner is a user id or another name of up to {MAX_OWNER_LENGTH} letters, digits, dots, hyphens and underscores."
)

_COMMA_IN_QUERY = re.compile(r"/\S*[?#][^\s,;]*[,;](?!\s|$|[\"']|https?:)")
_LIST_OF_LISTS = 'Join the lists to one, or name owners as {"tweet_id": …, "owner": …}.'


class ListedTweet(NamedTuple):
    """A Tweet of a file or a query, parsed.

    :param tweet_id: the id.
    :param owner: the owner, or ``None`` if none is named.
    """

    tweet_id: str
    owner: str | None


def parse_tweet_ids(value: object) -> TweetIds:
    """Parse Tweet ids: trimmed, checked, without duplicates, in the given order.

    :param value: what :func:`parse_tweets` accepts, or ids that are parsed already.
    :raises InvalidQueryError: with the first value that is not a Tweet id.
    """
    return value if isinstance(value, TweetIds) else TweetIds(parse_tweets(value))


def parse_tweets(value: object) -> dict[str, str | None]:
    """Parse Tweet ids with their owners. If a Tweet is listed with several owners, the first one counts.

    The API names the author of a Tweet that belongs to another user, so a pull corrects a wrong owner by itself.

    :param value: a list (or another iterable), a whole number, or a string that
        :func:`~airflow_provider_engagement.inputs.lists.parse_list` reads. An item is an id in any form that
        :func:`~airflow_provider_engagement.inputs.tweet_id_forms.parse_tweet_id` reads, a pair of id and owner, a
        mapping with ``tweet_id`` and ``owner``, or a :class:`ListedTweet`.
    :return: the owner of each Tweet, or ``None`` if the item does not name one.
    :raises InvalidQueryError: with the first value that is not a Tweet id, or not an owner.
    """
    owners: dict[str, str | None] = {}
    conflicts: dict[str, tuple[str, str]] = {}
    for tweet_id, owner in _listed_tweets(value):
        known = owners.get(tweet_id)
        if known is None:
            owners[tweet_id] = owner
        elif owner is not None and owner != known:
            conflicts[tweet_id] = known, owner
        if len(owners) > MAX_TWEETS:
            raise InvalidQueryError(FIELD, f"there are more than {MAX_TWEETS:,} Tweets", "Divide them among tasks.")
    for tweet_id, (first, other) in list(conflicts.items())[:MAX_CONFLICTS_LOGGED]:
        log.warning("Tweet %s is listed with the owners %s and %s. Using %s.", tweet_id, first, other, first)
    if len(conflicts) > MAX_CONFLICTS_LOGGED:
        log.warning("%d Tweets are listed with several owners.", len(conflicts))
    return owners


def parse_owner(value: object, *, field: str = OWNER_FIELD) -> str | None:
    """Parse the owner of Tweets.

    :param value: a user id, or another name of an owner whose access token the connection holds: up to 100 letters,
        digits, dots, hyphens and underscores; ``None`` or an empty string for none.
    :param field: the parameter that an error names.
    :raises InvalidQueryError: if the value is neither a string nor an integer, or has another form.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidQueryError(field, f"{quoted(value)} is not an owner", "Pass user ids as strings.")
    if isinstance(value, int) and not 0 <= value < 10**MAX_DIGITS:
        raise InvalidQueryError(field, f"{quoted(value)} is not a user id", "Pass user ids as strings.")
    return _parse_owner(value if isinstance(value, str) else str(value), field)


@lru_cache(maxsize=1024)
def _parse_owner(text: str, field: str) -> str | None:
    owner = stripped(text)
    if not owner:
        return None
    if len(owner) > MAX_OWNER_LENGTH or not _OWNER.fullmatch(owner) or _NOT_OWNERS.fullmatch(owner):
        raise InvalidQueryError(field, f"{quoted(owner)} is not an owner", _OWNER_RULE)
    return owner


def _listed_tweets(value: object) -> Iterator[tuple[str, str | None]]:
    newest = newest_id_at(datetime.now(UTC))
    numbers = _numbers_in(value)
    for place, item in enumerate(_items(value), start=1):
        if isinstance(item, ListedTweet):
            yield item
            continue
        # Nearly all items of a long list are plain digits, which take no closer look. Strings of numpy are converted.
        if numbers is None and type(item) is str and is_plain(item, newest=newest):
            yield item, None
            continue
        try:
            given, given_owner = _divide(item)
            tweet_id = parse_tweet_id(given, field=FIELD, newest=newest)
            owner = parse_owner(given_owner)
        except InvalidQueryError as error:
            raise InvalidQueryError(error.field, f"item {place}: {error.problem}", error.remedy) from None
        if numbers is not None and tweet_id not in numbers:
            raise InvalidQueryError(
                FIELD, f"item {place}: the text {quoted(value)} does not contain {tweet_id}", "Pass a JSON list."
            )
        yield tweet_id, owner


def _items(value: object) -> Sequence[object] | Iterator[object]:
    if isinstance(value, Iterator):
        return value
    if isinstance(value, str) and _COMMA_IN_QUERY.search(value):
        raise InvalidQueryError(
            FIELD, f"{quoted(value)} has an address with a comma in it", "Separate addresses with spaces."
        )
    value = plain_value(value)
    # A template that is rendered as a native object leaves one number, whose type has its own rule.
    return [value] if isinstance(value, (Real, Decimal)) else parse_list(value, field=FIELD)


def _numbers_in(value: object) -> set[str] | None:
    """Return the numbers in the text of a list, since Python joins two strings without a comma between them."""
    return set(re.findall(r"[0-9]+", value)) if isinstance(value, str) else None


def _divide(item: object) -> tuple[object, object]:
    """Return the id and the owner of an item."""
    item = plain_value(item)
    if isinstance(item, (str, int)):
        return item, None
    if isinstance(item, Mapping):
        found = divide_object(item, IdColumns(), field=FIELD)
        if found is None:
            raise IdColumns().not_found(tuple(map(str, item)), field=FIELD, source="the object", kind="key")
        return found
    if isinstance(item, Sequence) and not isinstance(item, (str, bytes, bytearray)):
        item = tuple(map(plain_value, item))
        if len(item) not in (1, 2) or isinstance(item[0], (list, tuple)):
            raise InvalidQueryError(FIELD, f"{quoted(item)} is a list in a list", _LIST_OF_LISTS)
        if len(item) == 1:
            return item[0], None
        if _can_be_tweet(item[1]) or (_can_be_small(item[0]) and _can_be_small(item[1])):
            problem = f"{quoted(list(item))} can be two Tweets, or a Tweet and its owner"
            raise InvalidQueryError(FIELD, problem, _LIST_OF_LISTS)
        return item[0], item[1]
    return item, None


def divide_object(document: Mapping[str, object], columns: IdColumns, *, field: str) -> tuple[object, object] | None:
    """Return the values of the id and of the owner in an object, or ``None`` if it has no key of an id.

    :param document: the object.
    :param columns: the keys to read.
    :param field: the parameter that an error names.
    :raises InvalidQueryError: if the object has several keys of an id, or one without a value.
    """
    try:
        key, owner_key = columns.keys_of(tuple(map(str, document)))
    except LookupError as problem:
        raise InvalidQueryError(field, str(problem), "Set tweets.column to the key that holds the ids.") from None
    if key is None:
        return None
    value = document.get(key)
    if value is None and columns.ids is None and key == "id_str":
        value = document.get("id")  # another spelling of the same id
    if value is None:
        raise InvalidQueryError(field, f"has the key {quoted(key)} without a value", "Fill it in or remove the object.")
    owner = None if owner_key is None else document.get(owner_key)
    # Without tweets.owner_column, the key may hold another kind of object.
    is_object = isinstance(owner, (Mapping, list, tuple))
    return value, None if is_object and columns.owners is None else owner


def _can_be_tweet(value: object) -> bool:
    """Return whether a value beside a Tweet can be another Tweet: a number of its size, or an address."""
    text = stripped(str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    digits = "".join(re.findall(r"[0-9]+", text))
    is_number = digits == text.strip("=\"'") != ""
    return "/status" in text or (is_number and len(digits) <= MAX_DIGITS and int(digits) >= FIRST_SNOWFLAKE_ID)


def _can_be_small(value: object) -> bool:
    """Return whether a value can be a Tweet from before 2010-11-04, whose id has the size of a user's."""
    text = str(value).strip() if isinstance(value, (str, int)) else ""
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and 20 <= int(text) < FIRST_SNOWFLAKE_ID


def warn_of_old_ids(tweet_ids: Collection[str]) -> None:
    """Log how many ids are smaller than those of today's Tweets, as the numbers of rows are.

    :param tweet_ids: the ids.
    """
    old = [tweet_id for tweet_id in tweet_ids if len(tweet_id) <= 11 and int(tweet_id) < FIRST_SNOWFLAKE_ID]
    if old:
        log.warning(
            "%s of %s from before 2010-11-04, such as %s. If your Tweets are newer, these are not the ids of "
            "Tweets but, for example, the numbers of rows.",
            f"{len(old):,}",
            counted(len(tweet_ids), "id"),
            old[0],
        )
