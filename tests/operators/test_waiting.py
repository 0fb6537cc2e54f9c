"""Waiting for the rate limit: where, for how long, with how many requests and with what result.

Only waits move the clock, so an hour of waiting takes no time, and every time is exact.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import pytest
import time_machine
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, TaskDeferred
from pyarrow import parquet

from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.operators.waiting import SPREAD_SECONDS, wait_until, wake_at
from airflow_provider_engagement.parameters import Limits
from airflow_provider_engagement.simulator import Clock, Fault, Handle, Simulator, Switches, World

NOW = datetime(2026, 1, 12, 9, 30, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MODES = ("sleeping", "deferring", "rescheduling")
TWEETS = 40

Drive = Callable[..., "Driven"]


@pytest.fixture
def time_travel(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:

        def wait(limiter: Limiter, seconds: float) -> None:
            limiter.waited_seconds += seconds
            traveller.shift(seconds)

        monkeypatch.setattr(Limiter, "wait", wait)
        # Plan many requests for few Tweets.
        monkeypatch.setattr("airflow_provider_engagement.engagement_api.catalogue.ENDPOINTS", small_requests())
        yield traveller


def small_requests() -> dict[Any, Any]:
    from dataclasses import replace

    from airflow_provider_engagement.engagement_api import catalogue

    return {name: replace(rule, tweets_per_request=2) for name, rule in catalogue.ENDPOINTS.items()}


@pytest.fixture
def api(time_travel: time_machine.Traveller) -> Iterator[Simulator]:
    """The API at six requests a minute, with one user who has forty Tweets."""
    world = World.generate(handles=1, tweets=TWEETS, end=NOW - timedelta(days=1), old=0, deleted=0)
    with Simulator(world, clock=Clock(NOW)) as running:
        running.set_limit(per_minute=6)
        yield running


class Store(dict[str, Any]):
    """The state of a task, which Airflow keeps over waits and attempts since 3.3."""

    def set(self, key: str, value: Any) -> None:
        self[key] = json.loads(json.dumps(value))


@dataclass
class Driven:
    """What a task did.

    :param report: its XCom.
    :param wakes: when to resume, for each wait that released the worker.
    :param stays: how long each execution was on a worker.
    """

    report: dict[str, Any] = field(default_factory=dict)
    wakes: list[datetime] = field(default_factory=list)
    stays: list[timedelta] = field(default_factory=list)
    leaves: list[BaseException] = field(default_factory=list)


@pytest.fixture
def drive(
    api: Simulator,
    time_travel: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    execute: Callable[..., Any],
    task_instance: Any,
    tmp_path: Path,
) -> Drive:
    """Execute a pull of all Tweets until it ends, with a new operator after each wait, as Airflow does."""
    from airflow_provider_engagement.simulator import connection

    handle: Handle = next(iter(api.world.handles.values()))
    definition = connection(api, handle)
    del definition["extra"]["requests_per_minute"]
    monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(definition))

    def driven(
        mode: str = "deferring",
        *,
        before_each: Callable[[], None] = lambda: None,
        store: Store | None = None,
        map_index: int = -1,
        **parameters: Any,
    ) -> Driven:
        done = Driven()
        limits = Limits(wait_on_worker=timedelta(days=2) if mode == "sleeping" else "0s", concurrent_requests=1)
        parameters = {
            "tweets": sorted(api.world.tweets),
            "dataset_path": str(tmp_path / f"{mode}{map_index}"),
            "deferrable": mode == "deferring",
            **parameters,
            "limits": {**limits, **parameters.get("limits", {})},
        }
        running = task_instance(task_id="pull", start_date=datetime.now(UTC), map_index=map_index)
        while True:
            before_each()
            began = datetime.now(UTC)
            context = {} if store is None else {"task_state_store": store}
            try:
                done.report = execute(EngagementTotalsOperator(task_id="pull", **parameters), ti=running, **context)
                return done
            except TaskDeferred as deferred:
                done.leaves.append(deferred)
                wake = deferred.trigger.moment
            except AirflowRescheduleException as rescheduled:
                done.leaves.append(rescheduled)
                wake = rescheduled.reschedule_date
                time_travel.shift(0.5)  # Airflow records the time at which it receives the request to reschedule.
                running.rescheduled_at = running.rescheduled_at or datetime.now(UTC)
                running.start_date = wake
            finally:
                done.stays.append(datetime.now(UTC) - began)
            done.wakes.append(wake)
            time_travel.move_to(wake, tick=False)

    return driven


def windows(api: Simulator, status: int | None = None) -> Counter[datetime]:
    """Return how many requests arrived in each minute of the server's clock."""
    return Counter(entry.at.replace(second=0, microsecond=0) for entry in api.journal if status in (None, entry.status))


def successful(api: Simulator) -> list[Any]:
    return [entry.body for entry in api.journal if entry.status == 200]


def rate_limited(api: Simulator) -> int:
    return sum(entry.status == 429 for entry in api.journal)


# Where and for how long


def test_a_wait_up_to_the_longest_on_the_worker_stays_on_the_worker(drive: Drive) -> None:
    driven = drive("deferring", limits=Limits(wait_on_worker=timedelta(seconds=61)))
    assert not driven.wakes
    assert driven.report["requests"]["sent"] == TWEETS // 2
    assert 150 < driven.report["seconds"]["waited"] < 200


@pytest.mark.parametrize(("mode", "kind"), [("deferring", TaskDeferred), ("rescheduling", AirflowRescheduleException)])
def test_a_longer_wait_releases_the_worker(drive: Drive, mode: str, kind: type[BaseException]) -> None:
    driven = drive(mode, limits=Limits(wait_on_worker=timedelta(seconds=20)))
    assert len(driven.wakes) == 3
    assert {type(leave) for leave in driven.leaves} == {kind}
    assert max(driven.stays) < timedelta(seconds=21)


@pytest.mark.parametrize("mode", MODES)
def test_the_quota_is_used_up_and_never_exceeded(drive: Drive, api: Simulator, mode: str) -> None:
    drive(mode)
    assert list(windows(api).values()) == [6, 6, 6, 2]
    assert rate_limited(api) == 0


def test_every_way_of_waiting_sends_the_same_requests_and_writes_the_same_rows(
    drive: Drive, api: Simulator, tmp_path: Path
) -> None:
    outputs, requests = {}, {}
    for mode in MODES:
        report = drive(mode).report
        rows = parquet.ParquetFile(report["outputs"]["tweet_totals"]).read()
        outputs[mode] = rows.drop_columns(["fetched_at"]) if "fetched_at" in rows.column_names else rows
        requests[mode] = successful(api)
        api.journal.clear()
    assert outputs["deferring"].equals(outputs["sleeping"])
    assert outputs["rescheduling"].equals(outputs["sleeping"])
    assert requests["deferring"] == requests["rescheduling"] == requests["sleeping"]
    assert len(requests["sleeping"]) == TWEETS // 2


@pytest.mark.parametrize(("mode", "wait"), [("deferring", timedelta(seconds=130)), ("rescheduling", "130s")])
def test_the_longest_wait_limits_the_sum_of_all_waits(drive: Drive, api: Simulator, mode: str, wait: Any) -> None:
    with pytest.raises(
        AirflowFailException, match=r"limits\.wait \(0:02:10\) ends at .* Clear the task to continue"
    ) as failure:
        drive(mode, limits=Limits(wait=wait))
    assert list(windows(api).values()) == [6, 6, 6]
    assert datetime.now(UTC) - NOW < timedelta(seconds=130)
    assert failure.value.__cause__ is not None


@pytest.mark.parametrize("mode", MODES[1:])
def test_the_responses_from_before_the_longest_wait_are_reused(
    drive: Drive, api: Simulator, time_travel: time_machine.Traveller, mode: str
) -> None:
    with pytest.raises(AirflowFailException):
        drive(mode, limits=Limits(wait=timedelta(seconds=130)))
    time_travel.shift(1)
    driven = drive(mode)
    assert driven.report["requests"]["reused"] == 18
    assert len(successful(api)) == TWEETS // 2


def test_tasks_that_wait_for_the_same_reset_resume_at_different_times(
    drive: Drive, api: Simulator, time_travel: time_machine.Traveller
) -> None:
    wakes = []
    for map_index in range(8):
        time_travel.move_to(NOW, tick=False)
        api.quotas.reset()
        api.set_limit(per_minute=6)
        wakes.append(drive(map_index=map_index, tweets=sorted(api.world.tweets)[:14]).wakes[0])
    reset = NOW.replace(second=0) + MINUTE
    assert all(reset <= wake <= reset + timedelta(seconds=SPREAD_SECONDS + 1) for wake in wakes)
    assert len({wake.replace(microsecond=0) for wake in wakes}) >= 4


def test_a_deferral_does_not_time_out_while_the_triggerer_is_down_for_five_minutes(drive: Drive) -> None:
    left, wake = NOW, drive().leaves
    assert all(isinstance(leave, TaskDeferred) and leave.timeout >= timedelta(minutes=5) for leave in wake)
    assert all(leave.timeout < datetime.now(UTC) - left + timedelta(minutes=6) for leave in wake)  # type: ignore[attr-defined]


def test_a_deferral_to_a_past_time_has_the_shortest_timeout(time_travel: time_machine.Traveller) -> None:
    from types import SimpleNamespace

    context: Any = {
        "ti": SimpleNamespace(
            dag_id="d", task_id="t", map_index=-1, run_id="r", start_date=NOW, get_first_reschedule_date=lambda _: None
        )
    }
    operator = EngagementTotalsOperator(task_id="t", tweets=["20"])
    with pytest.raises(TaskDeferred) as raised:
        wait_until(NOW - MINUTE, operator=operator, context=context, deferrable=True, max_wait=60)
    assert raised.value.timeout == timedelta(minutes=5)


# The manifest


@pytest.mark.parametrize("mode", MODES)
def test_the_manifest_counts_the_requests_of_the_whole_attempt(drive: Drive, api: Simulator, mode: str) -> None:
    requests = drive(mode, store=Store()).report["requests"]
    assert requests == {
        "planned": 20,
        "sent": len(api.journal),
        "succeeded": 20,
        "reused": 0,
        "failed": 0,
        "rate_limited": 0,
    }


def test_another_attempt_counts_from_zero(drive: Drive, tmp_path: Path) -> None:
    store = Store(engagement_tally_0={"sent": 100, "rate_limited": 7, "waited_seconds": 3.0})
    assert drive(store=store).report["requests"]["sent"] == 20


@pytest.mark.parametrize("mode", MODES[1:])
def test_without_task_state_the_manifest_counts_no_request_twice(drive: Drive, api: Simulator, mode: str) -> None:
    requests = drive(mode, store=None).report["requests"]
    assert requests["sent"] <= len(api.journal)
    assert requests["succeeded"] + requests["reused"] == 20


# Unusual responses


@pytest.mark.parametrize(
    ("mode", "retry_after"), [("sleeping", "off"), ("deferring", "seconds"), ("rescheduling", "date")]
)
def test_ten_minutes_of_http_429_cost_one_request_a_minute(
    drive: Drive, api: Simulator, mode: str, retry_after: Any
) -> None:
    api.switches = Switches(retry_after=retry_after)
    api.quotas.close(NOW + timedelta(minutes=10))
    end = NOW + timedelta(minutes=10)
    drive(mode, before_each=lambda: api.quotas.close(end if datetime.now(UTC) < end else None))
    assert rate_limited(api) <= 11
    assert max(windows(api, 429).values()) == 1
    assert len(successful(api)) == 20


@pytest.mark.parametrize("mode", MODES[:2])
def test_http_429_without_headers_costs_one_request_a_minute(drive: Drive, api: Simulator, mode: str) -> None:
    api.faults.add(Fault(status=429, times=10))
    drive(mode)
    times = [entry.at for entry in api.journal if entry.status == 429]
    assert len(times) == 10
    assert all(later - earlier >= MINUTE for earlier, later in pairwise(times))
    assert len(successful(api)) == 20


@pytest.mark.parametrize("mode", MODES[:2])
def test_http_429_ends_the_minute_even_if_the_headers_have_requests_remaining(
    drive: Drive, api: Simulator, mode: str
) -> None:
    reset = str(int(NOW.replace(second=0).timestamp()) + 60)
    headers = {"x-per-minute-limit": "6", "x-per-minute-remaining": "3", "x-per-minute-reset": reset}
    api.faults.add(Fault(status=429, headers=headers, nth=3))
    drive(mode)
    first = NOW.replace(second=0)
    assert windows(api)[first] == 3
    assert rate_limited(api) == 1
    assert len(successful(api)) == 20


@pytest.mark.parametrize("mode", MODES[:2])
def test_a_limit_that_is_lowered_during_a_pull_is_not_exceeded(drive: Drive, api: Simulator, mode: str) -> None:
    spend = api.quotas.spend

    def spend_and_lower(app: Any) -> Any:
        if len(api.journal) == 8:
            api.set_limit(per_minute=3)
        return spend(app)

    api.quotas.spend = spend_and_lower  # type: ignore[method-assign]
    drive(mode)
    assert list(windows(api, 200).values()) == [6, 3, 3, 3, 3, 2]
    assert rate_limited(api) == 0


RESETS = {
    "missing": None,
    "garbled": "soon",
    "empty": "",
    "in the past": str(int(NOW.timestamp()) - 3600),
    "an hour ahead": str(int(NOW.timestamp()) + 3600),
    "in milliseconds": str(int(NOW.timestamp()) * 1000 + 50_000),
    "a duration": "50",
    "infinite": "inf",
}


@pytest.mark.parametrize(
    ("reset", "mode"),
    [(RESETS[name], mode) for name, mode in zip(RESETS, cycle(MODES), strict=False)],
    ids=RESETS,
)
def test_an_invalid_reset_costs_at_most_one_http_429_a_minute(
    drive: Drive, api: Simulator, reset: str | None, mode: str
) -> None:
    if reset is None:
        api.switches = Switches(reset_header=False)
    else:
        api.faults.add(Fault(headers={"x-per-minute-reset": reset}, times=None))
    drive(mode)
    assert len(successful(api)) == 20
    assert max(windows(api, 200).values()) <= 6
    assert all(number == 1 for number in windows(api, 429).values())
    assert datetime.now(UTC) - NOW < timedelta(minutes=8)


@pytest.mark.parametrize(
    ("mode", "minutes", "what"),
    [
        ("sleeping", 10, "the whole server"),
        ("deferring", -10, "the whole server"),
        ("sleeping", -10, "its Date"),
        ("rescheduling", 10, "its Date"),
    ],
)
def test_clocks_that_differ_by_ten_minutes_cost_no_http_429(
    drive: Drive, api: Simulator, mode: str, minutes: int, what: str
) -> None:
    if what == "its Date":
        api.date_skew = timedelta(minutes=minutes)
    else:
        api.rate_clock.advance(timedelta(minutes=minutes))
    drive(mode)
    assert len(successful(api)) == 20
    assert rate_limited(api) == 0
    assert datetime.now(UTC) - NOW < timedelta(minutes=6)
    if what == "the whole server":
        assert list(windows(api).values()) == [6, 6, 6, 2]


@pytest.mark.parametrize("mode", MODES[1:])
def test_a_limit_per_second_never_releases_the_worker(drive: Drive, api: Simulator, mode: str) -> None:
    headers = {"x-per-second-limit": "5", "x-per-second-remaining": "0", "x-per-minute-remaining": "4"}
    api.set_limit(per_minute=100)
    api.faults.add(Fault(status=429, headers=headers, nth=3))
    driven = drive(mode, limits=Limits(wait_on_worker=timedelta(seconds=5)))
    assert not driven.wakes
    assert rate_limited(api) == 1


def test_a_task_knows_the_quota_that_the_task_before_used_up(drive: Any, api: Any) -> None:
    ids = sorted(api.world.tweets)
    drive(tweets=ids[:12])
    drive(tweets=ids[12:24])
    assert rate_limited(api) == 0


def test_wake_times_are_spread_and_the_same_for_the_same_key() -> None:
    times = [wake_at(NOW.timestamp(), key=f"task-{number}", spread=10.0) for number in range(100)]
    assert times == [wake_at(NOW.timestamp(), key=f"task-{number}", spread=10.0) for number in range(100)]
    assert all(NOW.timestamp() <= time < NOW.timestamp() + 10 for time in times)
    assert max(Counter(int(time) for time in times).values()) < 25


def test_the_last_to_wake_up_changes_from_minute_to_minute() -> None:
    keys = [f"task-{number}" for number in range(8)]
    last = {max(keys, key=lambda key: wake_at(NOW.timestamp() + 60 * m, key=key, spread=10.0)) for m in range(30)}
    assert len(last) > 3
