"""Tweet ids, from a list or a string."""

from __future__ import annotations

from airflow_provider_engagement.api.tweet_id import MAX_DIGITS, is_tweet_id
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import parse_list, quoted

FIELD = "tweet_ids"


def parse_tweet_ids(value: object) -> tuple[str, ...]:
    """Parse Tweet ids: trimmed, checked, without duplicates, in the given order.

    :param value: a list (or another iterable) of strings or integers, or a string that
        :func:`~airflow_provider_engagement.inputs.lists.parse_list` reads.
    :raises InvalidQueryError: with the first value that is not a Tweet id.
    """
    return tuple(dict.fromkeys(_parse_tweet_id(item) for item in parse_list(value, field=FIELD)))


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
