"""Which hours of which Tweets were read: complete, partial, missing or not yet read, by day."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_engagement.engagement_api.response import OUTCOME_MEANINGS, Outcome
from airflow_provider_engagement.engagement_api.time_range import HOUR, TimeRange, floor_to_hour
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.report.selection import periods_of
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.tweet_id import created_at

_OUTCOMES = tuple(Outcome)
_NOT_READ = 255
_COMPLETE = _OUTCOMES.index(Outcome.OK)
_WITHOUT_COUNTS = frozenset(
    _OUTCOMES.index(outcome) for outcome, (_, missing) in OUTCOME_MEANINGS.items() if missing == "all counts"
)


class State(StrEnum):
    """What is known about the hours of a day."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    MISSING = "missing"
    NOT_READ = "not yet read"


@dataclass(frozen=True, slots=True)
class Span:
    """Days in a row that have the same state for the same reason.

    :param name: what the days belong to: a Tweet or a task.
    :param start: the start of the first day.
    :param end: the end of the last day.
    :param days: the number of days.
    :param state: the state.
    :param reason: why it is not complete, in words; empty if it is.
    """

    name: str
    start: datetime
    end: datetime
    days: int
    state: State
    reason: str


def spans_by_tweet(
    coverage: Iterable[Mapping[str, Any]], tweet_ids: Sequence[str], interval: TimeRange, zone: ZoneInfo, metric: str
) -> list[Span]:
    """Return the state of each Tweet on each day, with equal days in a row joined.

    Days before the creation of a Tweet are left out. If an hour was read several times, the newest read counts.

    :param coverage: rows of the table ``coverage``.
    :param tweet_ids: the Tweets, in order.
    :param interval: the hours.
    :param zone: the time zone of the days.
    :param metric: only reads of this metric count.
    """
    windows: dict[str, list[tuple[datetime, datetime, datetime, int]]] = defaultdict(list)
    oldest = datetime.min.replace(tzinfo=UTC)
    for row in coverage:
        if metric in (row["metrics"] or "").split(","):
            code = _OUTCOMES.index(Outcome(row["outcome"]))
            windows[row["tweet_id"]].append((row["fetched_at"] or oldest, row["window_start"], row["window_end"], code))
    starts = periods_of(interval, Granularity.DAY, zone)
    edges = [_hour(max(start, interval.start), interval) for start in starts] + [interval.hours]
    ends = [*starts[1:], interval.end]
    spans: list[Span] = []
    for tweet_id in tweet_ids:
        hours = bytearray([_NOT_READ]) * interval.hours
        for _, start, end, code in sorted(windows[tweet_id]):
            first, last = _hour(start, interval), _hour(end, interval)
            if first < last:
                hours[first:last] = bytes([code]) * (last - first)
        created = created_at(tweet_id)
        first_hour = _hour(floor_to_hour(created), interval) if created else 0
        days = (
            (start, end, _state(Counter(hours[max(first, first_hour) : last])))
            for start, end, (first, last) in zip(starts, ends, pairwise(edges), strict=True)
            if last > first_hour
        )
        spans += _joined(tweet_id, days)
    return spans


def spans_by_task(manifests: Iterable[Mapping[str, Any]], interval: TimeRange, zone: ZoneInfo) -> list[Span]:
    """Return the state of each task on each day of an interval, from the manifests of its pulls.

    If several pulls cover an hour, the one that ended last counts.

    :param manifests: manifests with their ``interval``, and with the name of their ``task``.
    :param interval: the hours.
    :param zone: the time zone of the days.
    """
    pulls: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for manifest in manifests:
        if manifest.get("interval"):
            pulls[manifest["task"]].append(manifest)
    starts = periods_of(interval, Granularity.DAY, zone)
    edges = [_hour(max(start, interval.start), interval) for start in starts] + [interval.hours]
    ends = [*starts[1:], interval.end]
    spans: list[Span] = []
    for task, found in sorted(pulls.items()):
        found.sort(key=_ended_at)
        states: list[tuple[State, str]] = [(State.NOT_READ, ""), *(_state_of_pull(manifest) for manifest in found)]
        hours = array("H", bytes(2 * interval.hours))
        for number, manifest in enumerate(found, start=1):
            first, last = (_hour(datetime.fromisoformat(edge), interval) for edge in manifest["interval"])
            hours[first:last] = array("H", [number]) * (last - first)
        days = (
            (start, end, _joined_states(Counter(states[number] for number in hours[first:last])))
            for start, end, (first, last) in zip(starts, ends, pairwise(edges), strict=True)
        )
        spans += _joined(task, days)
    return spans


def _ended_at(manifest: Mapping[str, Any]) -> float:
    """Return when a pull knew the rate limit last, which is when it ended."""
    observed_at = manifest["rate_limit"].get("observed_at")
    return observed_at if isinstance(observed_at, float | int) else 0.0


def _hour(time: datetime, interval: TimeRange) -> int:
    """Return the number of an hour in an interval, at least 0 and at most its length."""
    return min(max((time - interval.start) // HOUR, 0), interval.hours)


def _state(hours: Counter[int]) -> tuple[State, str]:
    total, unread = hours.total(), hours[_NOT_READ]
    if unread == total:
        return State.NOT_READ, ""
    if hours[_COMPLETE] == total:
        return State.COMPLETE, ""
    reasons = [
        f"{_OUTCOMES[code]}: {OUTCOME_MEANINGS[_OUTCOMES[code]][0]}"
        for code in sorted(hours)
        if code not in (_COMPLETE, _NOT_READ)
    ]
    if unread:
        reasons.append(f"{unread:,} of {counted(total, 'hour')} not yet read")
    is_missing = all(code in _WITHOUT_COUNTS for code in hours)
    return State.MISSING if is_missing else State.PARTIAL, "; ".join(reasons)


def _joined_states(hours: Counter[tuple[State, str]]) -> tuple[State, str]:
    """Return the state of a day from the states of its hours."""
    if len(hours) == 1:
        return next(iter(hours))
    unread = hours[State.NOT_READ, ""]
    reasons = sorted({reason for _, reason in hours if reason})
    if unread:
        reasons.append(f"{unread:,} of {counted(hours.total(), 'hour')} not yet read")
    states = {state for state, _ in hours}
    return states.pop() if len(states) == 1 else State.PARTIAL, "; ".join(reasons)


def _state_of_pull(manifest: Mapping[str, Any]) -> tuple[State, str]:
    requested, complete = manifest.get("requested", 0), manifest.get("complete", 0)
    if complete == requested:
        return State.COMPLETE, ""
    outcomes: Mapping[str, int] = manifest.get("outcomes", {})
    reasons = [f"{number} {outcome}" for outcome, number in outcomes.items() if outcome != Outcome.OK]
    return State.PARTIAL if complete else State.MISSING, ", ".join(reasons)


def _joined(name: str, days: Iterable[tuple[datetime, datetime, tuple[State, str]]]) -> Iterator[Span]:
    span: Span | None = None
    for start, end, (state, reason) in days:
        if span is not None and (span.state, span.reason, span.end) == (state, reason, start):
            span = Span(name, span.start, end, span.days + 1, state, reason)
            continue
        if span is not None:
            yield span
        span = Span(name, start, end, 1, state, reason)
    if span is not None:
        yield span
