"""Tweet ids, and the creation time in them.

Since 2010-11-04 an id is a *snowflake*: its upper bits count milliseconds from a fixed epoch. Older ids are consecutive
numbers without a time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

SNOWFLAKE_EPOCH_MILLISECONDS = 1288834974657
FIRST_SNOWFLAKE_ID = 29700859247
MAX_DIGITS = 19

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TWEET_ID = re.compile(rf"[0-9]{{1,{MAX_DIGITS}}}", re.ASCII)


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
