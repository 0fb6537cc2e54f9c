"""Tweet ids and the creation time they carry.

Since 2010-11-04 an id is a *snowflake*: its upper bits count milliseconds since a fixed epoch. Older ids are plain
sequence numbers and carry no time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

SNOWFLAKE_EPOCH_MILLISECONDS = 1288834974657
FIRST_SNOWFLAKE_ID = 29700859247
LONGEST_ID = 19

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)


def is_tweet_id(value: str) -> bool:
    """Tell whether a string has the form of a Tweet id: one to nineteen ASCII digits."""
    return _DIGITS.fullmatch(value) is not None


def created_at(tweet_id: str) -> datetime | None:
    """Return the UTC instant at which a Tweet was created, to the millisecond.

    :param tweet_id: a Tweet id as a decimal string.
    :return: ``None`` for ids from before snowflake, which carry no time.
    """
    number = int(tweet_id)
    if number < FIRST_SNOWFLAKE_ID:
        return None
    return _UNIX_EPOCH + timedelta(milliseconds=(number >> 22) + SNOWFLAKE_EPOCH_MILLISECONDS)


def first_id_at(moment: datetime) -> str:
    """Return the smallest Tweet id that can carry a given instant.

    :param moment: an aware instant after the snowflake epoch.
    """
    milliseconds = (moment - _UNIX_EPOCH) // timedelta(milliseconds=1)
    return str((milliseconds - SNOWFLAKE_EPOCH_MILLISECONDS) << 22)
