"""The rate limit against a simulated server with fixed minutes, several clients and latency, in simulated time."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.http.limits.headers import ExceededLimit, HeaderNames, RateHeaders, read_headers
from airflow_provider_engagement.http.limits.rate_limit import RateLimit, RateLimitSnapshot

NAMES = HeaderNames(window="x-per-minute", second="x-per-second")

START = 1_768_089_600.0  # a whole minute: 2026-01-11T00:00:00Z
Headers = dict[str, str]


# HTTP 429


def test_after_429_one_request_is_sent_alone() -> None:
    rate_limit = RateLimit()
    assert rate_limit.acquire(START) == 0.0
    rate_limit.responded(RateHeaders(), now=START)
    assert rate_limit.acquire(START) == 0.0
    assert rate_limit.rate_limited(RateHeaders(), now=START) is ExceededLimit.WINDOW
    held_until = rate_limit.acquire(START)
    assert 60 <= held_until - START <= 65
    assert rate_limit.acquire(START + 59) == held_until
    assert rate_limit.acquire(held_until) == 0.0
    assert rate_limit.acquire(held_until) > held_until


def test_a_response_that_a_429_overtook_does_not_end_the_hold() -> None:
    rate_limit = known_rate_limit(remaining=50)
    assert rate_limit.acquire(START) == rate_limit.acquire(START) == 0.0
    rate_limit.rate_limited(RateHeaders(), now=START)
    rate_limit.responded(complete(remaining=49), now=START)
    held_until = rate_limit.acquire(START)
    assert held_until >= START + 60
    assert rate_limit.acquire(held_until) == 0.0
    assert rate_limit.acquire(held_until) > held_until


def test_a_used_up_period_is_held_until_it_renews() -> None:
    rate_limit = RateLimit()
    rate_limit.acquire(START)
    assert rate_limit.rate_limited(RateHeaders(retry_after=86_400.0), now=START) is ExceededLimit.PERIOD
    assert rate_limit.snapshot(START).held_until == pytest.approx(START + 86_400, abs=1)
    assert rate_limit.acquire(START + 3_600) == pytest.approx(START + 86_400, abs=1)


# Single decisions


def complete(*, remaining: int, limit: int = 60, reset_at: float = START + 60, at: float = START) -> RateHeaders:
    return RateHeaders(limit=limit, remaining=remaining, reset_at=reset_at, server_time=at)


def known_rate_limit(
    *, remaining: int = 59, requests_per_minute: int | None = None, quota_share: float = 1.0
) -> RateLimit:
    """Return a rate limit after two responses, which show no requests of other clients."""
    rate_limit = RateLimit(requests_per_minute=requests_per_minute, quota_share=quota_share)
    for stated in (remaining + 1, remaining):
        assert rate_limit.acquire(START) == 0.0
        rate_limit.responded(complete(remaining=stated), now=START)
    return rate_limit


def sent_at_once(rate_limit: RateLimit, now: float = START) -> int:
    """Return how many requests can be sent before the first response."""
    allowed = itertools.takewhile(lambda next_check: next_check == 0.0, (rate_limit.acquire(now) for _ in range(999)))
    return sum(1 for _ in allowed)


def test_before_the_first_response_one_request_is_sent_alone() -> None:
    rate_limit = RateLimit(requests_per_minute=300)
    assert sent_at_once(rate_limit) == 1
    assert START < rate_limit.acquire(START) <= START + 1


def test_without_a_known_limit_requests_are_not_held_back() -> None:
    rate_limit = RateLimit()
    rate_limit.acquire(START)
    rate_limit.responded(RateHeaders(), now=START)
    assert sent_at_once(rate_limit) == 999


def test_exactly_the_remaining_requests_are_sent() -> None:
    assert sent_at_once(known_rate_limit(remaining=7)) == 7


def test_when_none_remain_the_next_request_waits_for_the_reset() -> None:
    next_check = known_rate_limit(remaining=0).acquire(START + 1)
    assert START + 60 <= next_check <= START + 60.25


def test_within_a_minute_the_remaining_requests_only_decrease() -> None:
    rate_limit = known_rate_limit(remaining=5)
    assert rate_limit.acquire(START) == rate_limit.acquire(START) == 0.0
    rate_limit.responded(complete(remaining=3), now=START)
    rate_limit.responded(complete(remaining=50), now=START)
    assert sent_at_once(rate_limit) == 3


def test_a_request_without_response_counts_as_sent() -> None:
    rate_limit = known_rate_limit(remaining=3)
    assert rate_limit.acquire(START) == 0.0
    rate_limit.failed(START)
    assert sent_at_once(rate_limit) == 2


def test_a_minute_that_allows_one_request_does_not_start_twice() -> None:
    rate_limit = known_rate_limit(remaining=0)
    rate_limit.acquire(START + 1)
    opened = START + 61
    assert rate_limit.acquire(opened) == 0.0
    rate_limit.responded(complete(limit=1, remaining=0, reset_at=START + 120, at=opened), now=opened)
    opened = START + 121
    assert rate_limit.acquire(opened) == 0.0
    rate_limit.failed(opened)
    assert opened + 59 < rate_limit.acquire(opened) < opened + 61


def test_after_a_failed_first_request_the_next_is_sent() -> None:
    rate_limit = RateLimit()
    assert rate_limit.acquire(START) == 0.0
    rate_limit.failed(START + 1)
    assert rate_limit.acquire(START + 1) == 0.0


def test_a_lower_limit_applies_at_once() -> None:
    rate_limit = known_rate_limit(remaining=50)
    assert rate_limit.acquire(START) == 0.0
    rate_limit.responded(complete(limit=12, remaining=1), now=START)
    assert sent_at_once(rate_limit) == 1


def test_a_higher_limit_applies_up_to_the_clients_own_limit() -> None:
    for own_limit, expected in ((None, 299), (100, 99)):
        rate_limit = known_rate_limit(remaining=0, requests_per_minute=own_limit)
        later = START + 61
        assert rate_limit.acquire(later) == 0.0
        rate_limit.responded(complete(limit=300, remaining=299, reset_at=START + 120, at=later), now=later)
        assert sent_at_once(rate_limit, later) == expected


def test_the_quota_share_leaves_the_rest_of_the_minute() -> None:
    assert sent_at_once(known_rate_limit(remaining=59, quota_share=0.8)) == 47
    assert sent_at_once(known_rate_limit(remaining=12, quota_share=0.8)) == 0


def test_the_smallest_quota_share_allows_one_request() -> None:
    assert sent_at_once(known_rate_limit(remaining=60, quota_share=0.001)) == 1


def test_requests_of_other_clients_do_not_count_for_the_clients_own_limit() -> None:
    assert sent_at_once(known_rate_limit(remaining=30, requests_per_minute=20)) == 18


def test_after_a_used_up_minute_the_next_starts_with_one_request() -> None:
    rate_limit = known_rate_limit(remaining=0)
    assert sent_at_once(rate_limit, START + 61) == 1


def test_a_minute_starts_with_as_many_requests_as_remained_in_the_last() -> None:
    rate_limit = known_rate_limit(remaining=4)
    assert sent_at_once(rate_limit, START + 61) == 4


def test_without_reset_requests_of_other_clients_are_subtracted() -> None:
    rate_limit = RateLimit()
    rate_limit.acquire(START)
    rate_limit.responded(RateHeaders(limit=60, remaining=20), now=START)
    assert sent_at_once(rate_limit) == 20


def test_without_reset_at_most_the_limit_is_sent_in_any_minute() -> None:
    rate_limit = RateLimit()
    for second in range(6):
        assert rate_limit.acquire(START + second) == 0.0
        rate_limit.responded(RateHeaders(limit=6), now=START + second)
    next_check = rate_limit.acquire(START + 6)
    assert START + 60 <= next_check <= START + 60.25
    assert rate_limit.acquire(next_check) == 0.0
    rate_limit.responded(RateHeaders(limit=6), now=next_check)
    assert START + 61 <= rate_limit.acquire(next_check) <= START + 61.25


def test_a_limit_per_second_spaces_the_requests() -> None:
    rate_limit = RateLimit()
    rate_limit.acquire(START)
    rate_limit.responded(RateHeaders(second_limit=1), now=START)
    assert START + 1 <= rate_limit.acquire(START) <= START + 1.25


def test_a_clock_that_is_set_back_does_not_delay_requests() -> None:
    rate_limit = known_rate_limit(remaining=0)
    next_check = rate_limit.acquire(START - 3_600)
    assert next_check <= START - 3_600 + 61


@pytest.mark.parametrize("arguments", [{"requests_per_minute": 0}, {"quota_share": 0.0}, {"quota_share": 1.1}])
def test_parameters_out_of_range_are_rejected(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RateLimit(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("skew", "large"), [(0.9, False), (30.0, False), (600.0, True), (-600.0, True)])
def test_a_clock_difference_of_over_a_minute_is_large(skew: float, large: bool) -> None:
    rate_limit = RateLimit()
    rate_limit.acquire(START)
    rate_limit.responded(RateHeaders(server_time=START + skew), now=START)
    assert rate_limit.skew_seconds == (skew if abs(skew) > 1.5 else 0.0)
    assert rate_limit.has_large_skew is large


# Snapshots


def test_a_snapshot_can_be_stored_as_json() -> None:
    snapshot = known_rate_limit(remaining=7).snapshot(START + 1)
    assert (snapshot.limit, snapshot.remaining) == (60, 7)
    assert RateLimitSnapshot.from_dict(json.loads(json.dumps(snapshot.to_dict()))) == snapshot


def test_a_snapshot_states_what_remains_later() -> None:
    snapshot = known_rate_limit(remaining=7).snapshot(START)
    assert snapshot.remaining_at(START + 30) == 7
    assert snapshot.remaining_at(START + 61) == 60
    assert RateLimit().snapshot(START).remaining_at(START) is None


def test_a_resumed_rate_limit_has_the_same_remaining_requests() -> None:
    resumed = RateLimit.resume(known_rate_limit(remaining=7).snapshot(START), now=START + 5)
    assert sent_at_once(resumed, START + 5) == 7


def test_a_resumed_rate_limit_without_reset_counts_earlier_requests() -> None:
    rate_limit = RateLimit()
    for _ in range(6):
        rate_limit.acquire(START)
        rate_limit.responded(RateHeaders(limit=6), now=START)
    resumed = RateLimit.resume(rate_limit.snapshot(START), now=START + 10)
    assert START + 60 <= resumed.acquire(START + 10) <= START + 60.25


def test_a_resumed_rate_limit_stays_held_and_then_sends_one_request() -> None:
    rate_limit = known_rate_limit()
    rate_limit.acquire(START)
    rate_limit.rate_limited(RateHeaders(), now=START)
    resumed = RateLimit.resume(rate_limit.snapshot(START), now=START + 5)
    held_until = resumed.acquire(START + 5)
    assert held_until >= START + 60
    assert sent_at_once(resumed, held_until) == 1


def test_a_rate_limit_resumed_after_the_reset_starts_with_one_request() -> None:
    resumed = RateLimit.resume(known_rate_limit(remaining=0).snapshot(START), now=START + 61)
    assert sent_at_once(resumed, START + 61) == 1


# A server in simulated time


@dataclass
class Server:
    """Counts requests in fixed minutes and seconds of its own clock, which is ``skew`` ahead of the clients'."""

    limit: int
    skew: float = 0.0
    second_limit: int | None = None
    fault: Callable[[Headers], Headers] = dict
    rejects_all: Callable[[float], bool] = lambda now: False
    arrivals: list[float] = field(default_factory=list)
    rate_limited: list[float] = field(default_factory=list)

    def handle(self, now: float) -> tuple[int, Headers]:
        clock = now + self.skew
        minute = sum(1 for arrival in reversed(self.arrivals[-self.limit - 20 :]) if arrival // 60 == clock // 60)
        second = sum(1 for arrival in self.arrivals[-20:] if arrival // 1 == clock // 1)
        over = minute >= self.limit or (self.second_limit is not None and second >= self.second_limit)
        over = over or self.rejects_all(now)
        (self.rate_limited if over else self.arrivals).append(clock)
        headers = {
            "x-per-minute-limit": str(self.limit),
            "x-per-minute-remaining": str(max(0, self.limit - minute - (not over))),
            "x-per-minute-reset": str(int(clock // 60 + 1) * 60),
            "Date": formatdate(int(clock), usegmt=True),
        }
        if self.second_limit is not None:
            headers["x-per-second-limit"] = str(self.second_limit)
            headers["x-per-second-remaining"] = str(max(0, self.second_limit - second - (not over)))
        return (429 if over else 200), self.fault(headers)

    def by_minute(self) -> Counter[int]:
        return Counter(int(time // 60) for time in self.arrivals + self.rate_limited)


class Run:
    """Threads that send as fast as their rate limit allows; every wait is an event on a heap.

    :param rate_limits: one for each task. The ``threads`` of a task share it.
    """

    def __init__(
        self,
        server: Server,
        *rate_limits: RateLimit,
        threads: int = 8,
        latency: Callable[[], float] = lambda: 0.2,
        fails: Callable[[float], bool] = lambda now: False,
    ) -> None:
        self.server, self.rate_limits, self.threads = server, rate_limits, threads
        self.latency, self.fails = latency, fails
        self.checks = 0
        self.sent: list[float] = []
        self.sent_by: Counter[int] = Counter()

    def until(self, end: float, *starts: float) -> Run:
        """Run until a time, all tasks from the same start or each from its own."""
        order = itertools.count()
        events: list[tuple[float, int, Callable[[float], None]]] = []

        def later(time: float, step: Callable[[float], None]) -> None:
            heapq.heappush(events, (time, next(order), step))

        def send(rate_limit: RateLimit, now: float) -> None:
            self.checks += 1
            next_check = rate_limit.acquire(now)
            if next_check:
                assert next_check > now
                later(next_check, lambda woken: send(rate_limit, woken))
                return
            self.sent.append(now)
            self.sent_by[id(rate_limit)] += 1
            out, back = self.latency() / 2, self.latency() / 2
            later(now + out, lambda arrived: arrive(rate_limit, arrived, back))

        def arrive(rate_limit: RateLimit, now: float, back: float) -> None:
            status, headers = self.server.handle(now)
            lost = self.fails(now)
            later(now + back, lambda received: receive(rate_limit, received, status, headers, lost))

        def receive(rate_limit: RateLimit, now: float, status: int, headers: Headers, lost: bool) -> None:
            read = read_headers(headers, NAMES, received_at=now)
            if lost:
                rate_limit.failed(now)
            elif status == 429:
                rate_limit.rate_limited(read, now=now)
            else:
                rate_limit.responded(read, now=now)
            send(rate_limit, now)

        starts = starts or (START,)
        for rate_limit, start in zip(self.rate_limits * self.threads, itertools.cycle(starts)):
            later(start, lambda now, rate_limit=rate_limit: send(rate_limit, now))  # type: ignore[misc]
        while events and events[0][0] < end:
            now, _, step = heapq.heappop(events)
            step(now)
        return self


def without(*names: str) -> Callable[[Headers], Headers]:
    return lambda headers: {name: value for name, value in headers.items() if name not in names}


def with_reset(change: Callable[[int], object]) -> Callable[[Headers], Headers]:
    return lambda headers: headers | {"x-per-minute-reset": str(change(int(headers["x-per-minute-reset"])))}


def sometimes(fault: Callable[[Headers], Headers], seed: int) -> Callable[[Headers], Headers]:
    dice = random.Random(seed)
    return lambda headers: fault(headers) if dice.random() < 0.5 else headers


FAULTS: dict[str, Callable[[Headers], Headers]] = {
    "none": dict,
    "no reset": without("x-per-minute-reset"),
    "no date": without("Date"),
    "no remaining": without("x-per-minute-remaining"),
    "only the limit": without("x-per-minute-reset", "x-per-minute-remaining", "Date"),
    "reset garbled": with_reset(lambda reset: "soon"),
    "reset in milliseconds": with_reset(lambda reset: reset * 1000),
    "reset in the past": with_reset(lambda reset: reset - 60),
    "reset an hour ahead": with_reset(lambda reset: reset + 3600),
    "reset not a number": with_reset(lambda reset: "nan"),
}


@pytest.mark.parametrize(("limit", "fault"), [(60, fault) for fault in FAULTS] + [(300, "none"), (300, "no reset")])
def test_the_quota_is_used_and_never_exceeded(limit: int, fault: str) -> None:
    server = Server(limit=limit, skew=-600.0, fault=FAULTS[fault])
    Run(server, RateLimit()).until(START + 300)
    assert server.rate_limited == []
    assert len(server.arrivals) >= 0.98 * limit * 5


@pytest.mark.parametrize("threads", [1, 8])
def test_six_requests_per_minute_are_all_used(threads: int) -> None:
    server = Server(limit=6)
    Run(server, RateLimit(), threads=threads).until(START + 300)
    assert server.rate_limited == []
    assert len(server.arrivals) == 30


def test_a_slow_server_is_called_by_all_threads_at_once() -> None:
    server = Server(limit=300)
    Run(server, RateLimit(), latency=lambda: 20.0).until(START + 1200)
    assert len(server.arrivals) >= 0.9 * 8 * 1200 / 20


@settings(max_examples=40, deadline=None)
@given(
    limit=st.sampled_from([1, 2, 6, 17, 60, 130]),
    threads=st.integers(1, 10),
    skew=st.floats(-600, 600),
    fault=st.sampled_from(sorted(FAULTS)),
    half_of_responses=st.booleans(),
    slowest=st.sampled_from([0.02, 0.2, 2.0, 15.0]),
    own_limit=st.none() | st.integers(1, 100),
    quota_share=st.sampled_from([1.0, 0.8, 0.31]),
    loss=st.sampled_from([0.0, 0.02]),
    phase=st.floats(0, 60),
    seed=st.integers(0, 2**16),
)
@example(60, 8, 0.5, "no reset", True, 0.2, None, 1.0, 0.0, 59.9, 0)
def test_a_client_alone_never_gets_429(
    limit: int,
    threads: int,
    skew: float,
    fault: str,
    half_of_responses: bool,
    slowest: float,
    own_limit: int | None,
    quota_share: float,
    loss: float,
    phase: float,
    seed: int,
) -> None:
    dice = random.Random(seed)
    server = Server(
        limit=limit, skew=skew, fault=sometimes(FAULTS[fault], seed) if half_of_responses else FAULTS[fault]
    )
    run = Run(
        server,
        RateLimit(requests_per_minute=own_limit, quota_share=quota_share),
        threads=threads,
        latency=lambda: dice.uniform(0.01, slowest),
        fails=lambda now: len(server.arrivals) > 1 and dice.random() < loss,  # the first response states the limit
    ).until(START + phase + 240, START + phase)
    assert server.rate_limited == []
    allowed = max(1, int(limit * quota_share + 1e-9))
    assert max(server.by_minute().values()) <= allowed
    if own_limit is not None:
        assert max(in_any_minute(run.sent)) <= own_limit
    assert len(run.sent) >= 2  # in four minutes
    assert run.checks <= threads * (240 + 5 * len(run.sent))  # a check per second, and some after each request


def in_any_minute(times: list[float]) -> Iterator[int]:
    """Yield, for each time, how many times are in the minute from it on."""
    for index, time in enumerate(times):
        yield sum(1 for other in times[index : index + 200] if other < time + 60)


@pytest.mark.parametrize(
    "fault",
    [
        dict,
        without("x-per-minute-limit", "x-per-minute-remaining", "x-per-minute-reset", "Date"),
        lambda headers: headers | {"x-per-minute-remaining": "5"},
        lambda headers: headers | {"Retry-After": "60"},
        with_reset(lambda reset: reset + 3600),
        with_reset(lambda reset: reset - 3600),
    ],
    ids=["all headers", "no headers", "some remain", "Retry-After", "reset an hour ahead", "reset in the past"],
)
def test_ten_minutes_of_429_cost_one_request_per_minute(fault: Callable[[Headers], Headers]) -> None:
    server = Server(limit=1_000, rejects_all=lambda now: now < START + 600, fault=fault)
    run = Run(server, RateLimit()).until(START + 620)
    assert len(server.rate_limited) <= 10
    assert max(Counter(time // 60 for time in server.rate_limited).values()) == 1
    assert server.arrivals, "the client continues when the server does"
    assert run.checks <= 8 * 80 + 10 * len(run.sent)


@pytest.mark.parametrize(
    "short_wait", [{"Retry-After": "1"}, {"x-per-second-remaining": "0", "x-per-minute-remaining": "9"}], ids=str
)
def test_a_short_wait_is_believed_once(short_wait: Headers) -> None:
    server = Server(limit=60, rejects_all=lambda now: True, fault=lambda headers: headers | short_wait)
    Run(server, RateLimit()).until(START + 600)
    assert len(server.rate_limited) <= 11


def test_a_lower_limit_during_a_run_is_kept_from_the_next_minute_on() -> None:
    server = Server(limit=60)
    run = Run(server, RateLimit())

    def lowered(now: float) -> bool:
        server.limit = 60 if now < START + 90 else 20
        return False

    server.rejects_all = lowered
    run.until(START + 300)
    by_minute = server.by_minute()
    assert server.rate_limited == []
    assert [by_minute[int(START // 60) + minute] for minute in (0, 2, 3, 4)] == [60, 20, 20, 20]


def test_a_limit_per_second_is_never_exceeded() -> None:
    server = Server(limit=60, second_limit=2)
    Run(server, RateLimit()).until(START + 300)
    assert server.rate_limited == []
    assert len(server.arrivals) >= 0.98 * 60 * 5


# Other clients on the same quota


def contended_rate_limit(*, remaining: int, others: int) -> RateLimit:
    """Return a rate limit that has seen a number of requests of other clients between two responses."""
    rate_limit = RateLimit()
    for stated in (remaining + 1 + others, remaining):
        assert rate_limit.acquire(START) == 0.0
        rate_limit.responded(complete(remaining=stated), now=START)
    return rate_limit


def test_until_two_responses_are_compared_one_request_is_in_flight() -> None:
    rate_limit = RateLimit()
    rate_limit.acquire(START)
    rate_limit.responded(complete(remaining=59), now=START)
    assert sent_at_once(rate_limit) == 1
    rate_limit.responded(complete(remaining=58), now=START)
    assert sent_at_once(rate_limit) == 58


def test_requests_before_the_first_response_are_not_contention() -> None:
    assert known_rate_limit(remaining=7).snapshot(START).contention == 0.0


def test_own_requests_in_flight_are_not_contention_even_if_responses_arrive_out_of_order() -> None:
    rate_limit = known_rate_limit(remaining=50)
    assert [rate_limit.acquire(START) for _ in range(8)] == [0.0] * 8
    for stated in (42, 49, 45, 44, 43, 46, 47, 48):
        rate_limit.responded(complete(remaining=stated), now=START)
    assert rate_limit.snapshot(START).contention == 0.0


@pytest.mark.parametrize("has_response", [True, False], ids=["no headers", "no response"])
def test_own_requests_without_headers_or_response_are_not_contention(has_response: bool) -> None:
    rate_limit = known_rate_limit(remaining=50)
    assert rate_limit.acquire(START) == 0.0
    rate_limit.responded(RateHeaders(), now=START) if has_response else rate_limit.failed(START)
    assert rate_limit.acquire(START) == 0.0
    rate_limit.responded(complete(remaining=48), now=START)
    assert rate_limit.snapshot(START).contention == 0.0


def test_a_lower_limit_is_not_contention() -> None:
    rate_limit = known_rate_limit(remaining=50)
    assert rate_limit.acquire(START) == 0.0
    rate_limit.responded(complete(limit=20, remaining=9), now=START)
    assert rate_limit.snapshot(START).contention == 0.0


def test_one_request_is_left_for_each_other_client() -> None:
    assert sent_at_once(contended_rate_limit(remaining=8, others=7)) == 1
    rate_limit = contended_rate_limit(remaining=7, others=7)
    assert sent_at_once(rate_limit) == 0
    assert START + 60 <= rate_limit.acquire(START) <= START + 60.25


def test_more_contention_means_fewer_requests_in_flight() -> None:
    assert sent_at_once(contended_rate_limit(remaining=51, others=1)) == 5
    assert sent_at_once(contended_rate_limit(remaining=51, others=7)) == 1


def test_contention_is_remembered_over_minutes_and_snapshots() -> None:
    rate_limit = contended_rate_limit(remaining=20, others=7)
    resumed = RateLimit.resume(rate_limit.snapshot(START), now=START + 61)
    for later in (rate_limit, resumed):
        assert sent_at_once(later, START + 61) == 1
        later.responded(complete(remaining=59, reset_at=START + 120, at=START + 61), now=START + 61)
        contention = later.snapshot(START + 61).contention
        assert contention is not None
        assert contention > 5


def test_429_shows_contention() -> None:
    rate_limit = known_rate_limit(remaining=20)
    assert rate_limit.acquire(START) == 0.0
    rate_limit.rate_limited(complete(remaining=0), now=START)
    contention = rate_limit.snapshot(START).contention
    assert contention is not None
    assert contention > 2


def test_after_the_other_clients_stop_the_quota_is_used_again() -> None:
    server = Server(limit=60)
    rate_limit = contended_rate_limit(remaining=0, others=58)
    Run(server, rate_limit).until(START + 60 + 900, START + 61)
    by_minute = server.by_minute()
    assert server.rate_limited == []
    assert by_minute[int(START // 60) + 1] >= 40
    assert by_minute[int(START // 60) + 15] >= 59


def shared(limit: int, tasks: int, threads: int, spread: float, seed: int) -> Server:
    """Let tasks that do not know of each other send for five minutes, and return the server."""
    dice = random.Random(seed)
    server = Server(limit=limit)
    starts = [START + dice.uniform(0, spread) for _ in range(tasks)]
    run = Run(server, *(RateLimit() for _ in range(tasks)), threads=threads, latency=lambda: dice.uniform(0.05, 0.35))
    return run.until(START + 300, *starts).server


@pytest.mark.parametrize(
    ("limit", "tasks", "threads", "spread"),
    [(60, 8, 8, 0.0), (60, 8, 1, 60.0), (60, 2, 8, 1.0), (300, 8, 8, 1.0), (300, 2, 1, 0.0), (300, 2, 8, 60.0)],
)
def test_tasks_on_the_same_quota_hardly_get_429_and_use_the_quota(
    limit: int, tasks: int, threads: int, spread: float
) -> None:
    server = shared(limit, tasks, threads, spread, seed=1)
    sent = len(server.arrivals) + len(server.rate_limited)
    assert len(server.rate_limited) <= 0.05 * sent
    assert len(server.arrivals) >= 0.95 * limit * 5


@pytest.mark.parametrize("limit", [60, 300])
def test_eight_tasks_that_start_together_hardly_get_429_at_constant_latency(limit: int) -> None:
    server = Server(limit=limit)
    Run(server, *(RateLimit() for _ in range(8))).until(START + 300)
    assert len(server.rate_limited) <= 0.05 * (len(server.arrivals) + len(server.rate_limited))
    assert len(server.arrivals) >= 0.95 * limit * 5


def test_every_task_gets_its_part_of_the_quota() -> None:
    rate_limits = [RateLimit() for _ in range(8)]
    run = Run(Server(limit=60), *rate_limits)
    run.until(START + 600)
    assert min(run.sent_by.values()) >= 0.25 * 600 / 8
    assert len(run.sent_by) == 8
