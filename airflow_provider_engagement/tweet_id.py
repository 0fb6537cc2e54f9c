"""Tweet ids, and the creation time in them.

Since 2010-11-04 an id is a *snowflake*: its upper bits count milliseconds from a fixed epoch. Older ids are consecutive
numbers without a time.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

SNOWFLAKE_EPOCH_MILLISECONDS = 1288834974657
FIRST_SNOWFLAKE_ID = 29700859247
MAX_DIGITS = 19

FIRST_TWEET_ID = 20
"""The oldest Tweet that still exists, of 2006-03-21."""

MAX_TWEET_ID = 2**63 - 1

CLOCK_SKEW = timedelta(minutes=10)
"""How far the clock of this machine can be behind that of X."""

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TWEET_ID = re.compile(rf"[0-9]{{1,{MAX_DIGITS}}}", re.ASCII)


class TweetIds(tuple[str, ...]):
    """Tweet ids that have been parsed, each once. Whoever receives them does not check them again."""

    __slots__ = ()


def is_tweet_id(value: str) -> bool:
    """Return whether a string has the form of a Tweet id: 1 to 19 ASCII digits."""
    return _TWEET_ID.fullmatch(value) is not None


def created_at(tweet_id: str) -> datetime | None:
    """Return when a Tweet was created, in UTC, to the millisecond.

    :param tweet_id: a Tweet id as a decimal string.
    :return: ``None`` for ids older than snowflakes, which contain no time.
    """
    number = int(tweet_id)
    if number < FIRST_SNOWFLAKE_ID:
        return None
    return _UNIX_EPOCH + timedelta(milliseconds=(number >> 22) + SNOWFLAKE_EPOCH_MILLISECONDS)


def first_id_at(time: datetime) -> str:
    """Return the smallest Tweet id that can contain a time.

    :param time: an aware time after the snowflake epoch.
    """
    milliseconds = (time - _UNIX_EPOCH) // timedelta(milliseconds=1)
    return str((milliseconds - SNOWFLAKE_EPOCH_MILLISECONDS) << 22)


def newest_id_at(now: datetime) -> int:
    """Return the largest id that a Tweet can have.

    :param now: the current time of this machine, aware. Its clock can be late by :data:`CLOCK_SKEW`.
    """
    return min(int(first_id_at(now + CLOCK_SKEW)), MAX_TWEET_ID)


def why_no_tweet(number: int, *, newest: int) -> str | None:
    """Return why no Tweet can have an id, in words, or ``None`` if a Tweet can have it.

    :param number: the id.
    :param newest: the largest id that a Tweet can have, from :func:`newest_id_at`.
    """
    if number < FIRST_TWEET_ID:
        return f"is smaller than {FIRST_TWEET_ID}, the id of the oldest Tweet"
    if number > MAX_TWEET_ID:
        return f"is larger than {MAX_TWEET_ID}, the largest id"
    if number > newest:
        time = created_at(str(number))
        return f"contains a time to come, {time:%Y-%m-%d %H:%M} UTC"
    return None


def are_rounded(tweet_ids: Collection[str]) -> bool:
    """Return whether nearly all ids end in zeros, as a spreadsheet or a float leaves them.

    A spreadsheet keeps 15 digits, and the text of a float has at most 17. Of real ids, one in a hundred ends in two
    zeros.

    :param tweet_ids: the ids. Ids of less than 17 digits are not counted, because a float holds them exactly.
    """
    long = [tweet_id for tweet_id in tweet_ids if len(tweet_id) > 16]
    if len(long) == 1:
        return long[0].endswith("000")
    return bool(long) and sum(tweet_id.endswith("00") for tweet_id in long) >= 0.9 * len(long)
