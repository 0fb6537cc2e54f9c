"""The budget against a simulated server: fixed minutes on its own clock, several clients, latency, all in fake time."""

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

from airflow_provider_engagement.api.rate_headers import ExceededLimit, RateHeaders, read_headers
from airflow_provider_engagement.api.rate_limit import RateLimit, RateLimitSnapshot, wake_at

START = 1_768_089_600.0  # a whole minute: 2026-01-11T00:00:00Z
Headers = dict[str, str]


# --- refusals --------------------------------------------------------------------------------------------------------


def test_after_a_refusal_one_request_goes_alone() -> None:
    budget = RateLimit()
    assert budget.acquire(START) == 0.0
    budget.answered(RateHeaders(), now=START)
    assert budget.acquire(START) == 0.0
    assert budget.refused(RateHeaders(), now=START) is ExceededLimit.MINUTE
    held_until = budget.acquire(START)
    assert 60 <= held_until - START <= 65
    assert budget.acquire(START + 59) == held_until
    assert budget.acquire(held_until) == 0.0
    assert budget.acquire(held_until) > held_until


def test_an_answer_overtaken_by_a_refusal_lifts_nothing() -> None:
    budget = known_budget(remaining=50)
    assert budget.acquire(START) == budget.acquire(START) == 0.0
    budget.refused(RateHeaders(), now=START)
    budget.answered(complete(remaining=49), now=START)
    held_until = budget.acquire(START)
    assert held_until >= START + 60
    assert budget.acquire(held_until) == 0.0
    assert budget.acquire(held_until) > held_until


def test_a_period_is_held_until_it_renews() -> None:
    budget = RateLimit()
    budget.acquire(START)
    assert budget.refused(RateHeaders(retry_after=86_400.0), now=START) is ExceededLimit.PERIOD
    assert budget.snapshot(START).held_until == pytest.approx(START + 86_400, abs=1)
    assert budget.acquire(START + 3_600) == pytest.approx(START + 86_400, abs=1)


# --- single decisions -----------------------------------------------------------------------------------------------


def complete(*, remaining: int, limit: int = 60, reset_at: float = START + 60, at: float = START) -> RateHeaders:
    return RateHeaders(limit=limit, remaining=remaining, reset_at=reset_at, server_time=at)


def known_budget(*, remaining: int = 59, requests_per_minute: int | None = None, share: float = 1.0) -> RateLimit:
    """Return a budget that two answers have told that nobody else sends."""
    budget = RateLimit(requests_per_minute=requests_per_minute, share=share)
    for told in (remaining + 1, remaining):
        assert budget.acquire(START) == 0.0
        budget.answered(complete(remaining=told), now=START)
    return budget


def sent_at_once(budget: RateLimit, now: float = START) -> int:
    """Send until the budget says no, and answer nothing."""
    return sum(1 for _ in itertools.takewhile(lambda moment: moment == 0.0, (budget.acquire(now) for _ in range(999))))


def test_before_the_first_answer_one_request_goes_alone() -> None:
    budget = RateLimit(requests_per_minute=300)
    assert sent_at_once(budget) == 1
    assert START < budget.acquire(START) <= START + 1


def test_nothing_known_is_no_pacing() -> None:
    budget = RateLimit()
    budget.acquire(START)
    budget.answered(RateHeaders(), now=START)
    assert sent_at_once(budget) == 999


def test_what_remains_is_sent_and_no_more() -> None:
    assert sent_at_once(known_budget(remaining=7)) == 7


def test_remaining_zero_on_an_answer_waits_for_the_reset() -> None:
    moment = known_budget(remaining=0).acquire(START + 1)
    assert START + 60 <= moment <= START + 60.25


def test_within_a_window_an_answer_only_lowers() -> None:
    budget = known_budget(remaining=5)
    assert budget.acquire(START) == budget.acquire(START) == 0.0
    budget.answered(complete(remaining=3), now=START)
    budget.answered(complete(remaining=50), now=START)
    assert sent_at_once(budget) == 3


def test_a_request_without_answer_is_spent() -> None:
    budget = known_budget(remaining=3)
    assert budget.acquire(START) == 0.0
    budget.failed(START)
    assert sent_at_once(budget) == 2


def test_a_window_that_allows_one_is_not_opened_twice() -> None:
    budget = known_budget(remaining=0)
    budget.acquire(START + 1)
    opened = START + 61
    assert budget.acquire(opened) == 0.0
    budget.answered(complete(limit=1, remaining=0, reset_at=START + 120, at=opened), now=opened)
    opened = START + 121
    assert budget.acquire(opened) == 0.0
    budget.failed(opened)
    assert opened + 59 < budget.acquire(opened) < opened + 61


def test_a_failed_first_request_lets_the_next_go() -> None:
    budget = RateLimit()
    assert budget.acquire(START) == 0.0
    budget.failed(START + 1)
    assert budget.acquire(START + 1) == 0.0


def test_a_limit_lowered_within_the_minute_holds_at_once() -> None:
    budget = known_budget(remaining=50)
    assert budget.acquire(START) == 0.0
    budget.answered(complete(limit=12, remaining=1), now=START)
    assert sent_at_once(budget) == 1


def test_a_raised_limit_is_believed_for_the_next_window_but_never_above_the_ceiling() -> None:
    for ceiling, expected in ((None, 299), (100, 99)):
        budget = known_budget(remaining=0, requests_per_minute=ceiling)
        later = START + 61
        assert budget.acquire(later) == 0.0
        budget.answered(complete(limit=300, remaining=299, reset_at=START + 120, at=later), now=later)
        assert sent_at_once(budget, later) == expected


def test_a_share_leaves_the_rest_of_the_window() -> None:
    assert sent_at_once(known_budget(remaining=59, share=0.8)) == 47
    assert sent_at_once(known_budget(remaining=12, share=0.8)) == 0


def test_a_share_never_rounds_down_to_nothing() -> None:
    assert sent_at_once(known_budget(remaining=60, share=0.001)) == 1


def test_a_ceiling_is_not_used_up_by_others() -> None:
    assert sent_at_once(known_budget(remaining=30, requests_per_minute=20)) == 18


def test_the_next_window_is_opened_by_one_request() -> None:
    budget = known_budget(remaining=0)
    assert sent_at_once(budget, START + 61) == 1


def test_what_the_last_window_had_left_may_open_the_next() -> None:
    budget = known_budget(remaining=4)
    assert sent_at_once(budget, START + 61) == 4


def test_without_reset_requests_of_others_lower_the_budget() -> None:
    budget = RateLimit()
    budget.acquire(START)
    budget.answered(RateHeaders(limit=60, remaining=20), now=START)
    assert sent_at_once(budget) == 20


def test_without_reset_no_more_than_the_limit_goes_in_any_minute() -> None:
    budget = RateLimit()
    for second in range(6):
        assert budget.acquire(START + second) == 0.0
        budget.answered(RateHeaders(limit=6), now=START + second)
    moment = budget.acquire(START + 6)
    assert START + 60 <= moment <= START + 60.25
    assert budget.acquire(moment) == 0.0
    budget.answered(RateHeaders(limit=6), now=moment)
    assert START + 61 <= budget.acquire(moment) <= START + 61.25


def test_a_limit_by_the_second_spaces_the_requests() -> None:
    budget = RateLimit()
    budget.acquire(START)
    budget.answered(RateHeaders(second_limit=1), now=START)
    assert START + 1 <= budget.acquire(START) <= START + 1.25


def test_a_clock_set_back_an_hour_does_not_stop_for_an_hour() -> None:
    budget = known_budget(remaining=0)
    moment = budget.acquire(START - 3_600)
    assert moment <= START - 3_600 + 61


@pytest.mark.parametrize("arguments", [{"requests_per_minute": 0}, {"share": 0.0}, {"share": 1.1}])
def test_a_budget_out_of_range_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RateLimit(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("skew", "large"), [(0.9, False), (30.0, False), (600.0, True), (-600.0, True)])
def test_a_skew_over_a_minute_is_told(skew: float, large: bool) -> None:
    budget = RateLimit()
    budget.acquire(START)
    budget.answered(RateHeaders(server_time=START + skew), now=START)
    assert budget.skew_seconds == (skew if abs(skew) > 1.5 else 0.0)
    assert budget.has_large_skew is large


# --- snapshots ------------------------------------------------------------------------------------------------------


def test_a_snapshot_survives_json() -> None:
    snapshot = known_budget(remaining=7).snapshot(START + 1)
    assert (snapshot.limit, snapshot.remaining) == (60, 7)
    assert RateLimitSnapshot.from_dict(json.loads(json.dumps(snapshot.to_dict()))) == snapshot


def test_a_snapshot_tells_what_remains_later() -> None:
    snapshot = known_budget(remaining=7).snapshot(START)
    assert snapshot.remaining_at(START + 30) == 7
    assert snapshot.remaining_at(START + 61) == 60
    assert RateLimit().snapshot(START).remaining_at(START) is None


def test_a_resumed_budget_goes_on_where_the_last_stopped() -> None:
    resumed = RateLimit.resume(known_budget(remaining=7).snapshot(START), now=START + 5)
    assert sent_at_once(resumed, START + 5) == 7


def test_a_resumed_budget_without_resets_does_not_start_afresh() -> None:
    budget = RateLimit()
    for _ in range(6):
        budget.acquire(START)
        budget.answered(RateHeaders(limit=6), now=START)
    resumed = RateLimit.resume(budget.snapshot(START), now=START + 10)
    assert START + 60 <= resumed.acquire(START + 10) <= START + 60.25


def test_a_resumed_budget_stays_held_and_then_sends_one() -> None:
    budget = known_budget()
    budget.acquire(START)
    budget.refused(RateHeaders(), now=START)
    resumed = RateLimit.resume(budget.snapshot(START), now=START + 5)
    held_until = resumed.acquire(START + 5)
    assert held_until >= START + 60
    assert sent_at_once(resumed, held_until) == 1


def test_a_budget_resumed_after_the_reset_opens_the_window_with_one_request() -> None:
    resumed = RateLimit.resume(known_budget(remaining=0).snapshot(START), now=START + 61)
    assert sent_at_once(resumed, START + 61) == 1


# --- waking ---------------------------------------------------------------------------------------------------------


def test_waking_is_spread_and_always_the_same_for_the_same_key() -> None:
    moments = [wake_at(START, key=f"task-{number}", spread=10.0) for number in range(100)]
    assert moments == [wake_at(START, key=f"task-{number}", spread=10.0) for number in range(100)]
    assert all(START <= moment < START + 10 for moment in moments)
    assert max(Counter(int(moment) for moment in moments).values()) < 25


def test_nobody_wakes_last_each_minute() -> None:
    keys = [f"task-{number}" for number in range(8)]
    last = {max(keys, key=lambda key: wake_at(START + 60 * m, key=key, spread=10.0)) for m in range(30)}
    assert len(last) > 3


# --- a server in fake time ------------------------------------------------------------------------------------------


@dataclass
class Server:
    """Counts in fixed minutes (and seconds) of its own clock, which is ``skew`` ahead of the clients'."""

    limit: int
    skew: float = 0.0
    second_limit: int | None = None
    fault: Callable[[Headers], Headers] = dict
    refuses_all: Callable[[float], bool] = lambda now: False
    arrivals: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def handle(self, now: float) -> tuple[int, Headers]:
        clock = now + self.skew
        minute = sum(1 for arrival in reversed(self.arrivals[-self.limit - 20 :]) if arrival // 60 == clock // 60)
        second = sum(1 for arrival in self.arrivals[-20:] if arrival // 1 == clock // 1)
        over = minute >= self.limit or (self.second_limit is not None and second >= self.second_limit)
        over = over or self.refuses_all(now)
        (self.refused if over else self.arrivals).append(clock)
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
        return Counter(int(moment // 60) for moment in self.arrivals + self.refused)


class Run:
    """Threads that send as fast as their budget lets them; every wait is an event on a heap.

    :param budgets: one for each task; the ``threads`` of a task share it.
    """

    def __init__(
        self,
        server: Server,
        *budgets: RateLimit,
        threads: int = 8,
        latency: Callable[[], float] = lambda: 0.2,
        fails: Callable[[float], bool] = lambda now: False,
    ) -> None:
        self.server, self.budgets, self.threads, self.latency, self.fails = server, budgets, threads, latency, fails
        self.asked = 0
        self.sent: list[float] = []
        self.sent_by: Counter[int] = Counter()

    def until(self, end: float, *starts: float) -> Run:
        """Run until a moment, all tasks from one start or each from its own."""
        order = itertools.count()
        events: list[tuple[float, int, Callable[[float], None]]] = []

        def later(moment: float, step: Callable[[float], None]) -> None:
            heapq.heappush(events, (moment, next(order), step))

        def ask(budget: RateLimit, now: float) -> None:
            self.asked += 1
            moment = budget.acquire(now)
            if moment:
                assert moment > now
                later(moment, lambda woken: ask(budget, woken))
                return
            self.sent.append(now)
            self.sent_by[id(budget)] += 1
            out, back = self.latency() / 2, self.latency() / 2
            later(now + out, lambda arrived: arrive(budget, arrived, back))

        def arrive(budget: RateLimit, now: float, back: float) -> None:
            status, headers = self.server.handle(now)
            lost = self.fails(now)
            later(now + back, lambda received: receive(budget, received, status, headers, lost))

        def receive(budget: RateLimit, now: float, status: int, headers: Headers, lost: bool) -> None:
            read = read_headers(headers, received_at=now)
            if lost:
                budget.failed(now)
            elif status == 429:
                budget.refused(read, now=now)
            else:
                budget.answered(read, now=now)
            ask(budget, now)

        starts = starts or (START,)
        for budget, start in zip(self.budgets * self.threads, itertools.cycle(starts)):
            later(start, lambda now, budget=budget: ask(budget, now))  # type: ignore[misc]
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


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("limit", [60, 300])
def test_a_contract_is_filled_and_never_exceeded(limit: int, fault: str) -> None:
    server = Server(limit=limit, skew=-600.0, fault=FAULTS[fault])
    Run(server, RateLimit()).until(START + 300)
    assert server.refused == []
    assert len(server.arrivals) >= 0.98 * limit * 5


@pytest.mark.parametrize("threads", [1, 8])
def test_six_a_minute_are_filled_to_the_last(threads: int) -> None:
    server = Server(limit=6)
    Run(server, RateLimit(), threads=threads).until(START + 300)
    assert server.refused == []
    assert len(server.arrivals) == 30


def test_a_slow_server_does_not_make_the_threads_take_turns() -> None:
    server = Server(limit=300)
    Run(server, RateLimit(), latency=lambda: 20.0).until(START + 1200)
    assert len(server.arrivals) >= 0.9 * 8 * 1200 / 20


@settings(max_examples=60, deadline=None)
@given(
    limit=st.sampled_from([1, 2, 6, 17, 60, 130]),
    threads=st.integers(1, 10),
    skew=st.floats(-600, 600),
    fault=st.sampled_from(sorted(FAULTS)),
    now_and_then=st.booleans(),
    slowest=st.sampled_from([0.02, 0.2, 2.0, 15.0]),
    ceiling=st.none() | st.integers(1, 100),
    share=st.sampled_from([1.0, 0.8, 0.31]),
    loss=st.sampled_from([0.0, 0.02]),
    phase=st.floats(0, 60),
    seed=st.integers(0, 2**16),
)
@example(60, 8, 0.5, "no reset", True, 0.2, None, 1.0, 0.0, 59.9, 0)
def test_alone_no_request_is_ever_refused(
    limit: int,
    threads: int,
    skew: float,
    fault: str,
    now_and_then: bool,
    slowest: float,
    ceiling: int | None,
    share: float,
    loss: float,
    phase: float,
    seed: int,
) -> None:
    dice = random.Random(seed)
    server = Server(limit=limit, skew=skew, fault=sometimes(FAULTS[fault], seed) if now_and_then else FAULTS[fault])
    run = Run(
        server,
        RateLimit(requests_per_minute=ceiling, share=share),
        threads=threads,
        latency=lambda: dice.uniform(0.01, slowest),
        fails=lambda now: len(server.arrivals) > 1 and dice.random() < loss,  # the first tells the limit
    ).until(START + phase + 240, START + phase)
    assert server.refused == []
    allowed = max(1, int(limit * share + 1e-9))
    assert max(server.by_minute().values()) <= allowed
    if ceiling is not None:
        assert max(in_any_minute(run.sent)) <= ceiling
    assert len(run.sent) >= 2  # in four minutes: it goes on
    assert run.asked <= threads * (240 + 5 * len(run.sent))  # a call a second and some after each request: no spinning


def in_any_minute(moments: list[float]) -> Iterator[int]:
    """Yield, for each moment, how many there are in the minute that it begins."""
    for index, moment in enumerate(moments):
        yield sum(1 for other in moments[index : index + 200] if other < moment + 60)


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
def test_ten_minutes_of_refusals_cost_one_request_a_window(fault: Callable[[Headers], Headers]) -> None:
    server = Server(limit=1_000, refuses_all=lambda now: now < START + 600, fault=fault)
    run = Run(server, RateLimit()).until(START + 620)
    assert len(server.refused) <= 10
    assert max(Counter(moment // 60 for moment in server.refused).values()) == 1
    assert server.arrivals, "it goes on when the server does"
    assert run.asked <= 8 * 80 + 10 * len(run.sent)


@pytest.mark.parametrize(
    "hint", [{"Retry-After": "1"}, {"x-per-second-remaining": "0", "x-per-minute-remaining": "9"}], ids=str
)
def test_a_hint_to_come_back_soon_is_believed_once(hint: Headers) -> None:
    server = Server(limit=60, refuses_all=lambda now: True, fault=lambda headers: headers | hint)
    Run(server, RateLimit()).until(START + 600)
    assert len(server.refused) <= 11


def test_a_limit_lowered_mid_run_is_kept_from_the_next_minute_on() -> None:
    server = Server(limit=60)
    run = Run(server, RateLimit())

    def lowered(now: float) -> bool:
        server.limit = 60 if now < START + 90 else 20
        return False

    server.refuses_all = lowered
    run.until(START + 300)
    by_minute = server.by_minute()
    assert server.refused == []
    assert [by_minute[int(START // 60) + minute] for minute in (0, 2, 3, 4)] == [60, 20, 20, 20]


def test_a_limit_by_the_second_is_never_exceeded() -> None:
    server = Server(limit=60, second_limit=2)
    Run(server, RateLimit()).until(START + 300)
    assert server.refused == []
    assert len(server.arrivals) >= 0.98 * 60 * 5


# --- others on the same contract ------------------------------------------------------------------------------------


def crowded_budget(*, remaining: int, others: int) -> RateLimit:
    """Return a budget that has seen, between two answers of its own, so many requests of others."""
    budget = RateLimit()
    for told in (remaining + 1 + others, remaining):
        assert budget.acquire(START) == 0.0
        budget.answered(complete(remaining=told), now=START)
    return budget


def test_until_two_answers_can_be_compared_one_request_goes_at_a_time() -> None:
    budget = RateLimit()
    budget.acquire(START)
    budget.answered(complete(remaining=59), now=START)
    assert sent_at_once(budget) == 1
    budget.answered(complete(remaining=58), now=START)
    assert sent_at_once(budget) == 58


def test_what_was_used_before_the_first_answer_is_no_crowd() -> None:
    assert known_budget(remaining=7).snapshot(START).crowd == 0.0


def test_own_requests_in_flight_are_no_crowd_even_if_a_later_one_is_answered_first() -> None:
    budget = known_budget(remaining=50)
    assert [budget.acquire(START) for _ in range(8)] == [0.0] * 8
    for told in (42, 49, 45, 44, 43, 46, 47, 48):
        budget.answered(complete(remaining=told), now=START)
    assert budget.snapshot(START).crowd == 0.0


@pytest.mark.parametrize("told", [True, False], ids=["no headers", "no answer"])
def test_own_requests_that_tell_nothing_are_no_crowd(told: bool) -> None:
    budget = known_budget(remaining=50)
    assert budget.acquire(START) == 0.0
    budget.answered(RateHeaders(), now=START) if told else budget.failed(START)
    assert budget.acquire(START) == 0.0
    budget.answered(complete(remaining=48), now=START)
    assert budget.snapshot(START).crowd == 0.0


def test_a_limit_lowered_is_no_crowd() -> None:
    budget = known_budget(remaining=50)
    assert budget.acquire(START) == 0.0
    budget.answered(complete(limit=20, remaining=9), now=START)
    assert budget.snapshot(START).crowd == 0.0


def test_each_of_the_others_is_left_one_request() -> None:
    assert sent_at_once(crowded_budget(remaining=8, others=7)) == 1
    budget = crowded_budget(remaining=7, others=7)
    assert sent_at_once(budget) == 0
    assert START + 60 <= budget.acquire(START) <= START + 60.25


def test_the_larger_the_crowd_the_fewer_are_in_flight() -> None:
    assert sent_at_once(crowded_budget(remaining=51, others=1)) == 5
    assert sent_at_once(crowded_budget(remaining=51, others=7)) == 1


def test_a_crowd_is_remembered_over_windows_and_snapshots() -> None:
    budget = crowded_budget(remaining=20, others=7)
    resumed = RateLimit.resume(budget.snapshot(START), now=START + 61)
    for later in (budget, resumed):
        assert sent_at_once(later, START + 61) == 1
        later.answered(complete(remaining=59, reset_at=START + 120, at=START + 61), now=START + 61)
        crowd = later.snapshot(START + 61).crowd
        assert crowd is not None
        assert crowd > 5


def test_a_refusal_tells_of_a_crowd() -> None:
    budget = known_budget(remaining=20)
    assert budget.acquire(START) == 0.0
    budget.refused(complete(remaining=0), now=START)
    crowd = budget.snapshot(START).crowd
    assert crowd is not None
    assert crowd > 2


def test_when_the_others_have_left_the_contract_is_filled_again() -> None:
    server = Server(limit=60)
    budget = crowded_budget(remaining=0, others=58)
    Run(server, budget).until(START + 60 + 900, START + 61)
    by_minute = server.by_minute()
    assert server.refused == []
    assert by_minute[int(START // 60) + 1] >= 40
    assert by_minute[int(START // 60) + 15] >= 59


def shared(limit: int, tasks: int, threads: int, spread: float, seed: int) -> Server:
    """Let tasks that know nothing of each other send for five minutes, and return what the server saw."""
    dice = random.Random(seed)
    server = Server(limit=limit)
    starts = [START + dice.uniform(0, spread) for _ in range(tasks)]
    run = Run(server, *(RateLimit() for _ in range(tasks)), threads=threads, latency=lambda: dice.uniform(0.05, 0.35))
    return run.until(START + 300, *starts).server


@pytest.mark.parametrize("limit", [60, 300])
@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("tasks", [2, 8])
@pytest.mark.parametrize("spread", [0.0, 1.0, 60.0])
def test_tasks_that_share_a_contract_are_hardly_refused_and_fill_it(
    limit: int, tasks: int, threads: int, spread: float
) -> None:
    server = shared(limit, tasks, threads, spread, seed=1)
    sent = len(server.arrivals) + len(server.refused)
    assert len(server.refused) <= 0.05 * sent
    assert len(server.arrivals) >= 0.95 * limit * 5


@pytest.mark.parametrize("limit", [60, 300])
def test_eight_tasks_that_start_together_are_hardly_refused_at_constant_latency(limit: int) -> None:
    server = Server(limit=limit)
    Run(server, *(RateLimit() for _ in range(8))).until(START + 300)
    assert len(server.refused) <= 0.05 * (len(server.arrivals) + len(server.refused))
    assert len(server.arrivals) >= 0.95 * limit * 5


def test_nobody_who_shares_a_contract_is_left_out() -> None:
    budgets = [RateLimit() for _ in range(8)]
    run = Run(Server(limit=60), *budgets)
    run.until(START + 600)
    assert min(run.sent_by.values()) >= 0.25 * 600 / 8
    assert len(run.sent_by) == 8
