"""Read the rate limit headers of a response, and decide how long to wait after HTTP 429. Pure: no clock, no I/O.

A server counts requests in windows of one length, and every response states how many remain. Times are epoch seconds,
durations are seconds. The server's clock is never compared with the caller's: the rest of a window is
``reset - Date``, and both are the server's. ``Date`` has no fractions and is old on arrival. Both make the rest look
longer, never shorter, so the smallest of several estimates is the most accurate, and it is safe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

#: Seconds added to every reset, because clocks and networks are not exact.
MARGIN: Final = 0.1
#: A longer ``Retry-After`` means that a limit of a longer period is used up.
LONGEST_RETRY_AFTER: Final = 900.0
#: A reset further ahead belongs to a limit of a longer period. A nearer one past the window is an error of the server.
FARTHEST_RESET: Final = 86_400.0
#: No limit renews later. A server that states a longer time is in error, and the time would not fit into a clock.
LONGEST_PERIOD: Final = 366 * 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class HeaderNames:
    """How an API names its rate limit headers. Each name is followed by ``-limit``, ``-remaining`` or ``-reset``.

    :param window: the name of the limit of a window.
    :param second: the name of the limit of a second, if there is one.
    """

    window: str
    second: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RateHeaders:
    """The rate limit headers of a response; ``None`` for a header that is missing or unreadable.

    :param limit: requests in a window.
    :param remaining: requests that remain in this window.
    :param reset_at: when this window ends, by the server's clock.
    :param second_limit: requests per second.
    :param second_remaining: requests that remain in this second.
    :param second_reset_at: when this second ends, by the server's clock.
    :param retry_after: seconds to wait, from either form of ``Retry-After``.
    :param server_time: the server's ``Date``.
    """

    limit: int | None = None
    remaining: int | None = None
    reset_at: float | None = None
    second_limit: int | None = None
    second_remaining: int | None = None
    second_reset_at: float | None = None
    retry_after: float | None = None
    server_time: float | None = None

    def seconds_left(self, window_seconds: float) -> float | None:
        """Return the seconds until the window ends, at most; ``None`` if ``reset`` or ``Date`` lack or contradict.

        :param window_seconds: how long a window is.
        """
        if self.reset_at is None or self.server_time is None:
            return None
        left = self.reset_at - self.server_time
        return left if 0 < left <= window_seconds + 1 else None


def read_headers(headers: Mapping[str, str], names: HeaderNames, *, received_at: float) -> RateHeaders:
    """Read the rate limit headers of a response. The case of their names does not matter.

    :param headers: all headers of the response.
    :param names: how the API names them.
    :param received_at: when the response arrived; used as the server's time if there is no ``Date``.
    """
    by_name = {name.lower(): value.strip() for name, value in headers.items()}

    def text(name: str) -> str:
        return by_name.get(name, "")

    server_time = _http_date(text("date"))
    retry_after = _seconds(text("retry-after"))
    if retry_after is None and (retry_at := _http_date(text("retry-after"))) is not None:
        retry_after = max(0.0, retry_at - (received_at if server_time is None else server_time))
    if retry_after is not None:
        retry_after = min(retry_after, LONGEST_PERIOD)
    return RateHeaders(
        limit=_count(text(f"{names.window}-limit")),
        remaining=_count(text(f"{names.window}-remaining")),
        reset_at=_epoch(text(f"{names.window}-reset")),
        second_limit=_count(text(f"{names.second}-limit")),
        second_remaining=_count(text(f"{names.second}-remaining")),
        second_reset_at=_epoch(text(f"{names.second}-reset")),
        retry_after=retry_after,
        server_time=server_time,
    )


class ExceededLimit(StrEnum):
    """The limit that a request with HTTP 429 exceeded."""

    SECOND = "second"
    """Requests per second: a short wait is enough."""
    WINDOW = "window"
    """Requests of a window: the next window allows more."""
    PERIOD = "period"
    """Requests of a longer period, which renews far in the future: waiting does not help."""


def exceeded_limit(headers: RateHeaders, *, now: float) -> ExceededLimit:
    """Return which limit a request with HTTP 429 exceeded.

    :param headers: the headers of the response.
    :param now: used as the server's time if the response has no ``Date``.
    """
    if (headers.retry_after or 0) > LONGEST_RETRY_AFTER or _until_reset(headers, now) > FARTHEST_RESET:
        return ExceededLimit.PERIOD
    if headers.second_remaining == 0 and headers.remaining != 0:
        return ExceededLimit.SECOND
    return ExceededLimit.WINDOW


def wait_after_429(headers: RateHeaders, *, window_seconds: float, now: float, in_a_row: int = 1) -> float:
    """Return how many seconds to send nothing after HTTP 429.

    ``Retry-After`` has precedence, then the end of the exceeded second or window, then a whole window. After a second
    429 in a row, the wait is at least a window, so that at most one request per window is rate-limited.

    :param headers: the headers of the response.
    :param window_seconds: how long a window is.
    :param now: used as the server's time if the response has no ``Date``.
    :param in_a_row: how many consecutive requests were rate-limited, including this one.
    """
    exceeded = exceeded_limit(headers, now=now)
    if exceeded is ExceededLimit.PERIOD:
        return min(max(headers.retry_after or 0, _until_reset(headers, now)), LONGEST_PERIOD)
    if headers.retry_after is not None:
        wait = headers.retry_after
    elif exceeded is ExceededLimit.SECOND:
        wait = min(max(2.0, (headers.second_reset_at or 0) - (headers.server_time or now)), 5.0)
    else:
        wait = headers.seconds_left(window_seconds) or window_seconds
    return max(wait, window_seconds if in_a_row > 1 else 1.0) + MARGIN


def _until_reset(headers: RateHeaders, now: float) -> float:
    return (headers.reset_at or 0) - (now if headers.server_time is None else headers.server_time)


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else None


def _seconds(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _epoch(text: str) -> float | None:
    """Read Unix seconds. Milliseconds and durations are outside the years 2001 to 2286, and give ``None``."""
    number = _seconds(text)
    return number if number is not None and 1e9 <= number < 1e10 else None


def _http_date(text: str) -> float | None:
    try:
        time = parsedate_to_datetime(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
