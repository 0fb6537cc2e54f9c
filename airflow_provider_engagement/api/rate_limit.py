"""When the next request may go. Pure: no clock, no sleep, no I/O.

Moments are epoch seconds of the caller's clock, durations are seconds.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Self

from airflow_provider_engagement.api.rate_headers import (
    MARGIN,
    MINUTE,
    ExceededLimit,
    RateHeaders,
    exceeded_limit,
    wait_after_429,
)

#: The shortest time after which to ask again while an answer is awaited; it grows with the wait, up to a second.
PAUSE: Final = 0.05
#: The crowd is a mean over about so many answers; of what a crowd leaves, one in so many may be in flight at once.
CAUTION: Final = 8
#: A difference between the clocks that somebody should look at.
LARGE_SKEW: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RateLimitSnapshot:
    """What a budget knew at a moment, to report, to decide on, and to resume from. Moments are the caller's.

    :param observed_at: the moment.
    :param limit: requests a minute in the contract, if known.
    :param remaining: requests left, those in flight taken off, if known.
    :param resets_at: when ``remaining`` renews, at the latest, if known.
    :param held_until: until when a refusal stops everything, if one does.
    :param second_limit: requests a second, if known.
    :param sent: own requests of the last minute.
    :param skew_seconds: how far the server's clock is ahead of the caller's.
    :param crowd: requests that others send for each own one, if known.
    """

    observed_at: float
    limit: int | None = None
    remaining: int | None = None
    resets_at: float | None = None
    held_until: float | None = None
    second_limit: int | None = None
    sent: int = 0
    skew_seconds: float = 0.0
    crowd: float | None = None

    def remaining_at(self, moment: float) -> int | None:
        """Return how many requests are left at a later moment, if nobody else sends any; ``None`` if unknown."""
        if self.held_until is not None and moment < self.held_until:
            return 0
        return self.remaining if self.resets_at is None or moment < self.resets_at else self.limit

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` wrote; keys of other versions are passed over."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Window:
    """One minute of the server: its name there (``reset``), what is left of it, and its end on the caller's clock."""

    name: float
    limit: int
    remaining: int
    ends_at: float

    @classmethod
    def seen(cls, headers: RateHeaders, now: float) -> Self | None:
        """Read a window from headers that say everything about it, else ``None``."""
        left = headers.seconds_left
        if headers.limit is None or headers.remaining is None or headers.reset_at is None or left is None:
            return None
        return cls(name=headers.reset_at, limit=headers.limit, remaining=headers.remaining, ends_at=now + left + MARGIN)

    def merge(self, other: Self) -> Self:
        """Take the later one; of one and the same take the least, since answers overtake each other."""
        if other.name != self.name:
            return max(self, other, key=lambda window: window.name)
        least = {name: min(getattr(self, name), getattr(other, name)) for name in ("limit", "remaining", "ends_at")}
        return replace(self, **least)


class _Crowd:
    """How many requests others send for each own one, as ``remaining`` betrays them.

    :param mean: what an earlier budget knew, if anything.
    """

    def __init__(self, mean: float | None = None) -> None:
        self.mean = mean
        self._least = self._kept()  # what it does not fall below within a window
        self._window = 0.0  # the name of the window that is watched
        self._known = 0  # how many requests in it are known: own ones that are settled, and those of others

    def _kept(self) -> float:
        """Return what to keep for the next window: who wakes late is still to come when the first have all they want.

        No more than a few, lest a server that refused everybody for a while be remembered as a crowd for long.
        """
        return 0.0 if self.mean is None else min(0.75 * self.mean, CAUTION)

    def own_settled(self) -> None:
        """Note that a request is no longer in flight."""
        self._known += 1

    def watch(self, seen: _Window, in_flight: int) -> None:
        """Compare what is used with what is known: at least what is not in flight here either was sent by others.

        Of the first window of all, what was used before the first answer may be of somebody who left long ago.
        """
        used, is_first = seen.limit - seen.remaining, not self._window
        if seen.name > self._window:
            self._least = self._kept()
            self._window, self._known = seen.name, used if is_first else 1
        surplus = max(0, used - self._known - in_flight)
        self._known += surplus
        if not is_first:
            mean = surplus if self.mean is None else self.mean + (surplus - self.mean) / CAUTION
            self.mean = max(mean, self._least)

    def room(self, left: int) -> int:
        """Return how many requests may be in flight here while so many are left for all."""
        if self.mean is None:
            return min(left, 1)
        return 0 if left < 1 + self.mean else max(1, math.floor(left / (1 + CAUTION * self.mean)))


class RateLimit:
    """Decides when the next request may go. Not safe for threads: the caller holds a lock.

    Every request that :meth:`acquire` lets go must be reported by :meth:`answered`, :meth:`refused` or :meth:`failed`.

    * Headers that tell limit, remaining, reset and Date describe a window: it is filled to the brim, less what is in
      flight, which the headers may not have counted.
    * Where a part of that is missing or absurd, no more than ``limit`` requests go in any 60 seconds, own ones and
      those that ``remaining`` betrays. A request counts from its answer, so no fixed minute can hold more either.
    * Where even the limit is unknown there is no pacing.
    * Each new window is opened by one request alone (or as many as the last had left); the rest wait for its answer.
      So is the first of all, and the one after a refusal: what the clock or an old answer says is never bet more on.
    * Others may share the contract. What ``remaining`` loses beyond own requests are theirs: for each own one, a mean
      over the last answers that fades from window to window is the crowd. Who is about to send reckons that each of the
      others is, too: no request goes that would not leave one for each of them. And because what they have in flight
      shows only later, the larger the crowd, the fewer are in flight at once, one alone as the window runs out.
      Until two answers have been compared, one goes at a time. Alone the crowd is 0 and nothing of this is felt.

    :param requests_per_minute: an own ceiling; no more own requests go in any 60 seconds.
    :param share: the part of the contract, over 0 and up to 1, that may be used up; the rest of each window is left.
    :raises ValueError: if one of them is out of range.
    """

    def __init__(self, *, requests_per_minute: int | None = None, share: float = 1.0) -> None:
        if requests_per_minute is not None and requests_per_minute < 1:
            raise ValueError(f"requests_per_minute must be at least 1, not {requests_per_minute}.")
        if not 0 < share <= 1:
            raise ValueError(f"share must be over 0 and at most 1, not {share}.")
        self._ceiling, self._share = requests_per_minute, share
        self._limit: int | None = None
        self._second_limit: int | None = None
        self._window: _Window | None = None
        self._last_window = 0.0  # the name of the last one that ended
        self._opening: int | None = 1  # how many may be in flight until an answer tells of the window
        self._in_flight = 0
        self._own: list[float] = []  # when own requests of the last minute were settled
        self._others: list[float] = []  # when requests of others became known; only without windows
        # when own requests were settled that answers still on their way may not have counted
        self._unseen: list[float] = []
        self._crowd = _Crowd()
        self._held_until = 0.0
        self._refusals = 0  # in a row
        self._sent_at = 0.0
        self._now = 0.0
        self._skew = 0.0

    @classmethod
    def resume(
        cls, snapshot: RateLimitSnapshot, *, now: float, requests_per_minute: int | None = None, share: float = 1.0
    ) -> Self:
        """Start with what an earlier budget of the same contract knew.

        :param snapshot: of the earlier budget.
        :param now: the present moment.
        :param requests_per_minute: as for a new budget.
        :param share: as for a new budget.
        """
        self = cls(requests_per_minute=requests_per_minute, share=share)
        self._now = snapshot.observed_at
        self._limit, self._second_limit = snapshot.limit, snapshot.second_limit
        self._skew, self._crowd = snapshot.skew_seconds, _Crowd(snapshot.crowd)
        self._own = [snapshot.observed_at] * snapshot.sent
        if snapshot.held_until is not None:
            self._held_until, self._refusals = snapshot.held_until, 1
        elif snapshot.limit is not None and snapshot.remaining is not None and snapshot.resets_at is not None:
            self._window = _Window(
                name=0.0, limit=snapshot.limit, remaining=snapshot.remaining, ends_at=snapshot.resets_at
            )
            self._opening = None
        self._advance(now)
        return self

    @property
    def skew_seconds(self) -> float:
        """How far the server's clock is ahead of the caller's; 0.0 below 1.5 s, which ``Date`` cannot tell."""
        return self._skew

    @property
    def has_large_skew(self) -> bool:
        """Whether the clocks are over a minute apart: worth a warning, though nothing here depends on it."""
        return abs(self._skew) > LARGE_SKEW

    def acquire(self, now: float) -> float:
        """Ask to send a request.

        :param now: the present moment.
        :return: 0.0 if it may go, and it is then counted as in flight; else the later moment at which to ask again.
        """
        self._advance(now)
        moments = [self._held_until] if now < self._held_until else []
        # What is in flight fills a place only until its answer comes: ask again soon, the later the longer it takes.
        soon = now + min(max(PAUSE, (now - self._sent_at) / 4), 1.0)
        moments += [frees_at if room <= 0 else soon for room, frees_at in self._rooms(now) if room <= self._in_flight]
        if moments:
            return max(*moments, now + PAUSE)
        if not self._in_flight:
            self._unseen.clear()  # all were counted before what goes now, so its answer will tell of them
        self._in_flight += 1
        self._sent_at = now
        return 0.0

    def answered(self, headers: RateHeaders, *, now: float) -> None:
        """Take note of an answer of any status but 429.

        :param headers: those of the answer.
        :param now: when it arrived.
        """
        self._settle(headers, now)
        if now < self._held_until:
            return  # overtaken by a refusal: what holds after it is for the first request after it to tell
        self._refusals = 0
        seen = _Window.seen(headers, now)
        if seen is None:
            self._opening = None
            self._spend(headers.remaining)
            if self._window is None and headers.remaining is not None and self._limit is not None:
                unexplained = self._limit - headers.remaining - len(self._own) - len(self._others) - self._in_flight
                self._others += [self._now] * unexplained
        elif seen.name > self._last_window:
            self._opening = None
            self._crowd.watch(seen, self._in_flight)
            seen = replace(seen, remaining=seen.remaining - len(self._unseen))
            self._window = seen if self._window is None else self._window.merge(seen)
            self._others.clear()

    def refused(self, headers: RateHeaders, *, now: float) -> ExceededLimit:
        """Take note of a refusal (429): nothing goes until its moment, then one request alone.

        :param headers: those of the refusal.
        :param now: when it arrived.
        :return: which budget was gone over. Waiting is futile for a period: :meth:`snapshot` tells until when.
        """
        self._settle(headers, now)
        if now >= self._held_until:  # else it was in flight together with the one refused before
            self._refusals += 1
        if (seen := _Window.seen(headers, now)) is not None:
            self._crowd.watch(seen, self._in_flight)
        wait = wait_after_429(headers, now=now, in_a_row=self._refusals)
        self._held_until = max(self._held_until, now + wait)
        self._window, self._last_window, self._opening = None, 0.0, 1
        return exceeded_limit(headers, now=now)

    def failed(self, now: float) -> None:
        """Take note that no answer came. The server may have counted the request, so it is spent.

        :param now: when the request was given up.
        """
        self._settle(RateHeaders(), now)
        self._spend(None)
        if self._limit is not None and not self._refusals:
            self._opening = None  # it may have been all that a small limit allows: go on by the requests of a minute

    def snapshot(self, now: float) -> RateLimitSnapshot:
        """Return what is known.

        :param now: the present moment.
        """
        self._advance(now)
        remaining, resets_at = None, None
        if self._window is not None:
            remaining, resets_at = self._window.remaining - self._in_flight, self._window.ends_at
        elif self._limit is not None and self._opening is None:
            used = sorted(self._own + self._others)
            remaining = self._limit - len(used) - self._in_flight
            resets_at = (now if self._in_flight or not used else used[-1]) + MINUTE + MARGIN
        return RateLimitSnapshot(
            observed_at=now,
            limit=self._limit,
            remaining=None if remaining is None else max(0, remaining),
            resets_at=resets_at,
            held_until=self._held_until if now < self._held_until else None,
            second_limit=self._second_limit,
            sent=len(self._own) + self._in_flight,
            skew_seconds=self._skew,
            crowd=self._crowd.mean,
        )

    def _rooms(self, now: float) -> Iterator[tuple[int, float]]:
        """Yield, for each rule in force, how many requests may be in flight, and when that renews if none may."""
        if self._opening is not None:
            yield self._opening, now
        elif self._window is not None:
            yield self._room(self._window), self._window.ends_at
        elif self._limit is not None:
            allowed = max(1, self._limit - self._reserve(self._limit))
            yield _sliding(sorted(self._own + self._others), allowed, MINUTE, now)
        if self._ceiling is not None:
            yield _sliding(self._own, self._ceiling, MINUTE, now)
        if self._second_limit:
            yield _sliding(self._own, self._second_limit, 1.0, now)

    def _room(self, window: _Window) -> int:
        """Return how many requests may be in flight in a window."""
        return self._crowd.room(window.remaining - self._reserve(window.limit))

    def _reserve(self, limit: int) -> int:
        """Return how many requests of a window to leave; at least one may always go."""
        return limit - max(1, math.floor(limit * self._share + 1e-9)) if limit else 0

    def _settle(self, headers: RateHeaders, now: float) -> None:
        """Note that a request is no longer in flight, and the facts that hold whatever the status."""
        self._advance(now)
        self._in_flight = max(0, self._in_flight - 1)
        self._own.append(self._now)
        self._crowd.own_settled()
        self._limit = self._limit if headers.limit is None else headers.limit
        self._second_limit = self._second_limit if headers.second_limit is None else headers.second_limit
        if headers.server_time is not None:
            skew = headers.server_time - now
            self._skew = skew if abs(skew) >= 1.5 else 0.0

    def _spend(self, remaining: int | None) -> None:
        """Lower what is left of the window, if one is known: to what an incomplete answer says, else by one."""
        if self._window is not None:
            left = self._window.remaining
            left = left - 1 if remaining is None else min(left, remaining - len(self._unseen))
            self._window = replace(self._window, remaining=left)
        self._unseen.append(self._now)

    def _advance(self, now: float) -> None:
        """Let time pass: a window ends, old requests are forgotten. A clock that was set back takes all along."""
        if (step := now - self._now) < -1.0:
            for log in (self._own, self._others, self._unseen):
                log[:] = [moment + step for moment in log]
            self._held_until += step
            self._sent_at += step
            if self._window is not None:
                self._window = replace(self._window, ends_at=self._window.ends_at + step)
        self._now = now if step < -1.0 else max(now, self._now)  # threads may come in the wrong order
        for log in (self._own, self._others, self._unseen):
            del log[: bisect_right(log, now - MINUTE - MARGIN)]
        if self._window is not None and now >= self._window.ends_at:
            self._last_window, self._opening, self._window = self._window.name, max(1, self._room(self._window)), None


def _sliding(spent: list[float], at_most: int, period: float, now: float) -> tuple[int, float]:
    """Return how many requests more may go if at most so many go in any period, and when the next may if none may."""
    recent = spent[bisect_right(spent, now - period - MARGIN) :]
    room = at_most - len(recent)
    return room, now if room > 0 else recent[-at_most] + period + MARGIN


def wake_at(moment: float, *, key: str, spread: float) -> float:
    """Return a moment within ``spread`` seconds after another, always the same one for the same key.

    From minute to minute the order of those who wait changes, so that nobody comes last each time.

    :param moment: when everybody who waits may go on.
    :param key: who waits, such as a task instance's key.
    :param spread: over how many seconds to spread those who wait.
    """
    digest = hashlib.blake2b(f"{moment // MINUTE:.0f} {key}".encode(), digest_size=8).digest()
    return moment + spread * int.from_bytes(digest) / 2**64
