"""What the headers of an answer say about the rate limits, and what a refusal means. Pure: no clock, no I/O.

The contract meters requests by the minute and every answer tells how many are left (reference, "Rate limits"). Moments
are epoch seconds, durations are seconds. The server's clock is never compared with the caller's: how long its window
still lasts is ``reset - Date``, both its own. ``Date`` lacks fractions and is old on arrival; both make a window look
longer, never shorter, so the least of several estimates is nearest to the truth and still safe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

MINUTE: Final = 60.0
#: Added to every moment at which something renews, for the granularity of clocks and networks.
MARGIN: Final = 0.1
#: A refusal that asks for a longer wait is a cap of some longer period.
LONGEST_RETRY_AFTER: Final = 900.0
#: A window that ends later than this belongs to no minute but to a cap. An hour is a server's mistake instead.
FARTHEST_RESET: Final = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RateHeaders:
    """What the headers of one answer say; ``None`` is what they do not say, or not legibly.

    :param limit: requests a minute in the contract.
    :param remaining: requests left in this minute.
    :param reset_at: when this minute ends, on the server's clock.
    :param second_limit: requests a second.
    :param second_remaining: requests left in this second.
    :param second_reset_at: when this second ends, on the server's clock.
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

    @property
    def seconds_left(self) -> float | None:
        """How long the minute still lasts, at most; ``None`` if ``reset`` or ``Date`` is missing or they disagree."""
        if self.reset_at is None or self.server_time is None:
            return None
        left = self.reset_at - self.server_time
        return left if 0 < left <= MINUTE + 1 else None


def read_headers(headers: Mapping[str, str], *, received_at: float) -> RateHeaders:
    """Read the rate headers of an answer, whatever the case of their names.

    :param headers: all headers of the answer.
    :param received_at: when it arrived; a dated ``Retry-After`` is measured from it where the answer has no ``Date``.
    """
    by_name = {name.lower(): value.strip() for name, value in headers.items()}

    def text(name: str) -> str:
        return by_name.get(name, "")

    server_time = _http_date(text("date"))
    retry_after = _seconds(text("retry-after"))
    if retry_after is None and (retry_at := _http_date(text("retry-after"))) is not None:
        retry_after = max(0.0, retry_at - (received_at if server_time is None else server_time))
    return RateHeaders(
        limit=_count(text("x-per-minute-limit")),
        remaining=_count(text("x-per-minute-remaining")),
        reset_at=_epoch(text("x-per-minute-reset")),
        second_limit=_count(text("x-per-second-limit")),
        second_remaining=_count(text("x-per-second-remaining")),
        second_reset_at=_epoch(text("x-per-second-reset")),
        retry_after=retry_after,
        server_time=server_time,
    )


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else None


def _seconds(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _epoch(text: str) -> float | None:
    """Read Unix seconds; milliseconds and mere durations fall outside the years 2001 to 2286."""
    number = _seconds(text)
    return number if number is not None and 1e9 <= number < 1e10 else None


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class ExceededLimit(StrEnum):
    """Which budget a refused request (429) went over."""

    SECOND = "second"
    """That of the second: a short wait is enough."""
    MINUTE = "minute"
    """That of the minute: the next minute helps."""
    PERIOD = "period"
    """One that renews far in the future: waiting is futile."""


def exceeded_limit(headers: RateHeaders, *, now: float) -> ExceededLimit:
    """Tell which budget a refused request went over.

    A minute that would end within a day is the server's mistake, later it is the end of a longer period.

    :param headers: those of the refusal.
    :param now: stands in for the server's clock where the refusal has no ``Date``.
    """
    if (headers.retry_after or 0) > LONGEST_RETRY_AFTER or _until_reset(headers, now) > FARTHEST_RESET:
        return ExceededLimit.PERIOD
    if headers.second_remaining == 0 and headers.remaining != 0:
        return ExceededLimit.SECOND
    return ExceededLimit.MINUTE


def wait_after_429(headers: RateHeaders, *, now: float, in_a_row: int = 1) -> float:
    """Return for how many seconds a refusal (429) stops everything.

    ``Retry-After`` comes first, then the end of the second or minute that is used up, then a whole minute. A second
    refusal in a row shows that a shorter time was wrong, so that no more than one request a minute is refused.

    :param headers: those of the refusal.
    :param now: stands in for the server's clock where the refusal has no ``Date``.
    :param in_a_row: how many requests, one after the other, were refused, this one included.
    """
    kind = exceeded_limit(headers, now=now)
    if kind is ExceededLimit.PERIOD:
        return max(headers.retry_after or 0, _until_reset(headers, now))
    if headers.retry_after is not None:
        wait = headers.retry_after
    elif kind is ExceededLimit.SECOND:
        wait = min(max(2.0, (headers.second_reset_at or 0) - (headers.server_time or now)), 5.0)
    else:
        wait = headers.seconds_left or MINUTE
    return max(wait, MINUTE if in_a_row > 1 else 1.0) + MARGIN


def _until_reset(headers: RateHeaders, now: float) -> float:
    return (headers.reset_at or 0) - (now if headers.server_time is None else headers.server_time)
